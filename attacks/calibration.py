"""Calibration of per-example signals on the references, the same function for every model.

Offline LiRA (Carlini et al. 2022, arXiv 2112.03570) with shrinkage in place of the switch between fixed and
per-example variance, followed by a regression adjustment that removes what a whole model does to a whole class or
to examples of a given difficulty. Nothing here sees which rows are forget rows, so forget and holdout labels stay
exchangeable (family D2); every model is treated alike, so the models do too (family D1).
"""

import numpy as np

from .base import Floats, Ints

PRIOR_DF = 4.0  # our choice: weight of the pooled variance, in references (statistics.md 2.1)
MAX_SPREAD = 1.5  # our choice: an honest retrain scatters like a reference, within a few per cent
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
        ValueError: the other models agree on every example up to rounding, so no scale exists.
    """
    models = len(signal)
    others = models - 1
    if others == 0:
        return signal.copy(), np.zeros_like(signal)
    mu = (signal.sum(axis=0) - signal) / others
    if others == 1:
        return signal - mu, mu
    z = np.empty_like(signal)
    for j in range(models):
        rest = np.delete(signal, j, axis=0)
        variance = rest.var(axis=0, ddof=1)
        if variance.mean() <= np.finfo(float).eps * np.mean(rest**2):  # rounding alone leaves more than 0
            raise ValueError("the references agree exactly: they are no independent retrains")
        shrunk = (PRIOR_DF * variance.mean() + (others - 1) * variance) / (PRIOR_DF + others - 1)
        z[j] = (signal[j] - mu[j]) / np.sqrt(shrunk * (1 + 1 / others))
    return z, mu


def adjust(z: Floats, mu: Floats, y: Ints) -> Floats:
    """Residuals of each row of ``z`` after ridge regression on label and difficulty (the references' mean).

    Covariates: label indicators, mu, mu^2, max(-mu, 0). Pooled over forget and holdout rows.

    Args:
        z: (J, n).
        mu: (J, n).
        y: (n,).

    Returns:
        (J, n) residuals.
    """
    _, codes = np.unique(y, return_inverse=True)
    indicators = np.eye(codes.max() + 1)[codes]
    result = np.empty_like(z)
    for j in range(len(z)):
        design = np.column_stack([indicators, mu[j], mu[j] ** 2, np.maximum(-mu[j], 0)])
        spread = design.std(axis=0)
        design = (design - design.mean(axis=0))[:, spread > 0] / spread[spread > 0]
        centred = z[j] - z[j].mean()
        gram = design.T @ design + RIDGE * np.eye(design.shape[1])
        result[j] = centred - design @ np.linalg.solve(gram, design.T @ centred)
    return result


def calibrated(signal: Floats, y: Ints) -> Floats:
    """``leave_one_out`` followed by ``adjust``: the membership score of each model on each example, (J, n)."""
    z, mu = leave_one_out(signal)
    return adjust(z, mu, y)


def out_of_line(examples: Floats) -> str:
    """Validity of calibrated scores: does the audited model relate to the references as they do to each other?

    Outputs that were transformed (saved as probabilities, rescaled row by row, quantised) do not follow the
    references' confidence. Noise then drowns the signal, and silence proves nothing.

    Args:
        examples: (J, n) calibrated scores, the audited model in row 0.

    Returns:
        "" or the reason why the scores of row 0 support no PASS. Needs two references to say anything.
    """
    if len(examples) < 3:
        return ""
    spread = examples.std(axis=1)
    if spread[0] <= MAX_SPREAD * spread[1:].max():
        return ""
    return (
        f"the scores scatter {spread[0] / spread[1:].max():.1f} times as much as the worst reference's: the outputs "
        "were transformed, or are of another kind of model"
    )
