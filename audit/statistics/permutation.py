"""Family D2: forget and holdout labels are exchangeable under an honest retrain."""

from dataclasses import dataclass

import numpy as np

from attacks.base import Floats

CHUNK_BYTES = 64 * 2**20  # permuted label rows held at a time


@dataclass(frozen=True)
class MaxT:
    """Result of a max-T test over A statistics.

    Attributes:
        p: p-value of the global null, in (0, 1].
        adjusted: (A,) step-down adjusted p-values (family-wise), in (0, 1].
        statistic: (A,) signed standardised contrasts; > 0 = forget rows score higher.
    """

    p: float
    adjusted: Floats
    statistic: Floats


def permutation_max_t(scores: Floats, n_forget: int, permutations: int, rng: np.random.Generator) -> MaxT:
    """Two-sided permutation max-T test that forget and holdout rows score alike.

    T_a = (mean_F s_a - mean_H s_a) / (sd_a sqrt(1/n_F + 1/n_H)) with the pooled sd, which no relabelling changes;
    p = (1 + #{b: max|T_b| >= max|T|}) / (B + 1). Exact at any n for scores that do not depend on which rows are
    forget rows. Adjusted p-values by step-down (Westfall & Young 1993; Ge, Dudoit & Speed 2003, box 2). Ties count
    against rejection; a constant score has T = 0.

    Args:
        scores: (A, n_F + n_H), finite, forget rows first.
        n_forget: n_F, in [1, n - 1].
        permutations: B >= 1.
        rng: generator.

    Returns:
        The test's result.

    Raises:
        ValueError: empty or non-finite input, or n_F out of range.
    """
    attacks, n = scores.shape
    if attacks == 0 or not 0 < n_forget < n or permutations < 1:
        raise ValueError("permutation_max_t needs scores, rows on both sides and at least one permutation")
    if not np.isfinite(scores).all():
        raise ValueError("permutation_max_t: scores must be finite")
    standard = _standardised(scores)
    scale = np.sqrt(n_forget * (n - n_forget) / n)  # 1 / sqrt(1/n_F + 1/n_H)

    def statistics(is_forget: Floats) -> Floats:
        sums = is_forget @ standard.T  # scores are centred, so the holdout sum is minus the forget sum
        return np.asarray(sums * (1 / n_forget + 1 / (n - n_forget)) * scale)

    labels = np.zeros(n)
    labels[:n_forget] = 1
    observed = statistics(labels[None])[0]
    order = np.argsort(-np.abs(observed), kind="stable")
    ranked = np.abs(observed[order])
    tolerance = 1e-9 * max(1.0, float(ranked[0]))
    exceed = np.zeros(attacks)
    rows = max(1, CHUNK_BYTES // (8 * n))
    for start in range(0, permutations, rows):
        block = np.tile(labels, (min(rows, permutations - start), 1))
        drawn = np.abs(statistics(rng.permuted(block, axis=1)))[:, order]
        # successive maxima from the smallest statistic up: the step-down null of each rank
        maxima = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
        exceed += (maxima >= ranked - tolerance).sum(axis=0)
    stepped = np.maximum.accumulate((1 + exceed) / (permutations + 1))
    adjusted = np.empty(attacks)
    adjusted[order] = stepped
    return MaxT(p=float(stepped[0]), adjusted=adjusted, statistic=observed)


def _standardised(scores: Floats) -> Floats:
    centred = scores - scores.mean(axis=1, keepdims=True)
    sd = np.sqrt((centred**2).sum(axis=1, keepdims=True) / (scores.shape[1] - 1))
    constant = sd <= 1e-12 * np.maximum(1.0, np.abs(scores).max(axis=1, keepdims=True))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, sd))
