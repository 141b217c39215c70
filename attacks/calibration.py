"""Calibration of per-example signals on the references, the same function for every model.

Offline LiRA (Carlini et al. 2022, arXiv 2112.03570) with shrinkage in place of the switch between fixed and
per-example variance, followed by a regression adjustment that removes what a whole model does to a whole class or
to examples of a given difficulty. Nothing here sees which rows are forget rows, so forget and holdout labels stay
exchangeable (family D2); every model is treated alike, so the models do too (family D1).
"""

import numpy as np
from scipy import linalg

from .base import Floats, Ints

PRIOR_DF = 4.0  # our choice: weight of the pooled variance, in references (statistics.md 2.1)
MAX_SPREAD = 1.5  # our choice: an honest retrain scatters like a reference, within a few per cent
OUT_OF_LINE_REMEDY = (
    "give the audited model's raw logits, as its head computes them",
    "retrain the references with the original's own recipe on the retain set",
)
FEATURES_REMEDY = (
    "give the audited model as it is used: its features as its own layers compute them",
    OUT_OF_LINE_REMEDY[1],
)
TAIL = 0.05  # our choice: rows on each side that say nothing of the scatter, as a share
RIDGE = 1.0  # our choice: one pseudo-row of penalty per standardised covariate


def leave_one_out(signal: Floats) -> tuple[Floats, Floats]:
    """Standardise each model by all others.

    With K = J - 1 others: mean mu, variance v = (nu0 * pooled + (K - 1) * s2) / (nu0 + K - 1), and
    z = (s - mu) / sqrt(v (1 + 1/K)). K = 1 gives s - mu, K = 0 gives s.

    Args:
        signal: (J, n), J >= 1.

    Returns:
        z (J, n) and mu (J, n); mu is zero where there is no other model.

    Raises:
        ValueError: empty or non-finite input, or the other models agree on every example up to rounding, so no
            scale exists.
    """
    if signal.size == 0 or not np.isfinite(signal).all():
        raise ValueError("leave_one_out needs finite signals of at least one model and one example")
    others = len(signal) - 1
    if others == 0:
        return signal.copy(), np.zeros_like(signal)
    if others == 1:
        return signal - signal[::-1], signal[::-1].copy()
    mu, variance = others_moments(signal)
    pooled = variance.mean(axis=1, keepdims=True)
    scale = _sum_of_others((signal**2).mean(axis=1, keepdims=True)) / others
    if (pooled <= np.finfo(float).eps * scale).any():  # rounding alone leaves more than 0
        raise ValueError(
            "the references agree exactly: they are no independent retrains, or all have what this attack reads"
        )
    weight = (1 + 1 / others) / (PRIOR_DF + others - 1)
    shrunk = PRIOR_DF * weight * pooled + (others - 1) * weight * variance
    return (signal - mu) / np.sqrt(shrunk), mu


def others_moments(signal: Floats) -> tuple[Floats, Floats]:
    """Mean and sample variance of all other models, for each model at once.

    With c = s - median: sums over the others l != j of c and c^2 give both in closed form. The sums never hold c_j
    (taking it off a total would cancel where model j lies far from the rest), and the median keeps c small.

    Args:
        signal: (J, n), J >= 3.

    Returns:
        mean (J, n) and variance (J, n) >= 0 with K - 1 = J - 2 in the denominator; exactly 0 where the others agree.
    """
    others = len(signal) - 1
    centre = np.median(signal, axis=0)
    centred = signal - centre
    total = _sum_of_others(centred)
    variance = (_sum_of_others(centred**2) - total**2 / others) / (others - 1)
    return centre + total / others, np.maximum(variance, 0.0)


def _sum_of_others(values: Floats) -> Floats:
    return np.asarray((1 - np.eye(len(values))) @ values)


def adjust(z: Floats, mu: Floats, y: Ints) -> Floats:
    """Residuals of each row of ``z`` after ridge regression on label and difficulty (the references' mean).

    Covariates: label indicators, mu, mu^2, max(-mu, 0), each standardised. Pooled over forget and holdout rows.
    Sums per label stand in for the indicator matrix: O(n) time and memory at any number of labels.

    Args:
        z: (J, n).
        mu: (J, n).
        y: (n,).

    Returns:
        (J, n) residuals.
    """
    codes, counts = np.unique(y, return_inverse=True, return_counts=True)[1:]
    share = counts / len(y)
    spread = np.sqrt(share * (1 - share))  # of each label's indicator; 0 where there is one label only
    inverse = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    gram = (np.diag(counts) - np.outer(counts, share)) * np.outer(inverse, inverse) + RIDGE * np.eye(len(counts))

    def per_label(values: Floats) -> Floats:
        """Standardised indicators' products with centred columns: sums over each label's rows."""
        sums = [np.bincount(codes, weights=column, minlength=len(counts)) for column in values]
        return np.asarray(np.stack(sums, axis=1) * inverse[:, None], dtype=float)

    factor = linalg.cho_factor(gram)
    result = np.empty_like(z)
    for j in range(len(z)):
        difficulty = np.stack([mu[j], mu[j] ** 2, np.maximum(-mu[j], 0)])
        spreads = difficulty.std(axis=1, keepdims=True)
        difficulty = (difficulty - difficulty.mean(axis=1, keepdims=True)) / np.where(spreads > 0, spreads, np.inf)
        centred = z[j] - z[j].mean()
        # block elimination of the labels: their block of the normal equations is the same for every model
        cross, target = np.split(per_label(np.vstack([difficulty, centred])), [3], axis=1)
        solved = linalg.cho_solve(factor, np.hstack([cross, target]))
        reduced = difficulty @ difficulty.T + RIDGE * np.eye(3) - cross.T @ solved[:, :3]
        slope = np.linalg.solve(reduced, difficulty @ centred - cross.T @ solved[:, 3])
        level = (solved[:, 3] - solved[:, :3] @ slope) * inverse
        result[j] = centred - slope @ difficulty - (level[codes] - level @ share)
    return result


def calibrated(signal: Floats, y: Ints) -> Floats:
    """``leave_one_out`` followed by ``adjust``: the membership score of each model on each example, (J, n)."""
    z, mu = leave_one_out(signal)
    return adjust(z, mu, y)


def out_of_line(examples: Floats, what: str = "outputs") -> str:
    """Validity of calibrated scores: does the audited model relate to the references as they do to each other?

    Outputs that were transformed (saved as probabilities, rescaled row by row, quantised) do not follow the
    references' confidence. Nor do those of a model beside references of another recipe (trained less, for example).
    Noise then drowns the signal, and silence proves nothing. Which side is at fault the scores do not tell. The
    scatter is the distance between two quantiles, so that a few odd rows of an honest model do not count.

    Args:
        examples: (J, n) calibrated scores, the audited model in row 0.
        what: of the audited model the scores are made from, a plural.

    Returns:
        "" or the reason why the scores of row 0 support no PASS. Needs two references to say anything.
    """
    if len(examples) < 3:
        return ""
    low, high = np.quantile(examples, (TAIL, 1 - TAIL), axis=1)
    spread = high - low
    if spread[0] <= MAX_SPREAD * spread[1:].max():
        return ""
    worst = spread[1:].max()
    times = f"{spread[0] / worst:.1f} times as much as" if worst > 0 else "beyond"
    return (
        f"the audited model's scores scatter {times} the worst reference's: "
        f"its {what} were transformed, or the references are of another recipe than the original"
    )
