"""Weights between statistics of one family: a heavier one needs a smaller deviation for the same evidence."""

import numpy as np

from attacks.base import Floats
from attacks.laws import normal_logsf


def relative_size(statistics: Floats, weights: Floats) -> Floats:
    """log(w / smallest w) - log(2 Phi(-|T|)): grows with |T| and with the weight, 0 or more.

    Its maximum over the statistics orders alike with the smallest of 2 Phi(-|T_a|) / w_a, without underflow.

    Args:
        statistics: (..., A).
        weights: (A,), > 0; their scale has no effect.

    Raises:
        ValueError: a weight is not above 0.
    """
    if not (weights > 0).all():
        raise ValueError("relative_size needs weights above 0")
    size = np.log(weights / weights.min()) - np.log(2) - normal_logsf(np.abs(statistics))
    return np.asarray(np.minimum(size, np.finfo(float).max))  # two that overflow are a tie


def weighted_holm(p: Floats, weights: Floats) -> Floats:
    """Adjusted p-values (A,) of Holm's weighted step-down test (Holm 1979, section 3); the smallest is min p_a / w_a.

    Args:
        p: (A,), in (0, 1].
        weights: (A,), > 0; scaled to a sum of 1.

    Raises:
        ValueError: a weight is not above 0.
    """
    if not (weights > 0).all():
        raise ValueError("weighted_holm needs weights above 0")
    order = np.argsort(p / weights, kind="stable")
    left = np.cumsum(weights[order][::-1])[::-1]  # the weight of a hypothesis and of all after it
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (left / weights[order])))
    return adjusted
