"""audit/statistics/sample_size.py: the design's tables and the power that the formulas promise."""

import math

import numpy as np
import pytest
from scipy import stats

from audit.statistics.intervals import auc_delong
from audit.statistics.model_level import crawford_howell
from audit.statistics.sample_size import (
    auc_error,
    detectable_auc,
    detectable_shift,
    forget_rows_to_pass,
    references_to_pass,
)


def test_auc_error_is_the_mann_whitney_null_error():
    """sd of U / (n_F n_H) without ties, up to the +1 of its finite-sample variance."""
    n_f, n_h = 80, 160
    exact = math.sqrt(n_f * n_h * (n_f + n_h + 1) / 12) / (n_f * n_h)
    assert auc_error(n_f, n_h) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("auc", "n_f"), [(0.55, 314), (0.57, 161), (0.60, 79), (0.65, 35), (0.70, 20)])
def test_detectable_auc_matches_the_design_table(auc, n_f):
    """statistics.md 2.6: rows to detect an AUC, two-sided .05, power .8, n_H = 5 n_F."""
    assert detectable_auc(n_f, 5 * n_f, 0.05) == pytest.approx(auc, abs=0.002)


def test_detectable_auc_is_monotone_and_bounded():
    values = [detectable_auc(n, 2 * n, 0.05) for n in (1, 10, 50, 200, 5000)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert 0.5 < values[-1] < 0.52


@pytest.mark.parametrize("k", [4, 8, 19])
def test_detectable_shift_is_found_with_power_eighty_percent(k):
    shift, worlds = detectable_shift(k, 0.05), 2000
    values = np.random.default_rng(k).normal(size=(worlds, k + 1))
    values[:, 0] += shift
    found = np.mean([crawford_howell(row)[1] <= 0.05 for row in values])
    assert found == pytest.approx(0.8, abs=0.035)


def test_detectable_shift_falls_with_references():
    """statistics.md 2.6: power at 3 seed sd .45 (K=4), .70 (9), .79 (19), so .8 needs more than 3."""
    values = [detectable_shift(k, 0.05) for k in (4, 9, 19, 64)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 4.5
    assert values[2] == pytest.approx(3.02, abs=0.05)


@pytest.mark.parametrize(("margin", "rows"), [(0.05, 571), (0.07, 290), (0.10, 143)])
def test_forget_rows_to_pass_matches_the_design_table(margin, rows):
    """statistics.md 2.6, n_H = n_F, power .8, truth .5."""
    n = 20
    found = forget_rows_to_pass(n, 0.0, auc_error(n, n), margin, 0.05)
    assert found == pytest.approx(rows, abs=2)


def test_forget_rows_to_pass_gives_the_power_it_promises():
    n = forget_rows_to_pass(30, 0.0, auc_error(30, 60), 0.1, 0.05)
    assert n is not None
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(500):
        estimate = auc_delong(rng.normal(size=n), rng.normal(size=2 * n), 0.9)
        passed += 0.4 < estimate.low < estimate.high < 0.6
    assert passed / 500 == pytest.approx(0.8, abs=0.07)


def test_forget_rows_to_pass_never_says_fewer_and_gives_up_at_the_margin():
    assert forget_rows_to_pass(500, 0.0, 0.001, 0.1, 0.05) == 501
    assert forget_rows_to_pass(100, 0.1, 0.03, 0.1, 0.05) is None
    assert forget_rows_to_pass(100, -0.2, 0.03, 0.1, 0.05) is None
    assert forget_rows_to_pass(100, -0.05, 0.03, 0.1, 0.05) == forget_rows_to_pass(100, 0.05, 0.03, 0.1, 0.05)


@pytest.mark.parametrize(("k", "multiplier"), [(3, 3.37), (4, 2.63), (9, 1.96), (19, 1.78), (39, 1.71)])
def test_references_to_pass_inverts_the_equivalence_multiplier(k, multiplier):
    """statistics.md 2.6: t_{K-1,.95} sqrt(1 + 1/K)."""
    exact = stats.t.ppf(0.95, k - 1) * math.sqrt(1 + 1 / k)
    assert exact == pytest.approx(multiplier, abs=0.006)
    assert references_to_pass(0.0, 1.0, exact * (1 + 1e-12), 0.05) == k


def test_references_to_pass_gives_up_where_seed_noise_exceeds_the_margin():
    assert references_to_pass(0.0, 1.0, 1.6, 0.05) is None  # z_.95 = 1.645: no K does
    assert references_to_pass(2.0, 0.1, 1.0, 0.05) is None
    assert references_to_pass(-0.5, 0.1, 1.0, 0.05) == references_to_pass(0.5, 0.1, 1.0, 0.05)
