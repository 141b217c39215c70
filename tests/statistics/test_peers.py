"""Defects of other auditors that concern statistics, each shown not to be ours.

T numbers count the defects found in comparable tools; the remarks say what was wrong there.
"""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attacks.calibration import PRIOR_DF, leave_one_out
from audit.statistics import clustered, epsilon, intervals
from audit.statistics.conformal import conformal_p
from audit.statistics.epsilon import epsilon_bounds, mu_bounds, split_bounds
from audit.statistics.features import features
from audit.statistics.intervals import Estimate, auc_delong, shift, tpr_at_fpr
from audit.statistics.model_level import crawford_howell
from audit.statistics.one_run import one_run_epsilon
from audit.statistics.permutation import permutation_max_t
from audit.statistics.subjects import worst_subject

NULL_200 = 21  # 99.9 % point of Binomial(200, .05)


def max_t(scores: np.ndarray, n_forget: int, permutations: int = 199, seed: int = 0):
    return permutation_max_t(scores, n_forget, permutations, np.random.default_rng(seed))


# --- scores, signs, ROC -------------------------------------------------------------------------------------------


def test_t1_roc_vertex_inside_a_tie_block():
    """A binary score of true AUC .732 was reported as .035."""
    scores, labels = np.array([9.0, 9.0, 5.0, 5.0]), np.array([1, 0, 1, 0])
    assert auc_delong(scores[labels == 1], scores[labels == 0], 0.9).value == 0.5
    rng = np.random.default_rng(0)
    forget, holdout = (rng.random(60) < 0.73).astype(float), (rng.random(80) < 0.27).astype(float)
    base = auc_delong(forget, holdout, 0.9), tpr_at_fpr(forget, holdout, 0.05, 0.9)
    u = stats.mannwhitneyu(forget, holdout).statistic
    assert base[0].value == pytest.approx(u / 4800)
    for _ in range(100):
        f, h = rng.permutation(forget), rng.permutation(holdout)
        again = auc_delong(f, h, 0.9)
        assert (again.value, again.se) == (pytest.approx(base[0].value), pytest.approx(base[0].se))
        assert tpr_at_fpr(f, h, 0.05, 0.9) == base[1]


def test_t2_auc_of_constant_scores_depends_on_row_order():
    """It was 1.0 or 0.0. One half, an interval that proves nothing, and no rejection."""
    for n_f, n_h in ((30, 100), (100, 30)):
        estimate = auc_delong(np.full(n_f, 0.1), np.full(n_h, 0.1), 0.9)
        assert estimate.value == 0.5
        assert estimate.high - estimate.low > 0.1
    assert max_t(np.full((1, 130), 0.1), 30).p == 1.0


def test_t3_sign_of_a_score_inverted():
    """High means remembered, in every function: a planted leak lies above one half, above zero, in the upper tail."""
    rng = np.random.default_rng(0)
    forget, holdout = rng.normal(1.5, 1, 200), rng.normal(size=200)
    both = np.r_[forget, holdout]
    assert auc_delong(forget, holdout, 0.9).low > 0.5
    assert tpr_at_fpr(forget, holdout, 0.05, 0.9).low > 0.05
    assert max_t(both[None], 200).statistic[0] > 0
    assert max_t(features(both), 200).statistic[1] > 0
    assert split_bounds(forget, holdout, 0.05, rng).direction == 1
    models = rng.normal(size=(9, 50))
    models[0] += 3
    assert conformal_p(models).mean() < 0.3
    assert worst_subject(models, np.repeat(np.arange(5), 10), 0.05).estimate > 0
    assert shift(np.r_[3.0, rng.normal(size=8)], 0.0, 0.9).value > 0
    assert crawford_howell(np.r_[9.0, rng.normal(size=8)])[0] > 0


@pytest.mark.parametrize("fpr", [1e-3, 1e-4, 1e-5])
def test_t5_rate_below_what_the_rows_resolve(fpr):
    """.002 was printed for every level from 1e-3 to 1e-5 with 500 negatives. No claim: the lower bound is 0."""
    rng = np.random.default_rng(0)
    forget, holdout = rng.normal(1, 1, 400), rng.normal(size=500)
    estimate = tpr_at_fpr(forget, holdout, fpr, 0.9)
    assert estimate.low == 0
    assert estimate.high > estimate.value
    assert estimate.value == pytest.approx((forget > holdout.max()).mean()), "realised rate 0, never above the nominal"


def test_t5_nearest_rate_above_the_nominal_one():
    """The threshold nearest to the nominal rate can exceed it; ours never does."""
    forget, holdout = np.full(100, 3.0), np.r_[np.full(6, 3.0), np.zeros(94)]
    assert tpr_at_fpr(forget, holdout, 0.05, 0.9).value == 0, "calling the tied 3s would realise 6 %"


def test_t8_separable_rows_and_zero_rates_discarded():
    """Thresholds with FPR 0 or FNR 0 and perfectly separable (the worst) examples were dropped as infinite."""
    assert 3 < epsilon_bounds(0, 100, 0, 100, 0.05).low < math.inf
    assert epsilon_bounds(0, 500, 250, 500, 0.05).low > 4
    separable = np.zeros((9, 4))
    separable[1:] = np.random.default_rng(0).normal(size=(8, 4))
    separable[0, 2] = 1e6
    assert conformal_p(separable).shape == (4,)
    assert np.argmin(conformal_p(separable)) == 2
    assert np.isfinite(leave_one_out(separable)[0]).all()
    with pytest.raises(ValueError, match="finite"):
        conformal_p(np.array([[np.nan], [1.0]]))  # never a silent drop


# --- calibration on references ------------------------------------------------------------------------------------


def test_t13_offline_score_as_a_two_sided_density():
    """For given references the score grows with the signal; a density falls again beyond the mean."""
    references = np.random.default_rng(0).normal(size=(6, 5))
    z = [leave_one_out(np.vstack([np.full(5, level), references]))[0][0] for level in np.linspace(-8, 8, 40)]
    assert (np.diff(z, axis=0) > 0).all()


def test_t14_per_example_variance_from_few_references():
    """Two references that happen to agree made a row infinitely significant."""
    references = np.random.default_rng(0).normal(size=(3, 400))
    references[:, 0] = 0.5
    z = leave_one_out(np.vstack([references[:1] + 2, references]))[0][0]
    pooled = references.var(axis=0, ddof=1).mean()
    bound = 2 / np.sqrt(PRIOR_DF * pooled / (PRIOR_DF + 2) * (1 + 1 / 3))
    assert abs(z[0]) <= bound * (1 + 1e-9)


def test_t15_variance_taken_from_the_target():
    """The audited model's own scores must not widen its yardstick."""
    references = np.random.default_rng(0).normal(size=(5, 30))
    near, far = (leave_one_out(np.vstack([np.full(30, v), references]))[0][0] for v in (1.0, 101.0))
    further = leave_one_out(np.vstack([np.full(30, 201.0), references]))[0][0]
    np.testing.assert_allclose(further - far, far - near)


def test_t16_half_of_the_references_ignored():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(9, 20))
    base = leave_one_out(signal)[0][0]
    order = np.r_[0, 1 + rng.permutation(8)]
    np.testing.assert_allclose(leave_one_out(signal[order])[0][0], base)
    for k in range(1, 9):
        changed = signal.copy()
        changed[k] += 1
        assert not np.allclose(leave_one_out(changed)[0][0], base)


# --- bounds on epsilon --------------------------------------------------------------------------------------------


def test_t26_best_threshold_without_correction():
    """Lower bounds that fired on noise in 13 to 95 % of the runs: 500 + 500 equal normals, ours in at most 5 %."""
    rng = np.random.default_rng(26)
    alarms = np.zeros(2, dtype=int)
    for _ in range(200):
        forget, holdout = rng.normal(size=500), rng.normal(size=500)
        found = split_bounds(forget, holdout, 0.05, rng)
        alarms += [found.epsilon.low > 0, found.mu.low > 0]
    assert alarms.max() <= NULL_200


def test_t26_one_run_maximum_over_abstentions():
    """39 % false alarms by trying every number of guesses. One number fixed in advance, fair coins: at most 5 %."""
    rng = np.random.default_rng(27)
    alarms = 0
    for _ in range(200):
        coins, scores = rng.random(1000) < 0.5, rng.normal(size=1000)
        guesses = np.argsort(-scores)[:200]
        alarms += one_run_epsilon(1000, 200, int(coins[guesses].sum()), 1e-6, 0.05) > 0
    assert alarms <= NULL_200


@pytest.mark.slow
def test_t26_over_a_thousand_draws():
    rng = np.random.default_rng(28)
    alarms = sum(
        split_bounds(rng.normal(size=500), rng.normal(size=500), 0.05, rng).epsilon.low > 0 for _ in range(1000)
    )
    assert alarms <= 73


def test_t26_validity_not_bought_with_blindness():
    """N(1, 1) against N(0, 1), 500 + 500: the corrected peers show about .9 to 1.3."""
    rng = np.random.default_rng(29)
    low = [split_bounds(rng.normal(1, 1, 500), rng.normal(size=500), 0.05, rng).epsilon.low for _ in range(40)]
    assert np.mean(low) > 0.7


def test_correction_by_a_data_dependent_pareto_count():
    """Alpha was divided by the number of frontier vertices, which the data choose. Ours is the fixed rule's bound."""
    rng = np.random.default_rng(0)
    forget, holdout = rng.normal(1, 1, 300), rng.normal(size=300)
    found = split_bounds(forget, holdout, 0.05, np.random.default_rng(5))
    again = np.random.default_rng(5)
    kept_f, kept_h = again.permutation(forget)[150:], again.permutation(holdout)[150:]
    counts = int((kept_h >= found.threshold).sum()), 150, int((kept_f < found.threshold).sum()), 150
    assert found.epsilon == epsilon_bounds(*counts, 0.05)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([0.01, 0.05, 0.3]))
def test_t27_upper_bound_as_headline_and_negative_epsilon(false_positives, false_negatives, alpha):
    """An upper bound was printed as eps (6.21 on noise); a wrong maximum gave eps below 0."""
    for bounds in (
        epsilon_bounds(false_positives, 200, false_negatives, 200, alpha),
        mu_bounds(false_positives, 200, false_negatives, 200, alpha),
    ):
        assert 0 <= bounds.low <= bounds.high
        assert {"low", "high"} == set(bounds.__dataclass_fields__), "nothing is called plain eps"


def test_t28_point_estimate_without_an_interval():
    """Every figure carries its interval: no function of these returns a bare number."""
    for module in (intervals, clustered):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith(("auc_delong", "auc_clustered", "tpr_", "shift", "retained")):
                assert "Estimate" in str(inspect.signature(function).return_annotation)
    assert {"value", "low", "high", "se"} == set(Estimate.__dataclass_fields__)
    for name in ("epsilon_bounds", "mu_bounds"):
        assert inspect.signature(getattr(epsilon, name)).return_annotation.__name__ == "Bounds"
