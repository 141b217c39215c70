"""Smallest radius per row, censored beyond the sweep: survival curves and the log-rank test between two groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attacks.base import Bools, Floats, Ints


def first_reached(hit: Bools) -> Ints:
    """Position of the first radius at which each row was reached, R where none was, (m,), from (m, R)."""
    return np.asarray(np.where(hit.any(axis=1), hit.argmax(axis=1), hit.shape[1]), dtype=np.int64)


def surviving(first: Ints, radii: int) -> Floats:
    """Share of rows that no radius up to the r-th reached, (radii,), non-increasing."""
    return np.asarray((first[:, None] > np.arange(radii)).mean(axis=0))


def log_rank(one: Ints, other: Ints, radii: int) -> float:
    """p-value of the two-sided log-rank test between two groups of first radii (``scipy.stats.logrank``).

    Rows that were not reached count as censored at the end of the sweep. 1 where no row was reached, or all at once.
    """
    from scipy import stats

    groups = [_censored(first, radii) for first in (one, other)]
    both = np.concatenate([one, other])
    if (both == radii).all() or (both == both[0]).all():
        return 1.0
    return float(stats.logrank(*groups).pvalue)


def _censored(first: Ints, radii: int) -> Any:
    from scipy import stats

    times, reached = first.astype(np.float64) + 1, first < radii
    return stats.CensoredData(uncensored=times[reached], right=times[~reached])


def sentence(what: str, firsts: Sequence[Ints], sweep: Sequence[float]) -> str:
    """Reached shares of the audited model beside the references', and the log-rank test between them."""
    radii = len(sweep)
    left = [surviving(first, radii) for first in firsts]
    shares = ", ".join(f"{1 - share:.2f} by {r:g}" for r, share in zip(sweep, left[0], strict=True))
    text = f"{what} ({len(firsts[0])}): {shares} of the range"
    if len(firsts) == 1:
        return text
    mean = 1 - np.mean(left[1:], axis=0)
    p = log_rank(firsts[0], np.concatenate(firsts[1:]), radii)
    beside = ", ".join(f"{share:.2f}" for share in mean)
    return (
        f"{text}; mean of {len(firsts) - 1} references {beside}; log-rank p = {p:.3g} (their rows pooled as if "
        "independent: descriptive)"
    )
