"""audit/statistics/intervals.py: published values, cross-checks and coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from audit.statistics.intervals import auc_delong, clopper_pearson, sandwich_ranks, tpr_at_fpr


def covered(hits: int, trials: int, level: float) -> bool:
    """Coverage not below ``level`` by more than chance allows (99.9 %)."""
    return trials - hits <= stats.binom.ppf(0.999, trials, 1 - level)


# --- Clopper-Pearson -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # statistics.md section 7; 7/50 is scipy's documented example
        (0, 10, 0.0, 0.308497),
        (0, 100, 0.0, 0.036217),
        (7, 50, 0.058192, 0.267396),
        (5, 100, 0.016432, 0.112835),
        (50, 100, 0.398321, 0.601679),
        (10, 1000, 0.004806, 0.018313),
    ],
)
def test_clopper_pearson_pins(successes, trials, low, high):
    assert clopper_pearson(successes, trials, 0.95) == (
        pytest.approx(low, abs=1e-6),
        pytest.approx(high, abs=1e-6),
    )


def test_clopper_pearson_inverts_the_binomial_test():
    """scipy's documented binomtest(3, 15, .1, "greater") = .184: at that tail the lower bound is .1."""
    p = 0.18406106910639
    assert stats.binomtest(3, 15, 0.1, "greater").pvalue == pytest.approx(p, abs=1e-13)
    assert clopper_pearson(3, 15, 1 - 2 * p)[0] == pytest.approx(0.1, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_clopper_pearson_is_scipys_exact_interval_and_mirrors(trials, data, level):
    successes = data.draw(st.integers(0, trials))
    low, high = clopper_pearson(successes, trials, level)
    theirs = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    assert (low, high) == (pytest.approx(theirs.low, abs=1e-8), pytest.approx(theirs.high, abs=1e-8))
    assert 0 <= low <= successes / trials <= high <= 1
    assert clopper_pearson(trials - successes, trials, level) == (
        pytest.approx(1 - high),
        pytest.approx(1 - low),
    )


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_clopper_pearson_refuses(successes, trials):
    with pytest.raises(ValueError, match="clopper_pearson"):
        clopper_pearson(successes, trials, 0.95)


# --- AUC -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**31), st.integers(0, 2))
def test_auc_is_mann_whitney_with_half_credit_for_ties(n_f, n_h, seed, decimals):
    rng = np.random.default_rng(seed)
    forget, holdout = rng.normal(0.3, 1, n_f).round(decimals), rng.normal(0, 1, n_h).round(decimals)
    estimate = auc_delong(forget, holdout, 0.9)
    labels = np.r_[np.ones(n_f), np.zeros(n_h)]
    assert estimate.value == pytest.approx(roc_auc_score(labels, np.r_[forget, holdout]))
    u = stats.mannwhitneyu(forget, holdout).statistic
    assert estimate.value == pytest.approx(u / (n_f * n_h))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    wider = auc_delong(forget, holdout, 0.99)
    assert wider.low <= estimate.low <= estimate.high <= wider.high


def test_delong_error_is_the_structural_component_variance():
    """DeLong 1988 by its definition: psi(x, y) = 1[x > y] + 1[x = y]/2, averaged over rows and columns."""
    rng = np.random.default_rng(0)
    forget, holdout = rng.normal(0.5, 1, 17).round(1), rng.normal(0, 1, 29).round(1)
    psi = (forget[:, None] > holdout) + 0.5 * (forget[:, None] == holdout)
    expected = psi.mean(axis=1).var(ddof=1) / 17 + psi.mean(axis=0).var(ddof=1) / 29
    assert auc_delong(forget, holdout, 0.9).se == pytest.approx(np.sqrt(expected))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_auc_is_rank_based_and_order_free(seed):
    rng = np.random.default_rng(seed)
    forget, holdout = rng.normal(0.3, 1, 20), rng.normal(0, 1, 30)
    base = auc_delong(forget, holdout, 0.9)
    for transform in (np.exp, np.arctan, lambda s: 1e6 * s + 3):
        assert auc_delong(transform(forget), transform(holdout), 0.9) == base
    shuffled = auc_delong(rng.permutation(forget), rng.permutation(holdout), 0.9)
    mirrored = auc_delong(-forget, -holdout, 0.9)
    for other, low, high in ((shuffled, base.low, base.high), (mirrored, 1 - base.high, 1 - base.low)):
        assert (other.low, other.high, other.se) == pytest.approx((low, high, base.se))


def test_constant_scores_have_auc_half_and_an_honest_interval():
    """All tied: AUC .5, but 30 ties are no proof of it; the interval must not collapse to a point."""
    estimate = auc_delong(np.zeros(30), np.zeros(100), 0.9)
    assert estimate.value == 0.5
    reach = 1 - 0.05 ** (1 / 30)
    assert (estimate.low, estimate.high) == (pytest.approx(0.5 - reach), pytest.approx(0.5 + reach))


@pytest.mark.parametrize("sign", [1, -1])
def test_separated_sides_do_not_pretend_certainty(sign):
    estimate = auc_delong(sign * np.arange(10.0, 30.0), sign * np.arange(-50.0, 0.0), 0.9)
    bound = 0.05 ** (1 / 20)
    assert estimate.value == (1.0 if sign > 0 else 0.0)
    expected = (bound, 1.0) if sign > 0 else (0.0, 1 - bound)
    assert (estimate.low, estimate.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


@pytest.mark.parametrize(
    ("forget", "holdout"),
    [([], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0]), ([np.nan, 1.0], [1.0, 2.0]), ([1, 2], [1, np.inf])],
)  # fmt: skip
def test_auc_refuses(forget, holdout):
    with pytest.raises(ValueError, match="auc_delong"):
        auc_delong(np.array(forget), np.array(holdout), 0.9)


@pytest.mark.parametrize(("n_f", "n_h"), [(30, 100), (50, 100), (200, 400)])
@pytest.mark.parametrize("auc", [0.5, 0.6, 0.76, 0.95])
def test_delong_coverage(n_f, n_h, auc):
    """Nominal .90 at the policy's smallest sets and up; 2 points of slack for the normal approximation."""
    worlds, rng = 1000, np.random.default_rng(n_f + int(100 * auc))
    mu = np.sqrt(2) * stats.norm.ppf(auc)
    hits = 0
    for _ in range(worlds):
        estimate = auc_delong(rng.normal(mu, 1, n_f), rng.normal(0, 1, n_h), 0.9)
        hits += estimate.low <= auc <= estimate.high
    assert covered(hits, worlds, 0.88)


@pytest.mark.parametrize(("n_f", "n_h"), [(50, 100), (200, 400)])
@pytest.mark.parametrize("law", ["normal", "heavy", "tail"])
def test_false_pass_at_the_margin(n_f, n_h, law):
    """At AUC .5 + m exactly, the 90 % interval lies below the margin in at most 5 % (+ 1 point) of the audits."""
    worlds, rng = 2000, np.random.default_rng(n_f)
    passed = 0
    for _ in range(worlds):
        if law == "tail":  # 20 % of the forget rows fully remembered, the rest forgotten: AUC .5 + .2/2
            forget = np.where(rng.random(n_f) < 0.2, 100.0, 0.0) + rng.normal(size=n_f)
            holdout = rng.normal(size=n_h)
        elif law == "heavy":
            forget, holdout = rng.standard_cauchy((n_f,)), rng.standard_cauchy((n_h,))
            forget += 2 * np.tan(0.1 * np.pi)  # difference of two Cauchys: P = 1/2 + atan(shift/2)/pi
        else:
            mu = np.sqrt(2) * stats.norm.ppf(0.6)
            forget, holdout = rng.normal(mu, 1, n_f), rng.normal(0, 1, n_h)
        passed += auc_delong(forget, holdout, 0.9).high < 0.6
    assert passed <= stats.binom.ppf(0.999, worlds, 0.06)


# --- TPR at a false positive rate -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_f", "n_h"), [(59, 100), (200, 400), (200, 1000)])
@pytest.mark.parametrize(("mu", "fpr"), [(0.0, 0.05), (1.0, 0.05), (1.0, 0.01)])
def test_sandwich_coverage_is_at_least_nominal(n_f, n_h, mu, fpr):
    worlds, rng = 400, np.random.default_rng(n_f + n_h)
    truth = stats.norm.sf(stats.norm.isf(fpr) - mu)
    hits = 0
    for _ in range(worlds):
        estimate = tpr_at_fpr(rng.normal(mu, 1, n_f), rng.normal(0, 1, n_h), fpr, 0.9)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        hits += estimate.low <= truth <= estimate.high
    assert covered(hits, worlds, 0.9)


def test_sandwich_bounds_follow_the_definition():
    rng = np.random.default_rng(0)
    forget, holdout, level, fpr = rng.normal(0.5, 1, 80), rng.normal(0, 1, 200), 0.9, 0.05
    estimate = tpr_at_fpr(forget, holdout, fpr, level)
    a = (1 - level) / 2
    ranks = range(1, 201)
    k_up = min(k for k in ranks if stats.beta.ppf(a / 2, k, 201 - k) >= fpr)
    k_down = max(k for k in ranks if stats.beta.ppf(1 - a / 2, k, 201 - k) <= fpr)
    ordered = np.sort(holdout)[::-1]
    up, down = int((forget >= ordered[k_up - 1]).sum()), int((forget > ordered[k_down - 1]).sum())
    assert estimate.high == pytest.approx(stats.beta.ppf(1 - a / 2, up + 1, 80 - up))
    assert estimate.low == pytest.approx(stats.beta.ppf(a / 2, down, 80 - down + 1))


def test_sandwich_ties_are_conservative():
    """All tied: nothing can be said, least of all that the rate is low."""
    estimate = tpr_at_fpr(np.zeros(100), np.zeros(400), 0.05, 0.9)
    assert estimate.high == 1.0
    assert estimate.low == 0.0


def test_sandwich_where_the_holdout_set_cannot_resolve_the_rate():
    assert tpr_at_fpr(np.zeros(50), np.arange(2.0), 0.9, 0.9).high == 1.0
    assert tpr_at_fpr(np.full(50, 9.0), np.arange(20.0), 0.01, 0.9).low == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_sandwich_is_rank_based(seed):
    rng = np.random.default_rng(seed)
    forget, holdout = rng.normal(0.5, 1, 70), rng.normal(0, 1, 150)
    base = tpr_at_fpr(forget, holdout, 0.05, 0.9)
    assert tpr_at_fpr(np.exp(forget), np.exp(holdout), 0.05, 0.9) == base
    assert tpr_at_fpr(rng.permutation(forget), rng.permutation(holdout), 0.05, 0.9) == base


@pytest.mark.parametrize(("forget", "holdout"), [([], [1.0]), ([1.0], []), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_sandwich_refuses(forget, holdout):
    with pytest.raises(ValueError, match="tpr_at_fpr"):
        tpr_at_fpr(np.array(forget), np.array(holdout), 0.05, 0.9)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3000), st.floats(0.0005, 0.6), st.sampled_from([0.01, 0.025, 0.05]))
def test_sandwich_ranks_are_beta_quantiles(n, fpr, tail):
    """The binomial form against the definition by Beta(k, n + 1 - k)."""
    below, above = sandwich_ranks(n, fpr, tail)
    ranks = np.arange(1, n + 1)
    surely_above = ranks[stats.beta.ppf(tail, ranks, n + 1 - ranks) >= fpr]
    surely_below = ranks[stats.beta.ppf(1 - tail, ranks, n + 1 - ranks) <= fpr]
    assert above == (surely_above[0] if len(surely_above) else None)
    assert below == (surely_below[-1] if len(surely_below) else None)


@pytest.mark.parametrize(("fpr", "needed"), [(0.05, 72), (0.01, 368), (0.001, 3688)])
def test_rows_below_which_a_rate_has_no_lower_bound(fpr, needed):
    """statistics.md 2.4: (1 - q)^n_H <= a / 2 at a = .05."""
    assert sandwich_ranks(needed, fpr, 0.025)[0] == 1
    assert sandwich_ranks(needed - 1, fpr, 0.025)[0] is None
