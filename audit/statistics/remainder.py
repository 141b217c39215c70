"""The visible remainder: how visible the forget set still is, as a share of how visible it was in the original."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from attacks.laws import normal_ppf

from .intervals import Estimate

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
#: our choice: resamples of the rows; each end of a 90 % interval then errs with .05 +- .007
RESAMPLES = 1000
_CELLS = 2**22  # resamples times pieces at once: 32 MiB


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
    n_holdout = len(audited[1])
    # mean rate of never-seen rows at that threshold
    expected = (math.floor(fpr * n_holdout * (1 + 1e-12)) + 1) / (n_holdout + 1)
    tails = [_Tail(*sides, fpr) for sides in (audited, original)]
    forget = _Pieces([tail.forget_rank for tail in tails], [tail.forget_band for tail in tails])
    holdout = _Pieces([tail.holdout_rank for tail in tails], [tail.holdout_band for tail in tails])
    rates = [tail.at(*pieces) for tail, *pieces in zip(tails, forget.keys, holdout.keys, strict=True)]
    a, o = (float(rate(forget.count[None], holdout.count[None])[0]) for rate in rates)
    if o <= expected:
        return Estimate(math.nan, math.nan, math.nan, math.nan)
    value = (a - expected) / (o - expected)
    drawn = []
    step = max(1, _CELLS // max(len(forget.count), len(holdout.count)))
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        weights = [rng.poisson(side.count, size=(count, len(side.count))) for side in (forget, holdout)]
        above, below = (rate(*weights) - expected for rate in rates)
        drawn.append(np.where(below > 0, above / np.where(below > 0, below, 1.0), math.inf))
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    low, high = min(float(low), value), max(float(high), value)
    return Estimate(value, low, high, (high - low) / (2 * float(normal_ppf((1 + level) / 2))))


class _Pieces:
    """Rows of one side that must be drawn one by one, and the others in lumps: sums of Poisson counts are such counts.

    A row outside every model's band is above or below each threshold that can occur; rows that agree in that are one
    piece, whose weight is Poisson with their number as its mean.

    Args:
        ranks: of the rows, 0 = the highest score, (n,) for each model.
        bands: ranks [first, end) that a threshold can reach, for each model.

    Attributes:
        count: rows of each piece, (P,).
        keys: for each model the rank of each piece that is one row, -1 for a lump above its band, n below, (P,).
    """

    def __init__(self, ranks: list[Counts], bands: list[tuple[int, int]]) -> None:
        n = len(ranks[0])
        where = np.stack([np.where(r < a, -1, np.where(r < b, r, n)) for r, (a, b) in zip(ranks, bands, strict=True)])
        single = ((where >= 0) & (where < n)).any(axis=0)
        lumps, sizes = np.unique(where[:, ~single], axis=1, return_counts=True)
        self.count = np.r_[np.ones(int(single.sum()), dtype=np.int64), sizes]
        self.keys = list(np.concatenate([np.stack(ranks)[:, single], lumps], axis=1))


class _Tail:
    """Where the tail threshold of one model lies, and which rows exceed it.

    Attributes:
        forget_rank, holdout_rank: of each row among its side, 0 = the highest score.
        forget_band, holdout_band: ranks [first, end) between which a resampled threshold falls (8 sd: our choice).
    """

    def __init__(self, forget: Floats, holdout: Floats, fpr: float) -> None:
        forget_order, holdout_order = np.argsort(-forget), np.argsort(-holdout)
        self.forget_rank, self.holdout_rank = np.argsort(forget_order), np.argsort(holdout_order)
        # number of forget rows that score strictly higher than each holdout row
        self.higher = np.searchsorted(-forget[forget_order], -holdout[holdout_order], side="left")
        self.fpr = fpr
        at, reach = fpr * len(holdout), 8 * math.sqrt(fpr * len(holdout)) + 8
        self.holdout_band = max(0, math.floor(at - reach)), min(len(holdout), math.ceil(at + reach))
        first, end = self.holdout_band
        self.forget_band = int(self.higher[first]), int(self.higher[end - 1])

    def at(self, forget_keys: Counts, holdout_keys: Counts) -> Callable[[Counts, Counts], Floats]:
        """Weighted share of the forget rows above the threshold that at most ``fpr`` of the holdout rows exceed.

        Args:
            forget_keys, holdout_keys: of the pieces, for this model.

        Returns:
            weights of the pieces, (B, P) on each side -> (B,).
        """
        forget_order, holdout_order = np.argsort(forget_keys, kind="stable"), np.argsort(holdout_keys, kind="stable")
        first, end = self.holdout_band
        reached = self.higher[np.clip(holdout_keys[holdout_order], first, end - 1)]
        # forget pieces above each holdout piece: those whose rank is below the number of forget rows above it
        above_of = np.searchsorted(forget_keys[forget_order], reached, side="left")

        def rate(forget: Counts, holdout: Counts) -> Floats:
            beyond = np.cumsum(holdout[:, holdout_order], axis=1)
            allowed = np.floor(self.fpr * beyond[:, -1:] * (1 + 1e-12))  # k / n_H is k rows, whatever rounding says
            above = above_of[(beyond > allowed).argmax(axis=1)]
            caught = np.cumsum(forget[:, forget_order], axis=1)
            before = np.take_along_axis(caught, np.maximum(above - 1, 0)[:, None], axis=1)[:, 0]
            return np.asarray(np.where(above > 0, before, 0) / np.maximum(caught[:, -1], 1))

        return rate
