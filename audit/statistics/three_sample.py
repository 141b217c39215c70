"""Closer to the retrains or to the original? A three-sample comparison by relative maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.base import Floats, Ints

FOR_SCALE = 150  # our choice: rows of each sample at most that decide the kernel's width


@dataclass(frozen=True)
class Relative:
    """Squared maximum mean discrepancies of one sample from two others, unbiased (they may fall below 0).

    Attributes:
        to_retrains: from the retrains, mean over them; about -.1 to 2.
        to_original: from the original.
        se: standard error of ``difference`` over the rows.
    """

    to_retrains: float
    to_original: float
    se: float

    @property
    def difference(self) -> float:
        """To the retrains minus to the original; < 0 = closer to the retrains."""
        return self.to_retrains - self.to_original


def relative_mmd(audited: Floats, retrains: Sequence[Floats], original: Floats, groups: Ints) -> Relative:
    """Relative maximum mean discrepancy (Bounliphone et al., ICLR 2016, arXiv 1511.04581).

    Kernel exp(-d^2 / (2 b)), b the median squared distance over the three samples pooled (of
    ``FOR_SCALE`` rows, mean over the retrains). The difference is a
    U-statistic of order two in whole rows (what all models answer on them), so that its variance covers that the
    models answer the same rows: 4 / n times the variance of its row means, and the term of order n^-2 (Hoeffding 1948),
    which counts where all samples look alike. Pairs of one group are left out, and row means are summed by group.

    Args:
        audited: (n, d) outputs of the audited model, n >= 2 rows of at least two groups.
        retrains: K >= 1 of the same on the same rows.
        original: the same.
        groups: (n,) code of each row's data subject; all different where rows are independent.

    Returns:
        both discrepancies and the error of their difference, for these models: seeds are not drawn anew.

    Raises:
        ValueError: no retrain, non-finite outputs, or fewer than two groups.
    """
    samples = [audited, original, *retrains]
    if not retrains or len(np.unique(groups)) < 2 or not all(np.isfinite(s).all() for s in samples):
        raise ValueError("relative_mmd needs a retrain, finite outputs and rows of two groups")
    some = slice(None, None, 1 + (len(audited) - 1) // FOR_SCALE)
    scale = float(np.mean([_scale(np.concatenate([audited[some], original[some], r[some]])) for r in retrains]))
    pairs = groups[:, None] != groups[None, :]

    def beyond(other: Floats) -> Floats:
        """What discrepancy from ``other`` adds to that within the audited sample, by pairs of rows."""
        across = _kernel(audited, other, scale)
        return _kernel(other, other, scale) - across - across.T

    theirs = beyond(original)
    ours = np.zeros_like(theirs)
    for retrain in retrains:
        ours += beyond(retrain) / len(retrains)
    within = _kernel(audited, audited, scale)[pairs].mean()
    return Relative(
        float(within + ours[pairs].mean()), float(within + theirs[pairs].mean()), _error(ours - theirs, pairs, groups)
    )


def _error(h: Floats, pairs: np.ndarray, groups: Ints) -> float:
    """Standard error of the mean of ``h`` (n, n) over ``pairs`` of rows."""
    n, count = len(h), pairs.sum(axis=1)
    mean = h[pairs].mean()
    rows = np.where(pairs, h - mean, 0.0).sum(axis=1) / np.maximum(count, 1)
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=rows)
    return float(np.sqrt(4 * (sums**2).sum() / n**2 + 2 * h[pairs].var() / pairs.sum()))


def _squared(a: Floats, b: Floats) -> Floats:
    """Squared distances (n, m)."""
    found = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    return np.asarray(np.maximum(found, 0.0))


def _kernel(a: Floats, b: Floats, scale: float) -> Floats:
    return np.asarray(np.exp(-_squared(a, b) / (2 * scale)))


def _scale(pooled: Floats) -> float:
    """Median squared distance of two rows; the mean where most rows agree, 1 where all do."""
    distances = _squared(pooled, pooled)[np.triu_indices(len(pooled), 1)]
    median = float(np.median(distances))
    return median if median > 0 else float(distances.mean()) or 1.0
