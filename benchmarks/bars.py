"""Counts against their bars: 99.9 % points of binomial counts, Bonferroni over the gated cells of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from scipy import stats

from audit.statistics.intervals import clopper_pearson

RISK = 0.001  #: of a false excess, over all gated cells of a table
Row = dict[str, Any]


def count_row(n: int, count: int, nominal: float, bound: str, gated: int) -> Row:
    """One counted cell.

    Args:
        n: worlds (or draws).
        count: how many of them.
        nominal: the rate of the bar.
        bound: ``at most``, ``at least`` or ``shown``.
        gated: gated cells of the table.

    Returns:
        n, count, its 95 % Clopper-Pearson interval, the bar (None where only shown) and whether it holds.
    """
    low, high = clopper_pearson(count, n, 0.95)
    row: Row = {"n": n, "count": count, "low": low, "high": high, "bar": None, "ok": True}
    if bound == "at most":
        row["bar"] = int(stats.binom.ppf(1 - RISK / gated, n, nominal))
        row["ok"] = count <= row["bar"]
    elif bound == "at least":
        row["bar"] = int(stats.binom.ppf(RISK / gated, n, nominal))
        row["ok"] = count >= row["bar"]
    return row


def uniform_row(p: Sequence[float], gated: int) -> Row:
    """Are p-values too small too often? One-sided Kolmogorov-Smirnov test against the uniform law.

    A valid p-value has P(p <= t) <= t for every t; on a grid (ranks, permutations) the test is conservative.
    """
    bar = RISK / gated
    below = {f"{t:g}": sum(value <= t for value in p) for t in (0.01, 0.05, 0.1, 0.5)}
    statistic, p_value = 1.0, 0.0  # no p-value at all: the cell did not measure what it names
    if len(p):
        test = stats.kstest(p, "uniform", alternative="greater")
        statistic, p_value = float(test.statistic), float(test.pvalue)
    return {"n": len(p), "statistic": statistic, "p": p_value, "below": below, "bar": bar, "ok": p_value >= bar}


def gated_cells(cells: Iterable[tuple[str, str]]) -> Counter[str]:
    """Gated cells of each table, from (table, bound) of every cell."""
    return Counter(table for table, bound in cells if bound != "shown")
