"""Labels of deleted rows, read off the change of the last layer."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats, Ints


def head_signal(weight: Floats, bias: Floats) -> Floats:
    """One number a class, lowest for the classes of the rows whose loss was raised, (C,).

    The gradient of the cross-entropy at the last bias is p - onehot(y), negative for the label alone (iDLG, Zhao et
    al., arXiv 2001.02610). Without a bias, the sum of the class's weights says it, as features are mostly positive.

    Args:
        weight: (C, d) change of the head's weight.
        bias: (C,) of its bias.
    """
    return bias if np.abs(bias).max() > 0 else np.asarray(weight.sum(axis=1))


def single(signal: Floats, hypotheses: int) -> Ints:
    """The likeliest labels of one row, (h, 1), best first."""
    return np.asarray(np.argsort(signal, kind="stable")[:hypotheses, None], dtype=np.int64)


def several(signal: Floats, count: int) -> Ints:
    """One multiset of labels for ``count`` rows, (1, count), sorted: by the negative parts, largest remainders."""
    weight = np.maximum(-signal, 0)
    share = weight / weight.sum() * count if weight.sum() > 0 else np.full(len(signal), count / len(signal))
    whole = np.floor(share).astype(np.int64)
    rest = np.argsort(-(share - whole), kind="stable")[: count - whole.sum()]
    whole[rest] += 1
    return np.repeat(np.arange(len(signal), dtype=np.int64), whole)[None]
