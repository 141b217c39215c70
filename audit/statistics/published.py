"""Figures that papers print, as pure functions: what they measure is no test, and none of them is a gate.

Sources: UA, RA, TA and the average gap 2304.04934, 2310.12508; ToW 2406.01257; AUS 2312.02052; forget quality
2401.06121; privleak 2407.06460; KLoM 2410.23232; residual knowledge 2601.22359.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from attacks.base import Floats

LEAST_AUC = 0.05  # denominators of privleak stay above it; our choice, the published form is unbounded (5215 was seen)
BINS, FLOOR, CLIP = 20, 1e-5, 100.0  # of KLoM, as its public code has them
SHIFT, LEVEL, TRIALS = 0.2, 0.05, 400  # of the power of forget quality: standard deviations, p; our choice
LARGEST = 2000  # rows of the simulation
RARE = 0.02  # our choice: rows that references recognise more rarely say nothing by a ratio


def average_gap(mine: Floats, reference: Floats) -> float:
    """Mean absolute difference of accuracies on forget, retain and never-seen rows, (3,) each; 0 = as retrained."""
    return float(np.abs(mine - reference).mean())


def tug_of_war(mine: Floats, reference: Floats) -> float:
    """Product of 1 - |difference| over the same accuracies; 1 = as retrained."""
    return float(np.prod(1 - np.abs(mine - reference)))


def aus(forget: float, test: float, original_test: float, *, removed_class: bool) -> float:
    """Adaptive unlearning score from accuracies; the original's is measured, which the public code looks up."""
    return (1 - (original_test - test)) / (1 + (forget if removed_class else abs(forget - test)))


def forget_quality(mine: Floats, others: Sequence[Floats]) -> float:
    """Kolmogorov-Smirnov p of truth ratios on forget rows against a retrain; the median over several."""
    from scipy import stats

    return float(np.median([stats.ks_2samp(mine, other).pvalue for other in others]))


def forget_quality_power(rows: int) -> float:
    """How often that p is below .05 where truth ratios are shifted by .2 standard deviations, by simulation."""
    rng, rows = np.random.default_rng(0), min(rows, LARGEST)
    both = rng.normal(size=(TRIALS, 2 * rows))
    both[:, rows:] += SHIFT
    steps = np.where(np.argsort(both, axis=1) < rows, 1 / rows, -1 / rows)
    apart = np.abs(steps.cumsum(axis=1)).max(axis=1)  # of the two distribution functions
    return float((special.kolmogorov(apart * np.sqrt(rows / 2)) < LEVEL).mean())


def privleak(mine: float, reference: float) -> float:
    """Difference of two AUCs (high = forget rows look like members), percent of what the reference leaves.

    In [-100, 100]: above 0 forget rows look more like members than after a retrain, below 0 less (over-unlearning).
    The published form has the opposite sign.
    """
    difference = mine - reference
    room = 1 - reference if difference >= 0 else reference
    return float(np.clip(100 * difference / max(room, LEAST_AUC), -100, 100))


def klom(mine: Floats, reference: Floats) -> float:
    """Mean over rows of the KL divergence between histograms of margins of two groups of models.

    Args:
        mine: (N, n), N models.
        reference: (M, n).
    """
    low = np.clip(np.minimum(mine.min(axis=0), reference.min(axis=0)), -CLIP, CLIP)
    high = np.clip(np.maximum(mine.max(axis=0), reference.max(axis=0)), -CLIP, CLIP)
    p, q = (_histograms(np.clip(values, -CLIP, CLIP), low, high) for values in (mine, reference))
    q = np.maximum(q, FLOOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / q), 0.0)
    return float(terms.sum(axis=1).mean())


def _histograms(values: Floats, low: Floats, high: Floats) -> Floats:
    """Share of models in each of ``BINS`` bins, (n, BINS); the largest value counts, which the public code drops."""
    width = np.where(high > low, high - low, 1.0)
    bins = np.minimum((BINS * (values - low) / width).astype(np.int64), BINS - 1)
    return np.stack([(bins == k).mean(axis=0) for k in range(BINS)], axis=1)


def residual_knowledge(mine: Floats, reference: Floats) -> float | None:
    """Geometric mean over rows of how often a row is recognised under noise, over the references' rate; 1 = alike.

    Args:
        mine: (n,) rates > 0.
        reference: (n,) rates > 0.

    Returns:
        None where the references recognise no row more often than by .02.
    """
    known = reference >= RARE
    return float(np.exp(np.mean(np.log(mine[known] / reference[known])))) if known.any() else None
