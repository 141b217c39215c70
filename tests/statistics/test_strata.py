"""audit/statistics/permutation.py: labels permuted within strata."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.statistics.permutation import permutation_max_t

PERMUTATIONS = 199


def run(scores: np.ndarray, n_forget: int, permutations: int = PERMUTATIONS, seed: int = 0):
    return permutation_max_t(scores, n_forget, permutations, np.random.default_rng(seed))


# --- strata -----------------------------------------------------------------------------------------------------


def stratified(scores: np.ndarray, n_forget: int, strata: np.ndarray, permutations: int = PERMUTATIONS, seed: int = 0):
    return permutation_max_t(scores, n_forget, permutations, np.random.default_rng(seed), strata)


def test_one_stratum_is_the_plain_test():
    scores = np.random.default_rng(0).normal(size=(3, 40))
    assert_same(stratified(scores, 15, np.full(40, 7)), run(scores, 15))


def assert_same(found, expected):
    np.testing.assert_array_equal(found.adjusted, expected.adjusted)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)


def test_strata_against_the_full_enumeration():
    """Every relabelling within strata, sums of centred scores over their sd across all of them."""
    rng = np.random.default_rng(1)
    strata = np.array([0, 0, 1, 1, 1, 0, 0, 1, 1, 2, 3])  # 5 forget rows; strata 2 and 3 lie on the holdout side
    scores = rng.normal(size=(2, 11)) + 3 * strata
    scores[0, :5] += 1.5
    centred = scores.copy()
    for g in range(4):
        centred[:, strata == g] -= centred[:, strata == g].mean(axis=1, keepdims=True)
    zero, one = np.flatnonzero(strata == 0), np.flatnonzero(strata == 1)
    sums = np.array(
        [
            centred[:, [*a, *b]].sum(axis=1)
            for a in itertools.combinations(zero, 2)
            for b in itertools.combinations(one, 3)
        ]
    )
    observed, sd = centred[:, :5].sum(axis=1), np.sqrt((sums**2).mean(axis=0))
    result = stratified(scores, 5, strata, 20_000)
    np.testing.assert_allclose(result.statistic, observed / sd)
    every = np.abs(sums / sd).max(axis=1)
    expected = (every >= np.abs(observed / sd).max() - 1e-9).mean()
    assert result.p == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / 2e4))


def test_strata_remove_what_they_share():
    """Classes of unlike difficulty, unevenly split: the plain test fails an honest model, the stratified does not."""
    worlds, rng = 500, np.random.default_rng(2)
    strata = np.r_[np.repeat([0, 1], [25, 5]), np.repeat([0, 1], [20, 40])]
    plain = within = 0
    for seed in range(worlds):
        scores = rng.standard_t(3, size=(2, 90)) + 2 * strata
        plain += run(scores, 30, 99, seed).p <= 0.05
        within += stratified(scores, 30, strata, 99, seed).p <= 0.05
    assert plain > 0.75 * worlds
    assert stats.binom.ppf(0.001, worlds, 0.05) <= within <= stats.binom.ppf(0.999, worlds, 0.05)


def test_a_stratum_on_one_side_carries_no_information():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(2, 30))
    extra = np.concatenate([scores[:, :10], 50 + rng.normal(size=(2, 4)), scores[:, 10:]], axis=1)
    strata = np.r_[np.zeros(10, int), np.ones(4, int), np.zeros(20, int)]
    assert_same(stratified(extra, 14, strata), run(scores, 10))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5))
def test_names_of_strata_and_shifts_within_them_do_not_matter(seed, groups):
    rng = np.random.default_rng(seed)
    scores, strata = rng.normal(size=(2, 40)), rng.integers(0, groups, 40)
    strata[:2], strata[-2:] = [0, 1], [0, 1]
    base = stratified(scores, 16, strata)
    assert_same(stratified(scores, 16, 100 * strata + 3), base)
    moved = stratified(scores + 10 * strata, 16, strata)
    np.testing.assert_allclose(moved.statistic, base.statistic, atol=1e-9)


@pytest.mark.parametrize("strata", [[0, 0, 1], [[0, 0, 1, 1]], [0, 0, 1, 1], [0, 1, 2, 3]])
def test_strata_of_the_wrong_kind_are_refused(strata):
    with pytest.raises(ValueError, match=r"permutation_max_t: .*(strata|stratum)"):
        stratified(np.arange(4.0)[None], 2, np.array(strata))
