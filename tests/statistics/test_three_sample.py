"""Relative maximum mean discrepancy: it points the right way, and its error covers rows that all models answer."""

from __future__ import annotations

import numpy as np
import pytest

from audit.statistics.three_sample import relative_mmd


def draw(rng: np.random.Generator, places: list[float], rows: int, common: float = 0.0) -> list[np.ndarray]:
    """One sample (rows, 2) at each place, with a part of every row common to all."""
    shared = common * rng.normal(size=(rows, 2))
    return [place + shared + rng.normal(size=(rows, 2)) for place in places]


def test_it_points_to_the_nearer_sample() -> None:
    audited, retrain, original = draw(np.random.default_rng(0), [0.0, 0.2, 1.5], 200)
    near = relative_mmd(audited, [retrain], original, np.arange(200))
    assert near.to_retrains < 0.05 < near.to_original
    assert near.difference + 3 * near.se < 0
    far = relative_mmd(audited, [original], retrain, np.arange(200))
    np.testing.assert_allclose([far.difference, far.se], [-near.difference, near.se])


def test_equal_samples_are_at_no_distance() -> None:
    """The unbiased estimate of a sample from itself leaves the pairs of a row with itself out: slightly below 0."""
    (same,) = draw(np.random.default_rng(1), [0.0], 100)
    found = relative_mmd(same, [same, same], same, np.arange(100))
    assert found.difference == 0
    assert found.se == 0
    assert abs(found.to_original) < 0.02


def test_the_order_of_the_retrains_changes_nothing() -> None:
    audited, one, two, original = draw(np.random.default_rng(2), [0.0, 0.1, 0.3, 1.0], 60)
    a, b = (relative_mmd(audited, group, original, np.arange(60)) for group in ([one, two], [two, one]))
    np.testing.assert_allclose([a.difference, a.se], [b.difference, b.se])


@pytest.mark.parametrize("common", [0.0, 2.0])
def test_a_model_between_both_is_called_closer_at_the_nominal_rate(common: float) -> None:
    rng = np.random.default_rng(3)
    z = []
    for _ in range(300):
        audited, retrain, original = draw(rng, [0.0, -0.7, 0.7], 80, common)
        found = relative_mmd(audited, [retrain], original, np.arange(80))
        z.append(found.difference / found.se)
    assert (np.abs(z) > 1.645).sum() <= 50  # 99.9 % point of 300 draws at .10 is 46; the error is asymptotic
    assert 0.7 < np.std(z) < 1.15


def test_rows_of_one_subject_count_together() -> None:
    rng = np.random.default_rng(4)
    z = []
    groups = np.repeat(np.arange(40), 4)
    for _ in range(200):
        audited, retrain, original = (np.repeat(s, 4, axis=0) for s in draw(rng, [0.0, -0.7, 0.7], 40, 1.0))
        found = relative_mmd(audited, [retrain], original, groups)
        z.append(found.difference / found.se)
    assert 0.7 < np.std(z) < 1.2


@pytest.mark.parametrize("broken", ["no retrain", "not finite", "one subject"])
def test_it_refuses_what_has_no_answer(broken: str) -> None:
    (rows,) = draw(np.random.default_rng(5), [0.0], 10)
    bad = np.where(np.arange(10)[:, None] == 3, np.nan, rows) if broken == "not finite" else rows
    groups = np.zeros(10, dtype=int) if broken == "one subject" else np.arange(10)
    with pytest.raises(ValueError, match="relative_mmd needs"):
        relative_mmd(bad, [] if broken == "no retrain" else [rows], rows, groups)
