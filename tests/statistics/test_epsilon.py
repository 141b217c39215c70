"""audit/statistics/epsilon.py: corners, published values, coverage, the split."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from audit.statistics.epsilon import Bounds, epsilon_bounds, mu_bounds, split_bounds

counts = st.tuples(st.integers(1, 300), st.integers(1, 300)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


@pytest.mark.parametrize(("n", "low"), [(100, 3.281), (500, 4.906), (1000, 5.601)])
def test_a_perfect_attack_shows_what_n_rows_can_show(n, low):
    """statistics.md section 7: 95 %, alpha / 2 for each rate."""
    bounds = epsilon_bounds(0, n, 0, n, 0.05)
    assert bounds.low == pytest.approx(low, abs=5e-4)
    assert bounds.high == math.inf


@settings(max_examples=60, deadline=None)
@given(counts, st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([0.0, 1e-5, 0.1]))
def test_corners_against_statsmodels(drawn, alpha, delta):
    fp, n_h, fn, n_f = drawn
    a_low, a = proportion_confint(fp, n_h, alpha, "beta")
    b_low, b = proportion_confint(fn, n_f, alpha, "beta")
    a, b = (1.0 if fp == n_h else a), (1.0 if fn == n_f else b)

    def loss(x: float, y: float) -> float:
        pairs = ((1 - delta - y, x), (1 - delta - x, y))
        return max(0.0, *((math.inf if bottom == 0 else math.log(top / bottom)) for top, bottom in pairs if top > 0), 0)

    bounds = epsilon_bounds(fp, n_h, fn, n_f, alpha, delta)
    assert bounds.low == pytest.approx(loss(a, b), abs=1e-9)
    a_low, b_low = (0.0 if fp == 0 else a_low), (0.0 if fn == 0 else b_low)
    assert bounds.high == pytest.approx(max(loss(a_low, b_low), loss(1 - a, 1 - b)), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(counts, st.sampled_from([0.01, 0.05, 0.5]), st.sampled_from([0.0, 1e-6, 0.3]))
def test_bounds_are_ordered_for_any_counts(drawn, alpha, delta):
    fp, n_h, fn, n_f = drawn
    for bounds in (epsilon_bounds(*drawn, alpha, delta), mu_bounds(*drawn, alpha)):
        assert 0 <= bounds.low <= bounds.high
        assert not math.isnan(bounds.high)
    strict, loose = epsilon_bounds(*drawn, alpha / 10, delta), epsilon_bounds(*drawn, alpha, delta)
    assert strict.low <= loose.low + 1e-12
    assert strict.high >= loose.high - 1e-12
    swapped = epsilon_bounds(fn, n_f, fp, n_h, alpha, delta)  # the two hypotheses exchanged
    assert (swapped.low, swapped.high) == (pytest.approx(loose.low), pytest.approx(loose.high))
    assert epsilon_bounds(*drawn, alpha, 0.9).low <= loose.low + 1e-12, "delta only forgives"


@pytest.mark.parametrize(
    ("mu", "auc", "tpr_1", "epsilon"),
    [
        (0.25, 0.5702, 0.0189, 0.926),
        (0.5, 0.6382, 0.0339, 1.993),
        (1.0, 0.7602, 0.0924, 4.377),
        (2.0, 0.9214, 0.3721, 9.997),
    ],
)
def test_gaussian_dp_values_and_the_bounds_that_close_on_them(mu, auc, tpr_1, epsilon):
    """Dong, Roth & Su 2022: AUC Phi(mu / sqrt 2), TPR at 1 %, epsilon at delta 1e-5."""
    assert stats.norm.cdf(mu / math.sqrt(2)) == pytest.approx(auc, abs=5e-5)
    tpr = stats.norm.cdf(mu + stats.norm.ppf(0.01))
    assert tpr == pytest.approx(tpr_1, abs=5e-5)

    def delta(e: float) -> float:
        return stats.norm.cdf(mu / 2 - e / mu) - math.exp(e) * stats.norm.cdf(-mu / 2 - e / mu)

    assert delta(epsilon) == pytest.approx(1e-5, rel=0.01)
    n = 10**8
    bounds = mu_bounds(round(0.01 * n), n, round((1 - tpr) * n), n, 0.05)
    assert bounds.low <= mu <= bounds.high
    assert bounds.high - bounds.low < 0.01
    assert epsilon_bounds(round(0.01 * n), n, round((1 - tpr) * n), n, 0.05, 1e-5).low <= epsilon


def test_an_attack_read_the_wrong_way_still_bounds_from_above():
    """A model that over-forgets: no row is called although half of the holdout rows are. Low 0, high not."""
    bounds = epsilon_bounds(100, 200, 200, 200, 0.05)
    assert bounds.low == 0
    assert bounds.high == math.inf
    assert mu_bounds(150, 200, 190, 200, 0.05).high > 0.5


@pytest.mark.parametrize(("fpr", "fnr"), [(0.5, 0.5), (0.05, 0.95), (0.1, 0.6), (0.3, 0.3)])
@pytest.mark.parametrize(("n_h", "n_f"), [(30, 30), (400, 100)])
def test_each_bound_errs_in_at_most_alpha(fpr, fnr, n_h, n_f):
    worlds, alpha, rng = 2000, 0.1, np.random.default_rng(n_h)
    epsilon = max(math.log((1 - fnr) / fpr), math.log((1 - fpr) / fnr))
    mu = stats.norm.isf(fpr) - stats.norm.ppf(fnr)
    wrong = np.zeros(4, dtype=int)
    cache: dict[tuple[int, int], tuple[Bounds, Bounds]] = {}
    for pair in zip(rng.binomial(n_h, fpr, worlds), rng.binomial(n_f, fnr, worlds), strict=True):
        if pair not in cache:
            fp, fn = map(int, pair)
            cache[pair] = epsilon_bounds(fp, n_h, fn, n_f, alpha), mu_bounds(fp, n_h, fn, n_f, alpha)
        e, m = cache[pair]
        wrong += [e.low > epsilon + 1e-9, e.high < epsilon - 1e-9, m.low > mu + 1e-9, m.high < mu - 1e-9]
    assert wrong.max() <= stats.binom.ppf(0.999, worlds, alpha)


@pytest.mark.parametrize(
    "arguments",
    [(0, 0, 0, 10, 0.05), (0, 10, 0, 0, 0.05), (11, 10, 0, 10, 0.05), (0, 10, -1, 10, 0.05), (0, 10, 0, 10, 0.0),
     (0, 10, 0, 10, 1.0), (0, 10, 0, 10, math.nan)],
)  # fmt: skip
def test_refuses(arguments):
    for bounds in (epsilon_bounds, mu_bounds):
        with pytest.raises(ValueError, match=r"bounds need|clopper_pearson"):
            bounds(*arguments)


@pytest.mark.parametrize("delta", [-0.1, 1.0, math.nan])
def test_refuses_delta(delta):
    with pytest.raises(ValueError, match="delta"):
        epsilon_bounds(1, 10, 1, 10, 0.05, delta)


# --- the split ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(2, 60), st.integers(0, 2**31), st.integers(0, 2), st.floats(-3, 3))
def test_split_reports_the_second_half_alone(n_f, n_h, seed, decimals, shift):
    rng = np.random.default_rng(seed)
    forget, holdout = rng.normal(shift, 1, n_f).round(decimals), rng.normal(size=n_h).round(decimals)
    result = split_bounds(forget, holdout, 0.05, np.random.default_rng(seed))
    assert (result.n_forget, result.n_holdout) == (n_f - n_f // 2, n_h - n_h // 2)
    assert result.direction in (1, -1)
    assert result.threshold in np.concatenate([forget, holdout])
    again = np.random.default_rng(seed)
    kept_f, kept_h = again.permutation(forget)[n_f // 2 :], again.permutation(holdout)[n_h // 2 :]
    called_f = result.direction * kept_f >= result.direction * result.threshold
    called_h = result.direction * kept_h >= result.direction * result.threshold
    errors = int(called_h.sum()), len(kept_h), int((~called_f).sum()), len(kept_f)
    assert result.epsilon == epsilon_bounds(*errors, 0.05), "a fixed rule's bounds, no data-dependent correction"
    assert result.mu == mu_bounds(*errors, 0.05)


@pytest.mark.parametrize("direction", [1, -1])
def test_split_finds_a_leak_in_either_direction(direction):
    rng = np.random.default_rng(0)
    forget, holdout = direction * rng.normal(2, 1, 1000), direction * rng.normal(0, 1, 1000)
    result = split_bounds(forget, holdout, 0.05, np.random.default_rng(1))
    assert result.direction == direction
    assert 1.5 < result.epsilon.low < 4
    assert 1 < result.mu.low < 2 < result.mu.high


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_split_is_rank_based(seed):
    rng = np.random.default_rng(seed)
    forget, holdout = rng.normal(1, 1, 80), rng.normal(0, 1, 120)
    base = split_bounds(forget, holdout, 0.05, np.random.default_rng(7))
    other = split_bounds(np.exp(forget), np.exp(holdout), 0.05, np.random.default_rng(7))
    assert (other.epsilon, other.mu, other.direction) == (base.epsilon, base.mu, base.direction)
    assert other.threshold == np.exp(base.threshold)


def test_constant_scores_show_nothing():
    result = split_bounds(np.zeros(100), np.zeros(100), 0.05, np.random.default_rng(0))
    assert result.epsilon.low == result.mu.low == 0


@pytest.mark.parametrize(("forget", "holdout"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], []), ([np.nan, 1.0], [1.0, 2.0])])
def test_split_refuses(forget, holdout):
    with pytest.raises(ValueError, match="split_bounds"):
        split_bounds(np.array(forget), np.array(holdout), 0.05, np.random.default_rng(0))
