"""audit/statistics/model_level.py: Crawford-Howell t, exact ranks, Holm."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from audit.statistics.model_level import crawford_howell, holm, rank_family, spread, t_family

NO_FLOOR = np.zeros(1)


@pytest.mark.parametrize("k", [2, 5, 19])
def test_crawford_howell_is_a_two_sample_t_test_with_one_case(k):
    """With n = 1 in one group the pooled two-sample t statistic is Crawford-Howell's, on the same K - 1 df."""
    values = np.random.default_rng(k).normal(size=k + 1)
    t, p = crawford_howell(values)
    references = values[1:]
    n1, n2 = 1, k
    pooled = references.var(ddof=1)  # the single case adds no degree of freedom
    expected = (values[0] - references.mean()) / np.sqrt(pooled * (1 / n1 + 1 / n2))
    assert t == pytest.approx(expected)
    assert p == pytest.approx(2 * stats.t.sf(abs(expected), k - 1))
    with np.errstate(all="ignore"):
        scipys = stats.ttest_ind(values[:1], references, equal_var=True)
    assert (t, p) == (pytest.approx(float(scipys.statistic)), pytest.approx(float(scipys.pvalue)))


def test_crawford_howell_is_the_prediction_interval_test():
    """p = alpha exactly where the case lies on the bound of the (1 - alpha) prediction interval."""
    references = np.array([1.0, 2.0, 4.0, 4.5, 6.0])
    half = stats.t.ppf(0.975, 4) * references.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert crawford_howell(np.r_[references.mean() + half, references])[1] == pytest.approx(0.05)


@pytest.mark.parametrize("k", [3, 5, 8])
def test_crawford_howell_level(k):
    worlds = 4000
    values = np.random.default_rng(k).normal(3, 2, size=(worlds, k + 1))
    rejected = sum(crawford_howell(row)[1] <= 0.05 for row in values)
    low, high = stats.binom.ppf([0.0005, 0.9995], worlds, 0.05)
    assert low <= rejected <= high


def test_the_floor_never_lowers_p():
    values = np.array([2.0, 0.0, 0.1, -0.1, 0.05, 0.0])
    p = [crawford_howell(values, floor)[1] for floor in (0.0, 0.05, 0.5, 5.0)]
    assert p == sorted(p)
    assert p[0] < 0.001 < p[-1]
    assert spread(values[1:], 0.5) == 0.5
    assert spread(values[1:], 0.0) == pytest.approx(values[1:].std(ddof=1))


def test_references_that_agree_give_no_evidence():
    assert crawford_howell(np.array([5.0, 1.0, 1.0, 1.0])) == (0.0, 1.0)
    assert rank_family(np.array([[5.0] + [1.0] * 19]), NO_FLOOR).p == 1.0


def test_p_is_positive_where_it_underflows():
    assert 0 < crawford_howell(np.array([1e300, *np.linspace(0, 1, 30)]))[1] < 1e-200


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0], [np.nan, 1.0, 2.0], [1.0, np.inf, 2.0]])
def test_refuses_too_few_or_non_finite(values):
    with pytest.raises(ValueError, match="crawford_howell"):
        crawford_howell(np.array(values))


def test_t_family_is_bonferroni():
    statistics = np.random.default_rng(0).normal(size=(4, 9))
    result = t_family(statistics, np.zeros(4))
    single = np.array([crawford_howell(row)[1] for row in statistics])
    np.testing.assert_allclose(result.adjusted, np.minimum(1, 4 * single))
    assert result.p == result.adjusted.min()


@pytest.mark.parametrize("k", [2, 4, 19])
def test_rank_p_lies_on_its_lattice(k):
    rng = np.random.default_rng(k)
    lattice = np.arange(1, k + 2) / (k + 1)
    seen = {rank_family(rng.normal(size=(3, k + 1)), np.zeros(3)).p for _ in range(300)}
    assert all(np.isclose(lattice, p).any() for p in seen)
    assert min(seen) == pytest.approx(1 / (k + 1))
    far = np.r_[100.0, rng.normal(size=k)][None]
    assert rank_family(far, NO_FLOOR).p == pytest.approx(1 / (k + 1))


def test_rank_p_is_uniform_on_its_lattice_under_exchangeability():
    """Exact at any dependence between the statistics and any common shift of the seeds."""
    k, worlds, rng = 4, 4000, np.random.default_rng(9)
    counts = np.zeros(k + 2)
    for _ in range(worlds):
        common = rng.standard_cauchy(k + 1)
        statistics = np.stack([common, common + rng.normal(size=k + 1), rng.exponential(size=k + 1)])
        counts[round(rank_family(statistics, np.zeros(3)).p * (k + 1))] += 1
    assert stats.chisquare(counts[1:]).pvalue > 0.001


def test_rank_ties_count_against_rejection():
    """A bit-for-bit twin of the audited model among the references keeps it from being the single extreme."""
    references = np.random.default_rng(1).normal(size=19)
    twin = np.r_[50.0, 50.0, references[1:]][None]
    assert rank_family(twin, NO_FLOOR).p == pytest.approx(2 / 20)
    assert rank_family(np.zeros((2, 20)), np.zeros(2)).p == 1.0


def test_rank_does_not_depend_on_the_order_of_the_references():
    rng = np.random.default_rng(2)
    statistics = rng.normal(size=(3, 20))
    mixed = statistics[:, np.r_[0, 1 + rng.permutation(19)]]
    np.testing.assert_allclose(rank_family(mixed, np.zeros(3)).adjusted, rank_family(statistics, np.zeros(3)).adjusted)


def test_rank_family_adjusted_is_max_t():
    statistics = np.random.default_rng(4).normal(size=(3, 12))
    result = rank_family(statistics, np.zeros(3))
    z = np.array(
        [[(row[j] - np.delete(row, j).mean()) / np.delete(row, j).std(ddof=1) for j in range(12)] for row in statistics]
    )
    best = np.abs(z).max(axis=0)
    np.testing.assert_allclose(result.statistic, z[:, 0])
    assert result.p == pytest.approx((best >= best[0]).mean())
    np.testing.assert_allclose(result.adjusted, [(best >= abs(z[a, 0])).mean() for a in range(3)])


def closed_testing(p: list[float]) -> list[float]:
    """Holm as the closure of Bonferroni: the largest Bonferroni p over every intersection containing i."""
    sets = [s for size in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), size)]
    return [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p):
    adjusted = holm({str(i): value for i, value in enumerate(p)})
    np.testing.assert_allclose([adjusted[str(i)] for i in range(len(p))], closed_testing(p))


def test_holm_known_values():
    assert holm({}) == {}
    assert holm({"a": 0.3}) == {"a": 0.3}
    assert holm({"D2": 0.03, "D1": 0.04}) == pytest.approx({"D2": 0.06, "D1": 0.06})
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 25), st.integers(1, 4), st.integers(0, 2**31), st.floats(0, 2))
def test_families_properties(k, count, seed, floor):
    statistics = np.random.default_rng(seed).normal(size=(count, k + 1)).round(1)  # with ties
    for family in (t_family, rank_family):
        result = family(statistics, np.full(count, floor))
        assert 0 < result.p <= 1
        assert ((result.adjusted >= result.p - 1e-12) & (result.adjusted <= 1)).all()
        assert np.isfinite(result.statistic).all()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p):
    adjusted = holm({str(i): value for i, value in enumerate(p)})
    np.testing.assert_allclose([adjusted[str(i)] for i in range(len(p))], multipletests(p, method="holm")[1])


@pytest.mark.parametrize("value", [0.0, -0.1, 1.1, np.nan])
def test_holm_refuses(value):
    with pytest.raises(ValueError, match="holm"):
        holm({"a": 0.5, "b": value})


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 20), st.integers(0, 2**31), st.sampled_from([0.0, 0.3]), st.sampled_from([0, 1, 6]))
def test_rank_family_is_the_loop_over_models(k, seed, floor, decimals):
    """Z_j by its definition, model by model; far outliers and ties included."""
    rng = np.random.default_rng(seed)
    statistics = rng.normal(size=(4, k + 1)).round(decimals)
    statistics[1, 0] = 1e7
    statistics[2, 1:] = 2.0
    z = np.zeros_like(statistics)
    for a, row in enumerate(statistics):
        for j in range(k + 1):
            others = np.delete(row, j)
            s = max(others.std(ddof=1), floor)
            z[a, j] = 0.0 if s < 1e-12 else (row[j] - others.mean()) / s
    size = np.abs(z)
    result = rank_family(statistics, np.full(4, floor))
    np.testing.assert_allclose(result.statistic, z[:, 0], rtol=1e-9, atol=1e-9)
    expected = [(size.max(axis=0) >= size[a, 0] - 1e-9 * max(1, size[a, 0])).mean() for a in range(4)]
    np.testing.assert_allclose(result.adjusted, expected)


@pytest.mark.parametrize("statistics", [np.zeros((1, 2)), np.array([[1.0, np.nan, 2.0]])])
def test_rank_family_refuses(statistics):
    with pytest.raises(ValueError, match="rank_family"):
        rank_family(statistics, NO_FLOOR)
