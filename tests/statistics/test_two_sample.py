"""audit/statistics/two_sample.py: several unlearned runs against several retrains."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.statistics import two_sample
from audit.statistics.two_sample import smallest_p, two_sample_family


def run(statistics, runs, floors=None, seed=0):
    floors = np.zeros(len(statistics)) if floors is None else floors
    return two_sample_family(np.asarray(statistics, dtype=float), floors, runs, np.random.default_rng(seed))


def test_one_statistic_is_scipys_exact_permutation_test():
    values = np.random.default_rng(0).normal(size=9)

    def difference(x, y, axis):
        return np.abs(x.mean(axis=axis) - y.mean(axis=axis))

    expected = stats.permutation_test(
        (values[:4], values[4:]), difference, vectorized=True, n_resamples=math.inf, alternative="greater"
    )
    assert run(values[None], 4).p == pytest.approx(expected.pvalue)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31), st.integers(0, 2))
def test_step_down_by_brute_force(runs, references, count, seed, decimals):
    rng = np.random.default_rng(seed)
    statistics = rng.normal(size=(count, runs + references)).round(decimals)
    result, n = run(statistics, runs), runs + references
    sd = statistics.std(axis=1, ddof=1)
    safe = np.where(sd > 0, sd, np.inf)
    every = []
    for chosen in itertools.combinations(range(n), runs):
        rest = np.setdiff1d(np.arange(n), chosen)
        t = (statistics[:, chosen].mean(axis=1) - statistics[:, rest].mean(axis=1)) / safe
        every.append(t / math.sqrt(1 / runs + 1 / references))
    every = np.array(every)
    np.testing.assert_allclose(result.statistic, every[0], atol=1e-9)
    order, running = np.argsort(-np.abs(result.statistic), kind="stable"), 0.0
    for rank, a in enumerate(order):
        among = np.abs(every[:, order[rank:]]).max(axis=1)
        running = max(running, float((among >= abs(every[0, a]) - 1e-8).mean()))
        assert result.adjusted[a] == pytest.approx(running)
    assert smallest_p(runs, references) - 1e-12 <= result.p <= 1
    assert result.p == result.adjusted.min()


def test_smallest_p():
    """Two-sided: with J = K the mirror image ties, so 3 + 3 cannot reach .05 (the design's .05 is one-sided)."""
    assert smallest_p(3, 3) == pytest.approx(0.1)
    assert smallest_p(3, 4) == pytest.approx(1 / 35)
    assert smallest_p(4, 4) == pytest.approx(2 / 70)
    assert smallest_p(5, 5) == pytest.approx(2 / 252)
    assert smallest_p(1, 19) == pytest.approx(0.05)
    assert smallest_p(1, 1) == 1.0
    assert smallest_p(10, 10) == 1e-4


@pytest.mark.parametrize(("runs", "references"), [(1, 19), (3, 3), (3, 5), (5, 3), (5, 5), (10, 10)])
def test_smallest_p_is_reached_by_separated_groups(runs, references):
    values = np.r_[10 + 0.1 * np.arange(runs), 0.1 * np.arange(references)]
    assert run(values[None], runs, seed=1).p == pytest.approx(smallest_p(runs, references))
    assert run(-values[None], runs, seed=1).p == pytest.approx(smallest_p(runs, references))


def test_random_relabellings_agree_with_all_of_them(monkeypatch):
    statistics = np.random.default_rng(3).normal(size=(3, 12))
    statistics[0, :5] += 1.2
    exact = run(statistics, 5)
    monkeypatch.setattr(two_sample, "EXACT", 0)
    np.testing.assert_allclose(run(statistics, 5).adjusted, exact.adjusted, atol=0.02)


@pytest.mark.parametrize(("runs", "references"), [(3, 4), (4, 4)])
def test_level_is_exact_for_dependent_heavy_tails(runs, references):
    worlds, rng = 1500, np.random.default_rng(runs)
    rejected = 0
    for _ in range(worlds):
        common = rng.standard_cauchy(runs + references)
        rejected += run(common + rng.standard_cauchy((3, runs + references)), runs).p <= 0.05
    assert rejected <= stats.binom.ppf(0.999, worlds, 0.05)


def test_floors_change_weights_but_not_the_level():
    worlds, rng = 1000, np.random.default_rng(8)
    rejected = 0
    for _ in range(worlds):
        statistics = rng.normal(size=(2, 8)) * [[1e-3], [1.0]]
        rejected += run(statistics, 4, floors=np.array([0.5, 0.0])).p <= 0.06
    assert rejected <= stats.binom.ppf(0.999, worlds, 0.06)


def test_ties_and_agreement_count_against_rejection():
    assert run(np.ones((2, 8)), 4).p == 1.0
    assert run(np.full((1, 8), 0.1), 4).p == 1.0, "rounding of a mean is no difference"
    twins = run([[1, 1, 1, 0, 1, 0, 0, 0]], 3)
    expected = [sum(chosen) in (0, 3) for chosen in itertools.combinations([1, 1, 1, 0, 1, 0, 0, 0], 3)]
    assert twins.p == pytest.approx(np.mean(expected))


def test_units_sign_and_order_do_not_matter():
    rng = np.random.default_rng(9)
    statistics = rng.normal(size=(3, 8))
    base = run(statistics, 3)
    np.testing.assert_allclose(run(1e5 * statistics - 3, 3).adjusted, base.adjusted)
    np.testing.assert_allclose(run(-statistics, 3).adjusted, base.adjusted)
    mixed = statistics[:, np.r_[rng.permutation(3), 3 + rng.permutation(5)]]
    np.testing.assert_allclose(run(mixed, 3).adjusted, base.adjusted)
    np.testing.assert_allclose(run(statistics[::-1], 3).adjusted, base.adjusted[::-1])


@pytest.mark.parametrize(
    ("statistics", "runs"),
    [(np.zeros((0, 5)), 2), (np.zeros((1, 5)), 0), (np.zeros((1, 5)), 5), (np.full((1, 5), np.nan), 2)],
)
def test_refuses(statistics, runs):
    with pytest.raises(ValueError, match="two_sample_family"):
        run(statistics, runs)


@pytest.mark.parametrize("arguments", [(0, 3), (3, 0)])
def test_smallest_p_refuses(arguments):
    with pytest.raises(ValueError, match="smallest_p"):
        smallest_p(*arguments)
