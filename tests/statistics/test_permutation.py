"""audit/statistics/permutation.py: exact level, step-down adjustment, invariances."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from audit.statistics import permutation
from audit.statistics.permutation import Relabellings, max_t, permutation_max_t

PERMUTATIONS = 199


def run(scores: np.ndarray, n_forget: int, permutations: int = PERMUTATIONS, seed: int = 0):
    return permutation_max_t(scores, n_forget, permutations, np.random.default_rng(seed))


def standardised(scores: np.ndarray, forget: np.ndarray) -> np.ndarray:
    """The textbook statistic: difference of means over the pooled (label-free) sd and sqrt(1/n_F + 1/n_H)."""
    mask = np.zeros(scores.shape[1], dtype=bool)
    mask[forget] = True
    difference = scores[:, mask].mean(axis=1) - scores[:, ~mask].mean(axis=1)
    return difference / (scores.std(axis=1, ddof=1) * np.sqrt(1 / mask.sum() + 1 / (~mask).sum()))


def brute_force(scores: np.ndarray, n_forget: int) -> np.ndarray:
    """Westfall-Young step-down over *all* relabellings, straight from Ge, Dudoit & Speed 2003, box 2."""
    n = scores.shape[1]
    observed = np.abs(standardised(scores, np.arange(n_forget)))
    order = np.argsort(-observed)
    every = np.array([np.abs(standardised(scores, np.array(c))) for c in itertools.combinations(range(n), n_forget)])
    adjusted = np.empty(len(scores))
    running = 0.0
    for rank, a in enumerate(order):
        among = every[:, order[rank:]].max(axis=1)
        running = max(running, float((among >= observed[a] - 1e-9).mean()))
        adjusted[a] = running
    return adjusted


def test_adjusted_p_matches_the_full_enumeration():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(4, 11))
    scores[0, :5] += 2.0
    scores[1] = 0.8 * scores[0] + 0.6 * rng.normal(size=11)
    scores[2, :5] -= 0.8
    result = run(scores, 5, permutations=20_000)
    expected = brute_force(scores, 5)
    # 462 relabellings; 20,000 draws: 5 Monte Carlo standard errors
    np.testing.assert_allclose(result.adjusted, expected, atol=5 * np.sqrt(expected * (1 - expected) / 2e4).max())
    assert result.p == result.adjusted.min()


@pytest.mark.parametrize("block", [64 * 2**20, 8 * 40 * 25])
@pytest.mark.parametrize("strata", [None, np.arange(40) % 3])
def test_tests_that_share_their_relabellings_find_what_each_would_alone(
    monkeypatch: pytest.MonkeyPatch, block: int, strata: np.ndarray | None
):
    """Kept in one block, or drawn again for each test in several."""
    monkeypatch.setattr(permutation, "CHUNK_BYTES", block)
    scores = np.random.default_rng(1).normal(size=(3, 40))
    shared = Relabellings(40, 15, PERMUTATIONS, np.random.default_rng(0), strata)
    for rows in (scores, scores[:1] + np.r_[np.ones(15), np.zeros(25)]):
        alone = permutation_max_t(rows, 15, PERMUTATIONS, np.random.default_rng(0), strata)
        np.testing.assert_array_equal(max_t(rows, shared).adjusted, alone.adjusted)
    assert sum(len(block) for block in shared.blocks()) == PERMUTATIONS


def test_statistic_is_the_standardised_difference_of_means():
    scores = np.random.default_rng(0).normal(size=(3, 40))
    np.testing.assert_allclose(run(scores, 15).statistic, standardised(scores, np.arange(15)), rtol=1e-10)


def test_single_attack_agrees_with_scipy():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=30)
    scores[:10] += 0.5
    theirs = stats.permutation_test(
        (scores[:10], scores[10:]),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        n_resamples=9999,
        rng=np.random.default_rng(2),
        vectorized=True,
    ).pvalue
    assert run(scores[None], 10, 9999).p == pytest.approx(theirs, abs=0.02)


def test_constant_scores_give_p_one():
    result = run(np.full((2, 30), 3.0), 10)
    assert result.p == 1.0
    assert (result.adjusted == 1.0).all()
    assert (result.statistic == 0.0).all()


def test_a_constant_attack_does_not_touch_the_others():
    scores = np.random.default_rng(0).normal(size=(1, 30))
    alone, beside = run(scores, 10), run(np.vstack([scores, np.zeros(30)]), 10)
    assert beside.p == alone.p
    assert beside.adjusted[1] == 1.0


def test_ties_count_against_rejection():
    """One forget row stands out; a tenth of all relabellings tie with the observed one."""
    scores = np.zeros((1, 10))
    scores[0, 0] = 1.0
    assert run(scores, 1, 9999).p == pytest.approx(0.1, abs=0.015)
    two_sided = np.zeros((1, 4))
    two_sided[0, :2] = 1.0  # {0,1} and {2,3} are equally extreme: 2 of 6 relabellings
    assert run(two_sided, 2, 9999).p == pytest.approx(1 / 3, abs=0.02)


def test_smallest_p_is_one_over_permutations_plus_one():
    scores = np.concatenate([np.ones(30), np.zeros(60)])[None] + 0.01 * np.random.default_rng(0).normal(size=(1, 90))
    assert run(scores, 30, 999).p == 1 / 1000


@pytest.mark.parametrize(
    ("scores", "n_forget", "permutations"),
    [
        (np.zeros((0, 10)), 5, 99),
        (np.zeros((1, 10)), 0, 99),
        (np.zeros((1, 10)), 10, 99),
        (np.zeros((1, 10)), 5, 0),
        (np.array([[0.0, np.nan, 1.0]]), 1, 99),
        (np.array([[0.0, np.inf, 1.0]]), 1, 99),
    ],
)
def test_refuses_what_it_cannot_test(scores, n_forget, permutations):
    with pytest.raises(ValueError, match="permutation_max_t"):
        run(scores, n_forget, permutations)


def test_large_problems_are_chunked_with_the_same_rows(monkeypatch):
    """Chunking bounds memory; every chunk size is a valid test of the same statistic."""
    import audit.statistics.permutation as module

    scores = np.random.default_rng(0).normal(size=(2, 50))
    whole = run(scores, 20, 500)
    monkeypatch.setattr(module, "CHUNK_BYTES", 8 * 50 * 7)
    pieces = run(scores, 20, 500)
    np.testing.assert_array_equal(whole.adjusted, pieces.adjusted)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(float, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
               elements=st.floats(-1e6, 1e6, width=32)),
    st.data(),
)  # fmt: skip
def test_properties(scores, data):
    n_forget = data.draw(st.integers(1, scores.shape[1] - 1))
    result = run(scores, n_forget, 49)
    assert 0 < result.p <= 1
    assert result.p == result.adjusted.min()
    assert ((result.adjusted > 0) & (result.adjusted <= 1)).all()
    assert np.isfinite(result.statistic).all()
    order = np.argsort(-np.abs(result.statistic), kind="stable")
    assert (np.diff(result.adjusted[order]) >= 0).all(), "adjusted p-values follow the order of the statistics"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-50, 50))
def test_invariant_to_units_and_to_sign(seed, factor, offset):
    scores = np.random.default_rng(seed).normal(size=(2, 24))
    base = run(scores, 9)
    for changed, sign in ((factor * scores + offset, 1), (-scores, -1)):
        result = run(changed, 9)
        np.testing.assert_allclose(result.adjusted, base.adjusted)
        np.testing.assert_allclose(result.statistic, sign * base.statistic, rtol=1e-6, atol=1e-9)


def test_row_order_within_a_side_changes_no_statistic():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(2, 30))
    mixed = scores[:, np.concatenate([rng.permutation(12), 12 + rng.permutation(18)])]
    np.testing.assert_allclose(run(mixed, 12).statistic, run(scores, 12).statistic)
    p = [run(s, 12, 20_000).p for s in (scores, mixed)]
    assert p[0] == pytest.approx(p[1], abs=0.02)


def test_level_under_the_null():
    """2,000 nulls of three dependent heavy-tailed scores: rejections at most the binomial 99.9 % point of .05."""
    worlds, rng = 2000, np.random.default_rng(11)
    rejected = 0
    for seed in range(worlds):
        common = rng.standard_t(3, size=36)
        scores = common + rng.standard_t(3, size=(3, 36))
        rejected += run(scores, 12, 99, seed).p <= 0.05
    assert rejected <= stats.binom.ppf(0.999, worlds, 0.05)
    assert rejected >= stats.binom.ppf(0.001, worlds, 0.05), "exact, so not conservative either"


def test_step_down_controls_the_family_with_one_false_null():
    """Family-wise error of the two true nulls beside a strong effect, and the effect is found."""
    worlds, rng = 800, np.random.default_rng(12)
    false, found = 0, 0
    for seed in range(worlds):
        scores = rng.normal(size=(3, 40))
        scores[0, :15] += 2
        result = run(scores, 15, 99, seed)
        false += result.adjusted[1:].min() <= 0.05
        found += result.adjusted[0] <= 0.05
    assert false <= stats.binom.ppf(0.999, worlds, 0.05)
    assert found >= 0.95 * worlds
