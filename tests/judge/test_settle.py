"""audit/statistics/sample_size.py: what settles an inconclusive audit, against the intervals that it settles."""

import math

import numpy as np
import pytest
from scipy import stats

from audit.statistics.clustered import auc_clustered
from audit.statistics.intervals import auc_delong, shift, tpr_at_fpr
from audit.statistics.sample_size import (
    auc_error,
    design_effect,
    detectable_auc,
    detectable_shift,
    forget_rows_to_detect,
    holdout_rows_to_pass,
    power_auc,
    power_shift,
    runs_to_pass,
    tail_rows_to_pass,
)

# --- what settles an INCONCLUSIVE audit -----------------------------------------------------------------------------


def test_power_auc_ends():
    assert power_auc(50, 100, 0.5, 0.05) == pytest.approx(0.05)
    assert power_auc(50, 100, 0.4, 0.05) == pytest.approx(power_auc(50, 100, 0.6, 0.05))
    assert power_auc(5000, 5000, 0.7, 0.05) == pytest.approx(1.0)
    auc = detectable_auc(80, 160, 0.05)
    assert power_auc(80, 160, auc, 0.05) == pytest.approx(0.8, abs=1e-3)


def test_power_shift_is_the_inverse_of_detectable_shift_and_alpha_at_zero():
    assert power_shift(8, detectable_shift(8, 0.05), 0.05) == pytest.approx(0.8, abs=1e-4)
    assert power_shift(8, 0.0, 0.05) == pytest.approx(0.05)


def test_holdout_rows_alone_give_the_power_they_promise():
    n_f = 110
    n_h = holdout_rows_to_pass(n_f, 110, 0.0, 0.1, 0.05)
    assert n_h is not None
    rng, passed = np.random.default_rng(0), 0
    for _ in range(500):
        estimate = auc_delong(rng.normal(size=n_f), rng.normal(size=n_h), 0.9)
        passed += 0.4 < estimate.low < estimate.high < 0.6
    assert passed / 500 == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize(("n_f", "deviation", "expected"), [(70, 0.0, None), (400, 0.1, None), (400, -0.2, None)])
def test_holdout_rows_cannot_make_up_for_a_small_forget_set_or_a_leak(n_f, deviation, expected):
    assert holdout_rows_to_pass(n_f, 1000, deviation, 0.1, 0.05) == expected


def test_holdout_rows_turning_point():
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.9)
    n_h = holdout_rows_to_pass(100, 50, 0.01, 0.1, 0.05)
    assert n_h is not None
    assert z * auc_error(100, n_h) <= 0.09 < z * auc_error(100, n_h - 1)
    assert holdout_rows_to_pass(1000, 5000, 0.0, 0.1, 0.05) == 5001, "never fewer than there are"


def test_forget_rows_to_detect_edges():
    assert forget_rows_to_detect(100, 0.0, 0.03, 0.05) is None
    assert forget_rows_to_detect(100, -0.1, 0.03, 0.05) == forget_rows_to_detect(100, 0.1, 0.03, 0.05)
    assert forget_rows_to_detect(100, 5.0, 0.001, 0.05) == 1


@pytest.mark.parametrize("k", [4, 8, 19])
def test_runs_to_pass_is_the_turning_point_of_the_interval(k):
    references = np.random.default_rng(k).normal(size=k)
    s = references.std(ddof=1)
    margin = 1.05 * stats.t.ppf(0.95, k - 1) * s * math.sqrt(1 / 3 + 1 / k)
    needed = runs_to_pass(0.0, s, k, margin, 0.05)
    assert needed == 3
    for runs, inside in ((needed, True), (needed - 1, False)):
        estimate = shift(np.r_[np.full(runs, references.mean()), references], 0.0, 0.9, runs)
        assert (estimate.high < margin) == inside


def test_runs_to_pass_gives_up_where_the_references_are_too_few():
    assert runs_to_pass(0.0, 1.0, 4, 1.0, 0.05) is None  # t_3 / sqrt 4 = 1.18 with runs without number
    assert runs_to_pass(0.5, 0.1, 8, 0.5, 0.05) is None
    assert runs_to_pass(0.0, 0.0, 8, 0.1, 0.05) == 1
    assert runs_to_pass(-0.1, 0.1, 8, 0.3, 0.05) == runs_to_pass(0.1, 0.1, 8, 0.3, 0.05)
    with pytest.raises(ValueError, match="two references"):
        runs_to_pass(0.0, 1.0, 1, 1.0, 0.05)


def test_design_effect():
    assert design_effect(np.arange(30), 1.0) == 1.0
    assert design_effect(np.repeat(np.arange(10), 20), 1.0) == pytest.approx(20)
    assert design_effect(np.repeat(np.arange(10), 20), 0.1) == pytest.approx(2.9)
    assert design_effect(np.repeat([0, 1], [1, 9]), 1.0) == pytest.approx(82 / 10)
    for codes, correlation in ((np.array([]), 0.5), (np.arange(3), -0.1), (np.arange(3), 1.1)):
        with pytest.raises(ValueError, match="design_effect"):
            design_effect(codes, correlation)


def test_design_effect_is_the_ratio_of_the_squared_errors():
    """Equal clusters, correlation .4: Kish's factor against the measured ratio of the two AUC errors."""
    rng, ratios = np.random.default_rng(0), []
    codes = np.repeat(np.arange(200), 5)
    for _ in range(30):
        sides = [np.sqrt(0.4) * rng.normal(size=200)[codes] + np.sqrt(0.6) * rng.normal(size=1000) for _ in range(2)]
        ratios.append((auc_clustered(*sides, codes, codes + 999, 0.9).se / auc_delong(*sides, 0.9).se) ** 2)
    assert np.mean(ratios) == pytest.approx(design_effect(codes, 0.4), rel=0.08)


@pytest.mark.parametrize(("rate", "ratio"), [(0.05, 2), (0.05, 5), (0.08, 3)])
def test_tail_rows_give_the_power_they_promise(rate, ratio):
    """Measured with the real interval; the plan is normal in the count, so a few points of slack."""
    n = tail_rows_to_pass(60, 60 * ratio, rate, 0.05, 0.15, 0.05)
    assert n is not None
    mu = stats.norm.isf(0.05) - stats.norm.isf(rate)
    rng, passed = np.random.default_rng(1), 0
    for _ in range(400):
        passed += tpr_at_fpr(rng.normal(mu, 1, n), rng.normal(size=n * ratio), 0.05, 0.9).high < 0.15
    assert passed / 400 == pytest.approx(0.8, abs=0.1)


def test_tail_rows_edges():
    assert tail_rows_to_pass(100, 200, 0.15, 0.05, 0.15, 0.05) is None
    assert tail_rows_to_pass(5000, 10_000, 0.05, 0.05, 0.15, 0.05) == 5001
    assert tail_rows_to_pass(100, 200, 0.0, 0.05, 0.15, 0.05) is not None
    rows = [tail_rows_to_pass(50, 100, rate, 0.05, 0.15, 0.05) for rate in (0.03, 0.05, 0.08, 0.11)]
    assert rows == sorted(rows)


def test_the_designs_remark_on_the_sandwich():
    """statistics.md 2.6: with n_H = 1000, TPR@5% < .10 needs about n_F = 1000."""
    found = tail_rows_to_pass(200, 200, 0.05, 0.05, 0.10, 0.05)
    assert found is not None
    assert 600 < found < 1100


@pytest.mark.parametrize("references", [0, 1])
def test_model_level_sizes_need_two_references(references):
    for call in (lambda: power_shift(references, 1.0, 0.05), lambda: detectable_shift(references, 0.05)):
        with pytest.raises(ValueError, match="two references"):
            call()


def test_auc_error_needs_rows():
    with pytest.raises(ValueError, match="rows"):
        auc_error(0, 10)
