"""The matched filter over rows: what it reads, how narrowly, and where it gives way to the plain mean."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.base import Floats
from audit.statistics.intervals import retained_share
from audit.statistics.matched import matched

N, K, MARGIN = 60, 8, 0.25


def world(rng: np.random.Generator, models: int) -> tuple[Floats, Floats, Floats]:
    """Honest models (M, n), the original and another one (n,): seeds move all along two patterns of rows, and each row
    a little."""
    patterns = 0.4 * (rng.normal(size=(2, N)) + 0.5)
    knowledge = 2.0 + rng.normal(size=N)

    def drawn(count: int) -> Floats:
        return rng.normal(size=(count, 2)) @ patterns + 0.3 * rng.normal(size=(count, N))

    originals = drawn(2) + knowledge
    return drawn(models), originals[0], originals[1]


def readings(models: Floats, original: Floats) -> Floats:
    found = matched(models, original, len(models) - K)
    assert found is not None
    return found[0]


def test_the_share_of_another_originals_knowledge_is_read_without_bias() -> None:
    rng = np.random.default_rng(0)
    read = []
    for _ in range(300):
        honest, original, other = world(rng, K + 2)
        leaking = honest[0] + 0.5 * (other - honest[1])
        read.append(readings(np.vstack([leaking, honest[2:]]), original)[0])
    mean, error = np.mean(read), np.std(read) / np.sqrt(len(read))
    assert abs(mean - 0.5) < 4 * error
    assert error < 0.01


def test_honest_models_scatter_less_than_their_means() -> None:
    rng = np.random.default_rng(1)
    filtered, plain = [], []
    for _ in range(200):
        honest, original, _ = world(rng, K + 1)
        filtered.append(readings(honest, original)[0])
        middle = honest[1:].mean()
        plain.append((honest[0].mean() - middle) / (original.mean() - middle))
    assert np.std(filtered) < 0.8 * np.std(plain)
    assert abs(np.mean(filtered)) < 4 * np.std(filtered) / np.sqrt(200)


def test_the_references_scatter_like_the_audited_model() -> None:
    """Each is read by weights that the others gave: a fit to itself would make the interval too narrow."""
    rng = np.random.default_rng(2)
    audited, own = [], []
    for _ in range(200):
        honest, original, _ = world(rng, K + 1)
        read = readings(honest, original)
        audited.append(read[0])
        own.append(read[1:].std(ddof=1))
    spread = np.std(audited) / np.sqrt(1 + 1 / K)
    assert spread < 1.15 * np.sqrt(np.mean(np.square(own)))


def test_a_share_at_the_margin_lies_inside_it_once_in_twenty() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        honest, original, other = world(rng, K + 2)
        leaking = honest[0] + MARGIN * (other - honest[1])
        models = np.vstack([leaking, honest[2:]])
        found = matched(models, original, 1)
        assert found is not None
        share = retained_share(found[0], 1.0, found[1], 0.9)
        inside += share is not None and share.high < MARGIN
    assert inside <= 34  # 99.9 % point of 400 draws at .05


def test_runs_are_read_by_all_references_alike() -> None:
    honest, original, _ = world(np.random.default_rng(4), K + 3)
    together = readings(honest, original)
    alone = [readings(np.vstack([honest[j], honest[3:]]), original) for j in range(3)]
    assert together[:3] == pytest.approx([read[0] for read in alone])
    assert together[3:] == pytest.approx(alone[0][1:])


def test_references_that_agree_leave_the_originals_own_pattern() -> None:
    original = np.arange(1.0, N + 1)
    models = np.vstack([0.2 * original, np.zeros((K, N))])
    found = matched(models, original, 1)
    assert found is not None
    assert found[0] == pytest.approx([0.2] + K * [0.0])
    assert found[1] == 0


def test_there_is_no_filter_where_the_original_shows_little_but_noise() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(K + 2, N))
    assert matched(noise[1:], noise[0], 1) is None
    assert matched(noise[1:], noise[0] + 1, 1) is None  # half of what it shows
    assert matched(noise[1:], noise[0] + 5, 1) is not None


def test_there_is_no_filter_without_three_references_thirty_rows_or_a_difference() -> None:
    honest, original, _ = world(np.random.default_rng(6), K + 1)
    assert matched(honest, original, 1) is not None
    assert matched(honest[:3], original, 1) is None
    assert matched(honest[:, :29], original[:29], 1) is None
    assert matched(np.ones((K + 1, N)), np.ones(N), 1) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(bad: float) -> None:
    honest, original, _ = world(np.random.default_rng(7), K + 1)
    honest[0, 3] = bad
    with pytest.raises(ValueError, match="finite"):
        matched(honest, original, 1)


@pytest.mark.parametrize("scale", [1e-170, 1e-8, 1e8, 1e155])
def test_the_unit_of_the_rows_does_not_matter(scale: float) -> None:
    honest, original, _ = world(np.random.default_rng(8), K + 1)
    assert readings(scale * honest, scale * original) == pytest.approx(readings(honest, original))
