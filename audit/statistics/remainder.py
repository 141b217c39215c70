"""The visible remainder: how visible the forget set still is, as a share of how visible it was in the original."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from .intervals import Estimate

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
#: our choice: resamples of the rows; each end of a 90 % interval then errs with .05 +- .007
RESAMPLES = 1000
_CELLS = 2**22  # resamples times rows at once: 32 MiB


def visible_remainder(
    audited: tuple[Floats, Floats], original: tuple[Floats, Floats], fpr: float, level: float, rng: np.random.Generator
) -> Estimate:
    """(a - q) / (o - q): the tail rates of the audited model and of the original beyond their false positive rate q.

    1 where the forget set is as visible as in the original, 0 where it is as visible as never-seen rows are. It is no
    count of rows: all rows at a quarter of their strength and some of the rows in full may read alike. The interval
    resamples rows (percentiles of the Poisson bootstrap): both models keep their pairing on a row, and the threshold
    is drawn anew from the holdout rows each time.

    Args:
        audited: scores (n_F,) of the forget and (n_H,) of the holdout rows, higher = more like a member.
        original: the same rows scored on the original.
        fpr: q, in (0, 1).
        level: of the interval, two-sided.
        rng: draws the rows.

    Returns:
        estimate and interval; NaN where the original's tail is not above q.
    """
    n_forget, n_holdout = len(audited[0]), len(audited[1])
    # mean rate of never-seen rows at that threshold
    expected = (math.floor(fpr * n_holdout * (1 + 1e-12)) + 1) / (n_holdout + 1)
    tails = [_Tail(*sides, fpr) for sides in (audited, original)]
    ones = np.ones((1, n_forget), dtype=np.int64), np.ones((1, n_holdout), dtype=np.int64)
    a, o = (float(tail.rates(*ones)[0]) for tail in tails)
    if o <= expected:
        return Estimate(math.nan, math.nan, math.nan, math.nan)
    value = (a - expected) / (o - expected)
    drawn = []
    step = max(1, _CELLS // max(n_forget, n_holdout))
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        weights = [rng.poisson(1.0, size=(count, n)) for n in (n_forget, n_holdout)]
        above, below = (tail.rates(weights[0], weights[1]) - expected for tail in tails)
        drawn.append(np.where(below > 0, above / np.where(below > 0, below, 1.0), math.inf))
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    low, high = min(float(low), value), max(float(high), value)
    return Estimate(value, low, high, (high - low) / (2 * float(stats.norm.ppf((1 + level) / 2))))


class _Tail:
    """Tail rates of one model for many weightings of the rows, which are sorted once."""

    def __init__(self, forget: Floats, holdout: Floats, fpr: float) -> None:
        self.forget_order, self.holdout_order = np.argsort(-forget), np.argsort(-holdout)
        # number of forget rows that score strictly higher than each holdout row
        self.higher = np.searchsorted(-forget[self.forget_order], -holdout[self.holdout_order], side="left")
        self.fpr = fpr

    def rates(self, forget: Counts, holdout: Counts) -> Floats:
        """Weighted share of the forget rows above the threshold that at most ``fpr`` of the holdout rows exceed, (B,).

        Args:
            forget: how often each row counts, (B, n_F).
            holdout: the same, (B, n_H).
        """
        beyond = np.cumsum(holdout[:, self.holdout_order], axis=1)
        allowed = np.floor(self.fpr * beyond[:, -1:] * (1 + 1e-12))  # k / n_H is k rows, whatever rounding says
        above = self.higher[(beyond > allowed).argmax(axis=1)]
        caught = np.cumsum(forget[:, self.forget_order], axis=1)
        first = np.take_along_axis(caught, np.maximum(above - 1, 0)[:, None], axis=1)[:, 0]
        return np.where(above > 0, first, 0) / np.maximum(caught[:, -1], 1)
