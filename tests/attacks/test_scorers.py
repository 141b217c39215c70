"""The scorers of membership inference against brute force, and the defects of others as regression tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attacks.scorers import lira, rmia
from attacks.scorers.pipelines import record_p
from attacks.signals import entropy, label_margin, log_label, modified_entropy

RNG = np.random.default_rng(0)


def world(shadows: int, n: int, leak: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Shadow signals, coins, one target's signals and its own members (the first half)."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 2, n)
    member = rng.random((shadows, n)) < 0.5
    own = np.arange(n) < n // 2
    noise = rng.normal(size=(shadows + 1, n))
    signals = difficulty + noise + leak * np.vstack([member, own])
    return signals[:-1], member, signals[-1:], own


def auc(scores: np.ndarray, own: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(stats.mannwhitneyu(scores[own], scores[~own]).statistic / (own.sum() * (~own).sum()))


def test_t7_modified_entropy_follows_the_label() -> None:
    """T7: log(1 - p) where it is due, indexed per row."""
    logits = np.log(np.array([[0.7, 0.2, 0.1]] * 3))
    found = modified_entropy(logits, np.arange(3))
    np.testing.assert_allclose(found, [0.16217, 2.14087, 2.95974], atol=1e-5)
    sure = modified_entropy(np.array([[1e3, 0.0, 0.0]] * 2), np.array([0, 1]))
    assert np.isfinite(sure).all()
    assert sure[0] == pytest.approx(0, abs=1e-9)
    assert sure[1] > 100
    np.testing.assert_allclose(entropy(logits), stats.entropy([0.7, 0.2, 0.1]))
    np.testing.assert_allclose(log_label(logits, np.arange(3)), np.log([0.7, 0.2, 0.1]))
    assert label_margin(logits, np.arange(3))[0] > 0 > label_margin(logits, np.arange(3))[1]


def test_online_lira_is_the_ratio_of_two_normals() -> None:
    """T15, T14: shrunk residual variances of the shadow models alone, IN and OUT apart."""
    shadows, member, _, _ = world(33, 41, 1.0)
    target = RNG.normal(size=(2, 41))
    fitted = lira.fit(shadows, member)
    sides = []
    for mask in (member, ~member):
        count = mask.sum(axis=0)
        mean = np.array([shadows[mask[:, i], i].mean() for i in range(41)])
        squares = np.array([((shadows[mask[:, i], i] - mean[i]) ** 2).sum() for i in range(41)])
        pooled = squares.sum() / (count - 1).sum()
        sides.append((mean, (4 * pooled + squares) / (4 + count - 1) * (1 + 1 / count)))
    expected = stats.norm.logpdf(target, sides[0][0], np.sqrt(sides[0][1])) - stats.norm.logpdf(
        target, sides[1][0], np.sqrt(sides[1][1])
    )
    np.testing.assert_allclose(lira.in_blocks(target, fitted), expected, rtol=1e-9)
    np.testing.assert_allclose(lira.online(target, shadows.astype(np.float32), member), expected, atol=1e-4)


def test_held_out_is_refitting_without_each_model() -> None:
    """T25: no shadow model is scored by a fit that holds it."""
    shadows, member, _, _ = world(20, 30, 0.5)
    expected = []
    for s in range(20):
        rest = np.arange(20) != s
        expected.append(lira.online(shadows[s : s + 1], shadows[rest], member[rest])[0])
    np.testing.assert_allclose(lira.held_out(shadows, member), expected, rtol=1e-8, atol=1e-8)


def test_rows_without_a_model_on_one_side_are_kept() -> None:
    """T8, T21: odd sizes, a row in no model; as many scores come out as rows went in."""
    shadows, member, target, _ = world(17, 31, 1.0)
    member[:, 0], member[:, 1] = False, True
    scores = lira.online(target, shadows, member)
    assert scores.shape == (1, 31)
    assert np.isfinite(scores).all()
    assert lira.fit(shadows, member).few == 2


def test_identical_shadow_models_are_no_null() -> None:
    _, member, _, _ = world(16, 10, 0.0)
    with pytest.raises(ValueError, match="agree exactly"):
        lira.fit(np.ones((16, 10)), member)


def test_t13_offline_is_one_sided() -> None:
    """T13: for fixed references the score rises with the signal, never a density."""
    references = RNG.normal(size=(8, 5))
    scores = [lira.offline(np.full(5, value), references) for value in np.linspace(-9, 9, 13)]
    assert (np.diff(scores, axis=0) > 0).all()


def test_rmia_equals_the_pairwise_matrix() -> None:
    """T18: sorting gives what the N x Z matrix gives; ties count half (T1)."""
    x, z = RNG.integers(-4, 5, 50) / 2, RNG.integers(-4, 5, 40) / 2
    for gamma in (1.0, 2.0):
        ratio = (x[:, None] - z[None]) - np.log(gamma)
        dense = ((ratio > 1e-12) + 0.5 * (np.abs(ratio) <= 1e-12)).mean(axis=1)
        np.testing.assert_allclose(rmia.share_dominated(x, z, gamma), dense)


def test_t16_rmia_uses_every_reference_and_no_order() -> None:
    logs = -RNG.random((9, 30))
    population = -RNG.random((9, 200))
    target, points = logs[0], population[0]
    plain = rmia.offline(target, logs[1:], points, population[1:])
    order = RNG.permutation(8)
    np.testing.assert_allclose(plain, rmia.offline(target, logs[1:][order], points, population[1:][order]))
    for k in range(1, 9):
        changed = logs.copy()
        changed[k] -= RNG.random(30)
        assert not np.array_equal(plain, rmia.offline(target, changed[1:], points, population[1:]))


@pytest.mark.parametrize("a", [0.0, 0.33, 1.0])
def test_rmia_against_all_others_equals_one_model_after_another(a: float) -> None:
    """Also where one model's probability is all there is of a sum, with tiny ones beside it."""
    rng = np.random.default_rng(5)
    examples, population = (np.minimum(rng.normal(-20, 15, (4, n)), 0) for n in (30, 200))
    examples[2, :10] = 0
    for j, found in enumerate(rmia.leave_one_out(examples, population, a)):
        others = np.arange(4) != j
        expected = rmia.offline(examples[j], examples[others], population[j], population[others], a)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_row_without_a_model_on_one_side_takes_the_offline_line() -> None:
    """p_in = a p_out + 1 - a: the missing side is not the other side's copy."""
    p = np.array([[0.8, 0.8, 0.1], [0.6, 0.6, 0.1]])
    member = np.array([[False, True, True], [False, True, True]])
    a, out = 0.5, 0.7
    found = np.exp(rmia.log_prior_online(np.log(p), member, a))
    assert found[0] == pytest.approx((out + a * out + 1 - a) / 2)
    assert found[0] == pytest.approx(np.exp(rmia.log_prior_offline(np.log([out]), a))[0])
    assert found[1] == pytest.approx((0.7 + (0.7 - 0.5) / a) / 2)
    assert found[2] == pytest.approx(0.1 / 2)  # below 1 - a no OUT model can be meant: 0
    assert np.exp(rmia.log_prior_online(np.log(p), member, 0.0))[1] == pytest.approx(0.7)


def test_t10_affine_rescaling_leaves_the_ranking() -> None:
    shadows, member, target, _ = world(24, 100, 1.0)
    plain = lira.online(target, shadows, member)[0]
    scaled = lira.online(1000 * target - 5, 1000 * shadows - 5, member)[0]
    np.testing.assert_allclose(plain, scaled, rtol=1e-6, atol=1e-6)


def test_record_p_is_uniform_where_nothing_is_left() -> None:
    rng = np.random.default_rng(4)
    pipelines, member = rng.normal(size=(256, 3000)), rng.random((256, 3000)) < 0.5
    p = record_p(rng.normal(size=3000), pipelines, member)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert record_p(np.full(3000, 99.0), pipelines, member).max() < 0.02
