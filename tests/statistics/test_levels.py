"""Short forms of the design's C7 and C8: coverage at the smallest sizes, super-uniform p-values.

Heavy-tailed, heteroscedastic examples with a common seed effect per model, honest models only.
"""

import numpy as np
import pytest
from scipy import stats

from attacks.calibration import calibrated
from audit.statistics.features import features
from audit.statistics.intervals import auc_delong, clopper_pearson, tpr_at_fpr
from audit.statistics.model_level import holm, rank_family, t_family
from audit.statistics.permutation import permutation_max_t


def honest(models: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Signals of models that saw none of the rows."""
    spread, difficulty = rng.gamma(4, 0.25, n), rng.standard_t(5, n)
    return difficulty + spread * (rng.standard_t(5, (models, n)) + 0.3 * rng.normal(size=(models, 1)))


def d2(signal: np.ndarray, n_forget: int, labels: np.ndarray, seed: int, permutations: int = 99) -> float:
    scores = features(calibrated(signal, labels)[0])
    return permutation_max_t(scores, n_forget, permutations, np.random.default_rng(seed)).p


@pytest.mark.parametrize("references", [0, 5])
def test_d2_p_values_are_super_uniform(references):
    """Four features of calibrated scores: one-sided Kolmogorov-Smirnov against uniform, and the level itself."""
    worlds, rng = 300, np.random.default_rng(references)
    labels = rng.integers(0, 5, 150)
    p = np.array([d2(honest(references + 1, 150, rng), 50, labels, seed) for seed in range(worlds)])
    uniform_on_lattice = stats.kstest(p - 0.005, "uniform", alternative="greater")  # p lies on k / 100
    assert uniform_on_lattice.pvalue > 0.001
    assert (p <= 0.05).sum() <= stats.binom.ppf(0.999, worlds, 0.05)


def test_d1_rank_p_values_are_exact_on_their_lattice():
    worlds, k, rng = 400, 19, np.random.default_rng(1)
    p = np.empty(worlds)
    for w in range(worlds):
        phi = features(honest(k + 1, 90, rng))
        contrasts = phi[..., :30].mean(axis=-1) - phi[..., 30:].mean(axis=-1)
        p[w] = rank_family(contrasts.T, np.zeros(4)).p
    counts = np.bincount((p * (k + 1)).round().astype(int), minlength=k + 2)[1:]
    assert stats.chisquare(counts).pvalue > 0.001
    assert counts[0] <= stats.binom.ppf(0.999, worlds, 1 / (k + 1))


@pytest.mark.parametrize("k", [5, 8])
def test_both_families_under_holm(k):
    """D2 over the features and D1-t over other statistics of the same models: the chance that either rejects."""
    worlds, rng = 300, np.random.default_rng(k)
    labels = np.zeros(90, dtype=np.int64)
    failed = 0
    for seed in range(worlds):
        signal = honest(k + 1, 90, rng)
        phi = calibrated(signal, labels)
        contrast = phi[:, :30].mean(axis=1) - phi[:, 30:].mean(axis=1)
        p = {"D2": d2(signal, 30, labels, seed), "D1": t_family(contrast[None], np.zeros(1)).p}
        failed += min(holm(p).values()) <= 0.05
    assert failed <= stats.binom.ppf(0.999, worlds, 0.05)


@pytest.mark.parametrize(("n_f", "n_h"), [(30, 100), (59, 100)])
def test_coverage_at_the_smallest_sizes(n_f, n_h):
    """C7: 95 % intervals over 400 draws; DeLong at least .93, Clopper-Pearson and the sandwich .95."""
    worlds, rng = 400, np.random.default_rng(n_f)
    hits = np.zeros(3, dtype=int)
    truth = stats.norm.sf(stats.norm.isf(0.05) - 0.5)
    for _ in range(worlds):
        forget, holdout = rng.normal(0.5, 1, n_f), rng.normal(size=n_h)
        area, tail = auc_delong(forget, holdout, 0.95), tpr_at_fpr(forget, holdout, 0.05, 0.95)
        low, high = clopper_pearson(int(rng.binomial(n_f, 0.3)), n_f, 0.95)
        hits += [
            area.low <= stats.norm.cdf(0.5 / np.sqrt(2)) <= area.high,
            tail.low <= truth <= tail.high,
            low <= 0.3 <= high,
        ]
    misses = worlds - hits
    assert misses[0] <= stats.binom.ppf(0.999, worlds, 0.07)
    assert max(misses[1:]) <= stats.binom.ppf(0.999, worlds, 0.05)


def test_a_copied_model_only_makes_the_rank_test_shyer():
    """C9: one reference twice; ties count against rejection."""
    worlds, rng, rejected = 400, np.random.default_rng(2), 0
    for _ in range(worlds):
        statistics = rng.normal(size=(2, 20))
        statistics[:, 19] = statistics[:, 18]
        rejected += rank_family(statistics, np.zeros(2)).p <= 0.05
    assert rejected <= stats.binom.ppf(0.999, worlds, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("references", [0, 5])
def test_d2_level_over_many_worlds(references):
    worlds, rng = 4000, np.random.default_rng(10 + references)
    labels = rng.integers(0, 5, 150)
    rejected = sum(d2(honest(references + 1, 150, rng), 50, labels, seed) <= 0.05 for seed in range(worlds))
    assert rejected <= stats.binom.ppf(0.999, worlds, 0.05)
