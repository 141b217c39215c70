"""attacks/calibration.py: definitions, symmetry, and that both nulls stay exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attacks.calibration import PRIOR_DF, RIDGE, adjust, calibrated, leave_one_out
from audit.statistics.model_level import crawford_howell, rank_family
from audit.statistics.permutation import permutation_max_t


def signals(models: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Heavy-tailed, heteroscedastic seeds on examples of very different difficulty, with shifts of whole models."""
    difficulty, spread = 2 * rng.standard_t(4, n), np.exp(rng.normal(0, 0.5, n))
    common = rng.normal(0, 0.5, (models, 1)) + rng.normal(0, 0.2, (models, 1)) * difficulty
    return difficulty + common + spread * rng.standard_t(5, (models, n))


def test_no_and_one_reference():
    s = np.random.default_rng(0).normal(size=(2, 9))
    z, mu = leave_one_out(s[:1])
    np.testing.assert_array_equal(z, s[:1])
    np.testing.assert_array_equal(mu, 0)
    z, mu = leave_one_out(s)
    np.testing.assert_allclose(z, [s[0] - s[1], s[1] - s[0]])
    np.testing.assert_allclose(mu, s[::-1])


@pytest.mark.parametrize("models", [3, 5, 9])
def test_leave_one_out_by_its_formula(models):
    s = signals(models, 20, np.random.default_rng(models))
    z, mu = leave_one_out(s)
    k = models - 1
    for j in range(models):
        others = np.delete(s, j, axis=0)
        variance = others.var(axis=0, ddof=1)
        shrunk = (PRIOR_DF * variance.mean() + (k - 1) * variance) / (PRIOR_DF + k - 1)
        np.testing.assert_allclose(mu[j], others.mean(axis=0))
        np.testing.assert_allclose(z[j], (s[j] - others.mean(axis=0)) / np.sqrt(shrunk * (1 + 1 / k)))


def test_the_audited_models_score_does_not_feed_its_own_scale():
    """However far the audited model goes, its z grows in proportion: it is standardised by the references alone."""
    s = signals(6, 30, np.random.default_rng(1))
    further = s.copy()
    further[0] += 100
    z, moved = leave_one_out(s)[0][0], leave_one_out(further)[0][0]
    scale = (moved - z) / 100
    assert (scale > 0).all()
    further[0] += 100
    np.testing.assert_allclose(leave_one_out(further)[0][0] - moved, 100 * scale)


def test_identical_references_are_refused_and_one_silent_example_is_not():
    s = np.tile(np.random.default_rng(2).normal(size=10), (6, 1))  # the variance of equal numbers may round above 0
    s[0] += 1
    with pytest.raises(ValueError, match="agree exactly"):
        leave_one_out(s)
    s = signals(4, 10, np.random.default_rng(2))
    s[:, 3] = 0.0  # saturated everywhere
    assert np.isfinite(leave_one_out(s)[0]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(2, 40), st.integers(0, 2**31), st.integers(1, 12))
def test_adjust_is_ridge_regression(models, n, seed, classes):
    """Against the augmented least-squares problem, which needs no normal equations."""
    rng = np.random.default_rng(seed)
    s, y = signals(models, n, rng), rng.integers(0, classes, n)
    z, mu = leave_one_out(s)
    residual = adjust(z, mu, y)
    assert np.isfinite(residual).all()
    np.testing.assert_allclose(residual.mean(axis=1), 0, atol=1e-8 * max(1, np.abs(z).max()))
    indicators = (y[:, None] == np.unique(y)).astype(float)
    for j in range(models):
        design = np.column_stack([indicators, mu[j], mu[j] ** 2, np.maximum(-mu[j], 0)])
        design = design[:, design.std(axis=0) > 0]
        design = (design - design.mean(axis=0)) / design.std(axis=0)
        target = z[j] - z[j].mean()
        augmented = np.vstack([design, np.sqrt(RIDGE) * np.eye(design.shape[1])])
        solution = np.linalg.lstsq(augmented, np.r_[target, np.zeros(design.shape[1])])[0]
        np.testing.assert_allclose(residual[j], target - design @ solution, atol=1e-6 * max(1, np.abs(z).max()))


def test_adjust_takes_out_what_a_model_does_to_a_class_or_to_hard_examples():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 4, 4000)
    mu = rng.normal(0, 2, (1, 4000))
    z = rng.normal(size=(1, 4000))
    touched = z + np.array([0.0, 1.0, -2.0, 3.0])[y] + 0.7 * mu + 0.3 * mu**2
    np.testing.assert_allclose(adjust(touched, mu, y), adjust(z, mu, y), atol=0.02)


@pytest.mark.parametrize("models", [1, 2, 6])
def test_labels_of_the_sets_are_never_seen(models):
    """Permuting the rows permutes the scores: forget rows are not known to be forget rows (the D2 contract)."""
    rng = np.random.default_rng(4)
    s, y = signals(models, 60, rng), rng.integers(0, 3, 60)
    order = rng.permutation(60)
    np.testing.assert_allclose(calibrated(s[:, order], y[order]), calibrated(s, y)[:, order], atol=1e-9)


@pytest.mark.parametrize("models", [2, 6])
def test_models_are_treated_alike(models):
    """Permuting the models permutes their scores (the D1 contract)."""
    rng = np.random.default_rng(5)
    s, y = signals(models, 40, rng), rng.integers(0, 3, 40)
    order = rng.permutation(models)
    np.testing.assert_allclose(calibrated(s[order], y), calibrated(s, y)[order], atol=1e-9)


def test_units_and_difficulty_do_not_matter():
    """With K >= 2: any affine change per example, alike for all models, leaves z alone."""
    rng = np.random.default_rng(6)
    s = signals(5, 40, rng)
    np.testing.assert_allclose(leave_one_out(3 * s + rng.normal(size=40))[0], leave_one_out(s)[0], atol=1e-9)


@pytest.mark.parametrize("references", [0, 1, 2, 5])
def test_d2_is_exact_for_an_honest_model(references):
    """Fresh examples and seeds each time; the pooled regression and the shrinkage must not cost the level."""
    worlds, rng, rejected = 800, np.random.default_rng(10 + references), 0
    for _ in range(worlds):
        scores = calibrated(signals(references + 1, 75, rng), rng.integers(0, 10, 75))
        rejected += permutation_max_t(scores[:1], 25, 99, rng).p <= 0.05
    low, high = stats.binom.ppf([0.001, 0.999], worlds, 0.05)
    assert low <= rejected <= high


def test_d1_is_exact_for_an_honest_model_though_the_sets_differ():
    """Forget rows harder and noisier than holdout rows; each reference's pool contains the audited model."""
    worlds, rng = 800, np.random.default_rng(20)
    t = rank = 0
    for _ in range(worlds):
        s = signals(6, 75, rng)
        s[:, :25] = 3 * s[:, :25] - 4
        scores = calibrated(s, rng.integers(0, 10, 75))
        statistic = scores[:, :25].mean(axis=1) - scores[:, 25:].mean(axis=1)
        t += crawford_howell(statistic)[1] <= 0.05
        rank += rank_family(statistic[None], np.zeros(1)).p <= 1 / 6 + 1e-9
    assert t <= stats.binom.ppf(0.999, worlds, 0.06), "the t is approximate: one point of slack"
    assert rank <= stats.binom.ppf(0.999, worlds, 1 / 6)


def test_a_leak_in_the_pool_does_not_hide_itself():
    """The references' leave-one-out means contain the audited model; its contrast must stand out all the same."""
    rng = np.random.default_rng(30)
    s = signals(6, 300, rng)
    s[0, :100] += 2.0
    scores = calibrated(s, np.zeros(300, dtype=np.int64))
    statistic = scores[:, :100].mean(axis=1) - scores[:, 100:].mean(axis=1)
    assert crawford_howell(statistic)[1] < 0.01
    assert permutation_max_t(scores[:1], 100, 999, rng).p == 1 / 1000
