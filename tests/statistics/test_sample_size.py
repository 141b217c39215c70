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
    forget_rows_to_detect,
    forget_rows_to_pass,
    power_auc,
    power_shift,
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


# --- the closed-form tables of statistics.md 2.6 ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margin", "ratio", "rows"),
    [
        (0.03, 1, (1586, 2005)),
        (0.03, 5, (952, 1203)),
        (0.03, 1e9, (793, 1003)),
        (0.05, 1, (571, 722)),
        (0.05, 5, (343, 433)),
        (0.05, 1e9, (286, 361)),
        (0.07, 1, (290, 367)),
        (0.07, 5, (174, 220)),
        (0.07, 1e9, (145, 184)),
        (0.10, 1, (143, 181)),
        (0.10, 5, (86, 109)),
        (0.10, 1e9, (72, 91)),
    ],
)
def test_equivalence_table(margin, ratio, rows):
    n = 20
    for power, expected in zip((0.8, 0.9), rows, strict=True):
        found = forget_rows_to_pass(n, 0.0, auc_error(n, round(n * ratio)), margin, 0.05, power)
        assert found == pytest.approx(expected, rel=0.01, abs=1)


@pytest.mark.parametrize(("auc", "n_f"), [(0.55, 314), (0.57, 161), (0.60, 79), (0.65, 35), (0.70, 20)])
def test_detection_table(auc, n_f):
    assert forget_rows_to_detect(10, auc - 0.5, auc_error(10, 50), 0.05) == pytest.approx(n_f, abs=1)
    assert power_auc(n_f, 5 * n_f, auc, 0.05) == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize(
    ("k", "d", "single", "of_four"),
    [
        (4, 3, 0.45, 0.16),
        (4, 5, 0.83, 0.44),
        (9, 3, 0.70, 0.42),
        (9, 5, 0.98, 0.90),
        (19, 3, 0.79, 0.57),
        (19, 5, 1.0, 0.97),
        (64, 3, 0.83, 0.66),
        (64, 5, 1.0, 0.99),
    ],
)
def test_model_scalar_power_table(k, d, single, of_four):
    assert power_shift(k, d, 0.05) == pytest.approx(single, abs=0.006)
    assert power_shift(k, -d, 0.05 / 4) == pytest.approx(of_four, abs=0.006)


@pytest.mark.parametrize(
    ("rate", "margin", "rows"),
    [(0.05, 0.10, 179), (0.01, 0.05, 124), (0.01, 0.03, 308), (0.001, 0.01, 481), (0.001, 0.005, 1258)],
)
def test_tail_certificate_table(rate, margin, rows):
    """Clopper-Pearson alone, threshold fixed in advance: power .8 at these rows, not at 3 % fewer."""

    def power(n: int) -> float:
        counts = np.arange(n)
        passing = counts[stats.beta.ppf(0.95, counts + 1, n - counts) < margin]
        return float(stats.binom.cdf(passing.max(initial=-1), n, rate))

    assert power(rows) >= 0.8
    assert all(power(n) < 0.8 for n in range(int(0.9 * rows), int(0.97 * rows)))


@pytest.mark.parametrize(("tau", "n"), [(0.05, 59), (0.10, 29)])
def test_rows_for_a_rate_never_seen(tau, n):
    """statistics.md 2.4: ceil(ln a / ln(1 - tau))."""
    assert math.ceil(math.log(0.05) / math.log(1 - tau)) == n
