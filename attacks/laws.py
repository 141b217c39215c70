"""Quantiles and tails of the usual laws, and ranks, from ``scipy.special``: ``scipy.stats`` is slow to import.

Arguments may be arrays, as those of the functions of SciPy that do the work. Tests compare them with ``scipy.stats``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from attacks.base import Floats


def normal_cdf(x: Any) -> Any:
    """P(Z <= x) of a standard normal."""
    return special.ndtr(x)


def normal_sf(x: Any) -> Any:
    """P(Z > x)."""
    return special.ndtr(-np.asarray(x))


def normal_logsf(x: Any) -> Any:
    """Its logarithm, far out as well."""
    return special.log_ndtr(-np.asarray(x))


def normal_ppf(p: Any) -> Any:
    """x with P(Z <= x) = p."""
    return special.ndtri(p)


def normal_isf(p: Any) -> Any:
    """x with P(Z > x) = p."""
    return -special.ndtri(p)


def t_sf(x: Any, df: float) -> Any:
    """P(T > x) of Student's t with ``df`` degrees of freedom."""
    return special.stdtr(df, -np.asarray(x))


def t_ppf(p: Any, df: float) -> Any:
    """x with P(T <= x) = p."""
    return special.stdtrit(df, p)


def beta_ppf(p: Any, a: Any, b: Any) -> Any:
    """x with P(B <= x) = p of a beta law, a, b > 0."""
    return special.betaincinv(a, b, p)


def binomial_sf(k: int, n: int, p: float) -> float:
    """P(K > k) of n draws with probability p."""
    return 1.0 if k < 0 else 0.0 if k >= n else float(special.bdtrc(k, n, p))


def binomial_ppf(q: float, n: int, p: float) -> int:
    """The smallest k with P(K <= k) >= q."""
    k = min(n, max(0, int(np.ceil(special.bdtrik(q, n, p)))))
    while k > 0 and special.bdtr(k - 1, n, p) >= q:
        k -= 1
    while k < n and special.bdtr(k, n, p) < q:
        k += 1
    return k


def ranks(values: Floats) -> Floats:
    """Ranks from 1 on, ties share their mean, (n,); without NaN."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[where])
