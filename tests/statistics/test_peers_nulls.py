"""Defects of other auditors in nulls, multiplicity and reading (T29 on), each shown not to be ours."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from audit.statistics.conformal import benjamini_yekutieli, conformal_p
from audit.statistics.epsilon import split_bounds
from audit.statistics.features import features
from audit.statistics.intervals import auc_delong, retained_share, tpr_at_fpr
from audit.statistics.model_level import crawford_howell, t_family
from audit.statistics.permutation import permutation_max_t
from audit.statistics.subjects import worst_subject
from audit.statistics.two_sample import smallest_p, two_sample_family

NULL_200 = 21  # 99.9 % point of Binomial(200, .05)


def max_t(scores: np.ndarray, n_forget: int, permutations: int = 199, seed: int = 0):
    return permutation_max_t(scores, n_forget, permutations, np.random.default_rng(seed))


# --- nulls that are not zero --------------------------------------------------------------------------------------


def kl_over_bins(a: np.ndarray, b: np.ndarray, bins: int = 20, least: float = 1e-5) -> float:
    """A histogram estimate of KL, as unlearning scores use it; its value for equal laws is far from 0."""
    edges = np.histogram_bin_edges(np.r_[a, b], bins)
    p, q = (np.maximum(np.histogram(x, edges)[0] / len(x), least) for x in (a, b))
    return float((p * np.log(p / q)).sum())


@pytest.mark.parametrize("models", [10, 20, 50])
def test_t29_klom_of_equal_laws_is_not_zero(models):
    """The raw score accuses a perfect unlearner at any small N. Relabelling whole models does not."""
    rng = np.random.default_rng(models)
    raw = [kl_over_bins(rng.normal(size=models), rng.normal(size=models)) for _ in range(200)]
    assert np.mean(raw) > 0.5, "what a perfect unlearner would be charged with"
    rejected = 0
    for seed in range(200):
        statistics = rng.standard_t(3, size=(2, 10))
        rejected += two_sample_family(statistics, np.zeros(2), 5, np.random.default_rng(seed)).p <= 0.05
    assert rejected <= NULL_200
    assert smallest_p(3, 3) > 0.05, "too few models cannot be significant, whatever the score"


def test_t29_epsilon_hat_of_a_perfect_unlearner():
    """The best threshold's raw epsilon is 1.1 to 1.2 at every N, so forgetting quality read .3 for a perfect one."""
    rng = np.random.default_rng(0)
    raw, shown = [], 0
    for _ in range(200):
        unlearned, retrained = rng.normal(size=64), rng.normal(size=64)
        grid = np.sort(np.r_[unlearned, retrained])[3:-3]
        tpr, fpr = ((x[:, None] >= grid).mean(axis=0) for x in (unlearned, retrained))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.abs(np.log(np.r_[tpr / fpr, (1 - tpr) / (1 - fpr)]))
        raw.append(ratios[np.isfinite(ratios)].max())
        shown += split_bounds(unlearned, retrained, 0.05, rng).epsilon.low > 0
    assert np.mean(raw) > 0.7
    assert shown <= NULL_200


def test_t29_histogram_drops_the_joint_maximum():
    """A right-open last bin lost the largest, the most telling, sample. Ours counts it in every figure."""
    forget, holdout = np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])
    lower = np.array([1.0, 2.0, 3.0, 3.5])
    assert auc_delong(forget, holdout, 0.9).value > auc_delong(lower, holdout, 0.9).value
    assert tpr_at_fpr(forget, holdout, 0.2, 0.9).value == 0.25
    scores = np.arange(40.0)
    assert features(scores)[1, -1] > 0
    assert conformal_p(np.array([[9.0], [4.0], [3.0]]))[0] == pytest.approx(1 / 3)


def test_t30_no_significant_difference_read_as_equal():
    """Kolmogorov-Smirnov at n = 40 'passes' a shift of .2 sd in over 80 %; equivalence does not pass on silence."""
    rng = np.random.default_rng(30)
    ks, equivalent, equivalent_at_large_n = 0, 0, 0
    for _ in range(200):
        forget, holdout = rng.normal(0.2, 1, 40), rng.normal(size=40)
        ks += stats.ks_2samp(forget, holdout).pvalue > 0.05
        estimate = auc_delong(forget, holdout, 0.9)
        equivalent += 0.4 < estimate.low < estimate.high < 0.6
        large = auc_delong(rng.normal(size=600), rng.normal(size=600), 0.9)
        equivalent_at_large_n += 0.4 < large.low < large.high < 0.6
    assert ks > 160
    assert equivalent <= 4
    assert equivalent_at_large_n >= 195, "and where the rows suffice, an honest model passes"


# --- many tests ---------------------------------------------------------------------------------------------------


def test_t31_step_up_without_the_step_up():
    """p = (.04, .045, .05) must stand or fall together; taken one by one only one was found."""
    p = np.array([0.04, 0.045, 0.05])
    harmonic = 1 + 1 / 2 + 1 / 3
    np.testing.assert_allclose(benjamini_yekutieli(p), 0.05 * harmonic)
    np.testing.assert_allclose(benjamini_yekutieli(p), stats.false_discovery_control(p, method="by"))
    assert (multipletests(p, 0.05 * harmonic, "fdr_by")[0] == (benjamini_yekutieli(p) <= 0.05 * harmonic + 1e-12)).all()


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_t32_four_tests_at_five_percent(correlation):
    """18 % false alarms from any of four. Both families hold 5 % for the four together."""
    rng, worlds = np.random.default_rng(32), 400
    rows = models = uncorrected = 0
    for seed in range(worlds):
        scores = np.sqrt(correlation) * rng.normal(size=60) + np.sqrt(1 - correlation) * rng.normal(size=(4, 60))
        rows += max_t(scores, 20, 99, seed).p <= 0.05
        per_model = np.sqrt(correlation) * rng.normal(size=9) + np.sqrt(1 - correlation) * rng.normal(size=(4, 9))
        models += t_family(per_model, np.zeros(4)).p <= 0.05
        uncorrected += min(crawford_howell(row)[1] for row in per_model) <= 0.05
    bar = stats.binom.ppf(0.999, worlds, 0.05)
    assert max(rows, models) <= bar < uncorrected


def test_t33_one_finding_leaks_into_another():
    """A harmless experiment was rejected because of the one before it."""
    rng = np.random.default_rng(33)
    loud, quiet = np.r_[rng.normal(5, 1, 20), rng.normal(size=40)], rng.normal(size=60)
    before = max_t(quiet[None], 20)
    together, mirrored = max_t(np.stack([loud, quiet]), 20), max_t(np.stack([quiet, loud]), 20)
    after = max_t(quiet[None], 20)
    assert before.p == after.p == together.adjusted[1]
    assert before.statistic[0] == pytest.approx(together.statistic[1])
    np.testing.assert_array_equal(together.adjusted, mirrored.adjusted[::-1])
    assert (
        conformal_p(np.random.default_rng(1).normal(size=(5, 3)))[1]
        == (conformal_p(np.random.default_rng(1).normal(size=(5, 3))[:, 1:2])[0])
    )


def test_t35_a_permutation_that_permutes_nothing():
    """A null without variance makes every p the same. Ours spreads over its whole range."""
    rng = np.random.default_rng(35)
    p = [max_t(rng.normal(size=(1, 40)), 15, 99, seed).p for seed in range(100)]
    assert min(p) < 0.1
    assert max(p) > 0.9
    assert len(set(p)) > 30
    a, b = (max_t(rng.normal(size=(1, 40)) * 0 + np.arange(40) % 7, 15, 999, seed).p for seed in (1, 2))
    assert a != b, "fresh relabellings for a fresh seed"
    assert a == pytest.approx(b, abs=0.1)


# --- reading a result ---------------------------------------------------------------------------------------------


def test_t36_mean_over_attacks_cancels():
    """AUC .9 and .1 average to .5; the maximum of absolute values does not cancel."""
    rng = np.random.default_rng(36)
    remembered, over_forgotten = (np.r_[rng.normal(s, 1, 60), rng.normal(size=120)] for s in (1.8, -1.8))
    found = max_t(np.stack([remembered, over_forgotten]), 60)
    assert (found.adjusted <= 0.01).all()
    assert np.sign(found.statistic).tolist() == [1, -1]


def test_t37_over_unlearning_reads_as_success():
    """An AUC of 2e-5 passed, and a score divided by a control read 5215."""
    rng = np.random.default_rng(37)
    forget, holdout = rng.normal(-3, 1, 200), rng.normal(size=400)
    area = auc_delong(forget, holdout, 0.9)
    assert 0 <= area.low <= area.high < 0.1
    found = max_t(np.r_[forget, holdout][None], 200)
    assert found.p <= 0.01
    assert found.statistic[0] < 0
    assert two_sample_family(np.r_[-9.0 + np.arange(5), np.arange(5)][None], np.zeros(1), 5, rng).statistic[0] < 0
    assert retained_share(np.r_[5.0, 1.0, 2.0, 3.0], 2.0, 0.0, 0.9) is None, "no division by a control that is 0"


def test_t38_selected_worst_examples_compared_with_one_half():
    """The worst tenth of an honest model's examples has its own null, .70 and not .50."""
    rng, worlds, subjects = np.random.default_rng(38), 200, 40
    naive = corrected = 0
    for _ in range(worlds):
        scores = rng.normal(size=(9, subjects))
        naive += min(crawford_howell(column)[1] for column in scores.T) <= 0.05
        corrected += worst_subject(scores, np.arange(subjects), 0.05).p <= 0.05
    assert naive > worlds / 2
    assert corrected <= NULL_200


def test_t39_constants_of_a_data_set_in_a_score():
    """Accuracies of one data set were hard-coded, and scores normalised over whoever else was present."""
    rng = np.random.default_rng(39)
    values = rng.normal(size=9)
    t, p = crawford_howell(values)
    for unit, origin in ((0.01, 0.9), (-40.0, 3.0)):  # percent, logits, any sign
        again = crawford_howell(unit * values + origin)
        assert (abs(again[0]), again[1]) == (pytest.approx(abs(t)), pytest.approx(p))
        share, other = (
            retained_share(scale * values + start, scale * 50 + start, 0.0, 0.9)
            for scale, start in ((1.0, 0.0), (unit, origin))
        )
        assert share is not None
        assert other is not None
        assert (other.low, other.high) == (pytest.approx(share.low), pytest.approx(share.high))


@pytest.mark.parametrize("n_f", [50, 200])
def test_percentile_bootstrap_of_a_low_rate(n_f):
    """95 % bootstrap intervals of TPR@.1% covered .33 to .74; the sandwich covers at least its level."""
    rng, worlds, fpr = np.random.default_rng(n_f), 150, 0.001
    mu = 1.0
    truth = stats.norm.sf(stats.norm.isf(fpr) - mu)
    sandwich = bootstrap = 0
    for _ in range(worlds):
        forget, holdout = rng.normal(mu, 1, n_f), rng.normal(size=1000)
        estimate = tpr_at_fpr(forget, holdout, fpr, 0.95)
        sandwich += estimate.low <= truth <= estimate.high
        threshold = np.sort(rng.choice(holdout, (200, 1000)), axis=1)[:, -1]
        rates = (rng.choice(forget, (200, n_f)) >= threshold[:, None]).mean(axis=1)
        low, high = np.quantile(rates, [0.025, 0.975])
        bootstrap += low <= truth <= high
    assert worlds - sandwich <= stats.binom.ppf(0.999, worlds, 0.05)
    assert bootstrap < 0.9 * worlds
