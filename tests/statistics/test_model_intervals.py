"""audit/statistics/intervals.py: shift and retained share against references, of one model and of several."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.statistics.intervals import retained_share, shift


def covered(hits: int, trials: int, level: float) -> bool:
    """Coverage not below ``level`` by more than chance allows (99.9 %)."""
    return trials - hits <= stats.binom.ppf(0.999, trials, 1 - level)


# --- shift and retained share -----------------------------------------------------------------------------------


def test_shift_is_the_crawford_howell_interval():
    values = np.array([3.0, 1.0, 2.0, 4.0, 1.5])
    estimate = shift(values, 0.0, 0.95)
    se = values[1:].std(ddof=1) * np.sqrt(1 + 1 / 4)
    assert estimate.value == pytest.approx(3 - values[1:].mean())
    assert estimate.se == pytest.approx(se)
    assert estimate.high - estimate.value == pytest.approx(stats.t.ppf(0.975, 3) * se)
    assert shift(values, 10.0, 0.95).se == pytest.approx(10 * np.sqrt(1 + 1 / 4))


@pytest.mark.parametrize("k", [4, 8, 19])
def test_shift_coverage(k):
    worlds, rng = 2000, np.random.default_rng(k)
    hits = 0
    for _ in range(worlds):
        values = rng.normal(1, 2, k + 1)
        values[0] += 5
        estimate = shift(values, 0.0, 0.9)
        hits += estimate.low <= 5 <= estimate.high
    assert covered(hits, worlds, 0.9)
    assert worlds - hits >= stats.binom.ppf(0.001, worlds, 0.1), "exact for normal seeds"


@pytest.mark.parametrize(("k", "share"), list(itertools.product([5, 8, 19], [0.0, 0.25, 1.0])))
def test_fieller_coverage(k, share):
    """The share of two noisy excesses over a common noisy mean, the original 12 seed sd away."""
    worlds, rng = 1500, np.random.default_rng(k)
    misses_low = misses_high = 0
    for _ in range(worlds):
        statistic = rng.normal(size=k + 1)
        statistic[0] += 12 * share
        estimate = retained_share(statistic, float(12 + rng.normal()), 0.0, 0.9)
        assert estimate is not None
        assert estimate.low <= estimate.value <= estimate.high
        misses_low += estimate.low > share
        misses_high += estimate.high < share
    bound = stats.binom.ppf(0.999, worlds, 0.05)
    assert misses_low <= bound
    assert misses_high <= bound, "false PASS at the margin"


def test_fieller_solves_its_own_equation():
    """Each bound r satisfies (a - r b)^2 = t^2 s^2 [(1 + 1/K)(1 + r^2) - 2 r / K]."""
    statistic, original, level = np.array([1.0, 0.2, -0.3, 0.4, 0.1, -0.2]), 6.0, 0.9
    estimate = retained_share(statistic, original, 0.0, level)
    assert estimate is not None
    references, k = statistic[1:], 5
    a, b = statistic[0] - references.mean(), original - references.mean()
    t2s2 = stats.t.ppf(0.95, 4) ** 2 * references.var(ddof=1)
    for r in (estimate.low, estimate.high):
        assert (a - r * b) ** 2 == pytest.approx(t2s2 * ((1 + 1 / k) * (1 + r * r) - 2 * r / k))
    assert estimate.value == pytest.approx(a / b)


def test_fieller_ends():
    references = np.array([0.1, -0.1, 0.2, -0.2, 0.0])
    like_original = retained_share(np.r_[10.0, references], 10.0, 0.0, 0.9)
    assert like_original is not None
    assert like_original.value == pytest.approx(1.0)
    assert like_original.low < 1 < like_original.high
    below = retained_share(np.r_[10.0, references], -10.0, 0.0, 0.9)  # an original that lies *below* its retrains
    assert below is not None
    assert below.low <= -1.0 <= below.high
    assert retained_share(np.r_[0.0, references], 0.1, 0.0, 0.9) is None, "the original does not stand out"
    wide = retained_share(np.r_[0.0, references], 10.0, 1.0, 0.9)
    narrow = retained_share(np.r_[0.0, references], 10.0, 0.0, 0.9)
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_model_level_intervals_need_two_references():
    with pytest.raises(ValueError, match="two references"):
        shift(np.array([1.0, 2.0]), 0.0, 0.9)
    with pytest.raises(ValueError, match="two references"):
        retained_share(np.array([1.0, 2.0]), 3.0, 0.0, 0.9)


# --- several unlearned models (design A6) -----------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(2, 10), st.integers(0, 2**31), st.floats(0, 2))
def test_one_run_is_the_default_and_order_does_not_matter(runs, k, seed, floor):
    rng = np.random.default_rng(seed)
    statistic = rng.normal(size=runs + k)
    assert shift(statistic[runs - 1 :], floor, 0.9) == shift(statistic[runs - 1 :], floor, 0.9, runs=1)
    base = shift(statistic, floor, 0.9, runs)
    assert base.low <= base.value <= base.high
    mixed = statistic[np.r_[rng.permutation(runs), runs + rng.permutation(k)]]
    for estimate, other in (
        (base, shift(mixed, floor, 0.9, runs)),
        (retained_share(statistic, 30.0, floor, 0.9, runs), retained_share(mixed, 30.0, floor, 0.9, runs)),
    ):
        assert (estimate is None) == (other is None)
        if estimate is not None and other is not None:
            assert (other.low, other.high) == (pytest.approx(estimate.low), pytest.approx(estimate.high))


@pytest.mark.parametrize("runs", [1, 3, 10])
@pytest.mark.parametrize("k", [4, 19])
def test_shift_of_several_runs_is_exact(runs, k):
    worlds, rng = 2000, np.random.default_rng(runs + k)
    hits = 0
    for _ in range(worlds):
        values = rng.normal(1, 2, runs + k)
        values[:runs] += 5
        estimate = shift(values, 0.0, 0.9, runs)
        hits += estimate.low <= 5 <= estimate.high
    assert covered(hits, worlds, 0.9)
    assert worlds - hits >= stats.binom.ppf(0.001, worlds, 0.1)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("same_original", [False, True])
def test_fieller_coverage_of_several_runs(share, same_original):
    """Runs from originals of their own, or all from the audited one (the interval is then too wide, not too short)."""
    worlds, k, runs, rng = 1500, 8, 4, np.random.default_rng(3)
    misses_low = misses_high = 0
    for _ in range(worlds):
        noise = rng.normal()
        statistic = rng.normal(size=runs + k)
        if same_original:  # a share of the original is its noise too; the rest is as in a retrain
            statistic[:runs] = share * (12 + noise) + np.sqrt(1 - share**2) * statistic[:runs]
        else:
            statistic[:runs] += 12 * share
        estimate = retained_share(statistic, 12 + noise, 0.0, 0.9, runs)
        assert estimate is not None
        misses_low += estimate.low > share
        misses_high += estimate.high < share
    bound = stats.binom.ppf(0.999, worlds, 0.05)
    assert max(misses_low, misses_high) <= bound


def test_fieller_of_several_runs_solves_its_own_equation():
    """Each bound r satisfies (a - r b)^2 = t^2 s^2 [1/J + 1/K - 2 r/K + r^2 (1 + 1/K)]."""
    statistic, original = np.array([1.0, 0.6, 1.4, 0.2, -0.3, 0.4, 0.1, -0.2]), 6.0
    estimate = retained_share(statistic, original, 0.0, 0.9, runs=3)
    assert estimate is not None
    references = statistic[3:]
    a, b = statistic[:3].mean() - references.mean(), original - references.mean()
    t2s2 = stats.t.ppf(0.95, 4) ** 2 * references.var(ddof=1)
    for r in (estimate.low, estimate.high):
        assert (a - r * b) ** 2 == pytest.approx(t2s2 * (1 / 3 + 1 / 5 - 2 * r / 5 + r * r * (1 + 1 / 5)))
    single = retained_share(np.r_[statistic[:3].mean(), references], original, 0.0, 0.9)
    assert single is not None
    assert single.low < estimate.low < estimate.high < single.high


@pytest.mark.parametrize("statistic", [[np.nan, 1.0, 2.0], [1.0, 2.0, np.inf]])
def test_model_level_intervals_refuse_what_is_not_finite(statistic):
    for call in (lambda s: shift(s, 0.0, 0.9), lambda s: retained_share(s, 5.0, 0.0, 0.9)):
        with pytest.raises(ValueError, match="finite"):
            call(np.array(statistic))
    with pytest.raises(ValueError, match="original"):
        retained_share(np.array([1.0, 2.0, 3.0]), np.nan, 0.0, 0.9)
    for runs in (0, 2, 3):
        with pytest.raises(ValueError, match="one run"):
            shift(np.array([1.0, 2.0, 3.0]), 0.0, 0.9, runs)
