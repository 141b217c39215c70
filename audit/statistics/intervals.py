"""Confidence intervals for the figures that a PASS rests on. ``level`` is the two-sided coverage in (0, 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from attacks.base import Floats
from attacks.laws import beta_ppf, binomial_ppf, normal_ppf, ranks, t_ppf

CACHED = 2**16  # results kept: a few MiB
LOGIT_BEYOND = 0.9  # statistics.md 2.4: the Wald interval under-covers nearer to 0 and 1
ROUNDING = 1e-12  # of an AUC: an order of the rows decides on what is left


@dataclass(frozen=True)
class Estimate:
    """A point estimate with its two-sided interval and standard error (NaN-free; ``se`` may be infinite)."""

    value: float
    low: float
    high: float
    se: float


def auc_delong(forget: Floats, holdout: Floats, level: float) -> Estimate:
    """AUC of forget against holdout scores with DeLong's standard error; ties count half.

    DeLong et al. 1988 through mid-ranks (Sun & Xu 2014). On the logit scale beyond .9 and .1. Where DeLong's error
    is 0 (sides that do not overlap, or all scores tied) the exact binomial bound for an event never seen in the
    rows of the smaller side stands in for it.

    Args:
        forget: (n_F,), n_F >= 2.
        holdout: (n_H,), n_H >= 2.
        level: coverage.

    Raises:
        ValueError: fewer than two rows on a side, or non-finite scores.
    """
    n_f, n_h = len(forget), len(holdout)
    if n_f < 2 or n_h < 2 or not (np.isfinite(forget).all() and np.isfinite(holdout).all()):
        raise ValueError("auc_delong needs at least two finite scores on each side")
    over_holdout, below_forget = auc_components(forget, holdout)
    se = float(np.sqrt(over_holdout.var(ddof=1) / n_f + below_forget.var(ddof=1) / n_h))
    return auc_estimate(float(over_holdout.mean()), se, min(n_f, n_h), level)


def auc_interval(forget: Floats, holdout: Floats, level: float) -> Estimate:
    """``auc_delong``; where a side has one row nothing is known: 0 to 1, with the error of an AUC of .5.

    Args:
        forget: (n_F,), n_F >= 1.
        holdout: (n_H,), n_H >= 1.
        level: coverage.

    Raises:
        ValueError: an empty side, or non-finite scores.
    """
    n_f, n_h = len(forget), len(holdout)
    if min(n_f, n_h) != 1 or not (np.isfinite(forget).all() and np.isfinite(holdout).all()):
        return auc_delong(forget, holdout, level)
    value = float(auc_components(forget, holdout)[0].mean())
    return Estimate(value, 0.0, 1.0, float(np.sqrt((1 / n_f + 1 / n_h) / 12)))


def auc_components(forget: Floats, holdout: Floats) -> tuple[Floats, Floats]:
    """Per forget row the share of holdout rows below it, per holdout row the share of forget rows above; ties half."""
    n_f, n_h = len(forget), len(holdout)
    pooled = ranks(np.concatenate([forget, holdout]))
    over_holdout = (pooled[:n_f] - ranks(forget)) / n_h
    below_forget = 1 - (pooled[n_f:] - ranks(holdout)) / n_f
    return over_holdout, below_forget


def auc_estimate(auc: float, se: float, smaller: int, level: float) -> Estimate:
    """Interval of an AUC from its standard error; the rules of ``auc_delong``. ``smaller``: units, smaller side."""
    z = float(normal_ppf((1 + level) / 2))
    if se < 1e-12:
        reach = 1 - ((1 - level) / 2) ** (1 / smaller)
        low, high = auc - reach, auc + reach
    elif abs(auc - 0.5) > LOGIT_BEYOND - 0.5 + ROUNDING:
        centre, half = np.log(auc / (1 - auc)), z * se / (auc * (1 - auc))
        low, high = (float(1 / (1 + np.exp(-(centre + sign * half)))) for sign in (-1, 1))
    else:
        low, high = auc - z * se, auc + z * se
    return Estimate(auc, max(0.0, low), min(1.0, high), se)


@lru_cache(CACHED)  # an audit asks for the same few counts again and again, and the quantiles of scipy are slow
def clopper_pearson(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Exact binomial interval (Clopper & Pearson 1934).

    Raises:
        ValueError: ``trials`` < 1 or ``successes`` outside [0, trials].
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError("clopper_pearson needs 0 <= successes <= trials and trials >= 1")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta_ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta_ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def tpr_at_fpr(forget: Floats, holdout: Floats, fpr: float, level: float) -> Estimate:
    """Population TPR at a population FPR: order-statistic x Clopper-Pearson sandwich (statistics.md 2.4).

    With t_k the k-th largest holdout score, the true FPR of {s >= t_k} is Beta(k, n_H + 1 - k) (conservative under
    ties). Upper bound: the smallest k whose FPR is >= ``fpr`` with confidence 1 - a/2, then Clopper-Pearson at a/2;
    lower bound mirrored. Each one-sided bound errs with probability at most a = (1 - level) / 2.

    Returns:
        The estimate; its upper bound is 1 where n_H cannot resolve ``fpr`` from above.

    Raises:
        ValueError: an empty side or non-finite scores.
    """
    return roc_band(forget, holdout, (fpr,), level)[0]


def roc_band(forget: Floats, holdout: Floats, rates: Sequence[float], level: float) -> list[Estimate]:
    """``tpr_at_fpr`` at each of several rates: the pointwise band of an ROC curve. Both sides are sorted once.

    Raises:
        ValueError: an empty side or non-finite scores.
    """
    if not len(holdout) or not len(forget) or not (np.isfinite(forget).all() and np.isfinite(holdout).all()):
        raise ValueError("tpr_at_fpr needs finite scores on both sides")
    ascending, descending = np.sort(forget), np.sort(holdout)[::-1]
    return [_tpr(ascending, descending, rate, level) for rate in rates]


def _tpr(ascending: Floats, descending: Floats, fpr: float, level: float) -> Estimate:
    """``tpr_at_fpr`` of sorted sides: forget scores upwards, holdout scores downwards."""
    n_h, n_f = len(descending), len(ascending)
    half = (1 - level) / 4

    def caught(rank: int, strict: bool) -> int:
        return n_f - int(np.searchsorted(ascending, descending[rank - 1], side="right" if strict else "left"))

    below, above = sandwich_ranks(n_h, fpr, half)
    high = 1.0 if above is None else clopper_pearson(caught(above, strict=False), n_f, 1 - 2 * half)[1]
    low = 0.0 if below is None else clopper_pearson(caught(below, strict=True), n_f, 1 - 2 * half)[0]
    allowed = int(np.floor(fpr * n_h * (1 + 1e-12)))  # k / n_H is k rows, whatever rounding says
    if allowed and _realised(descending, allowed) <= fpr:  # never above the nominal rate
        value = caught(allowed, strict=False) / n_f
    else:
        value = caught(1, strict=True) / n_f
    value = min(max(value, low), high)
    return Estimate(value, low, high, (high - low) / (2 * float(normal_ppf((1 + level) / 2))))


@lru_cache(CACHED)
def sandwich_ranks(n_holdout: int, fpr: float, tail: float) -> tuple[int | None, int | None]:
    """Ranks from the top whose true FPR is surely below and surely above ``fpr``, each but for probability ``tail``.

    The FPR at rank k is Beta(k, n_H + 1 - k), and P[Beta(k, n + 1 - k) < q] = P[Bin(n, q) >= k]: so the largest k
    with P[Bin < k] <= tail and the smallest with P[Bin >= k] <= tail. None where the holdout set has no such rank.
    """
    below = int(binomial_ppf(tail, n_holdout, fpr))
    above = int(binomial_ppf(1 - tail, n_holdout, fpr)) + 1
    return below if below >= 1 else None, above if above <= n_holdout else None


def _realised(descending: Floats, rank: int) -> float:
    """Share of the holdout rows that score at least as high as the one of this rank."""
    at_least = len(descending) - np.searchsorted(descending[::-1], descending[rank - 1], side="left")
    return float(at_least / len(descending))


def shift(statistic: Floats, floor: float, level: float, runs: int = 1) -> Estimate:
    """Mean of J unlearned models minus the references' mean: D +- t_{K-1} s sqrt(1/J + 1/K).

    J = 1 is Crawford and Howell's interval. ``s`` comes from the references alone: J runs are taken to scatter like
    retrains, as they do under the null.

    Args:
        statistic: (J + K,), the J unlearned models first, K >= 2.
        floor: smallest admissible s.
        level: coverage.
        runs: J >= 1.

    Raises:
        ValueError: J < 1, K < 2 or non-finite input.
    """
    audited, references, s = _sides(statistic, floor, runs, "shift")
    se = s * float(np.sqrt(1 / runs + 1 / len(references)))
    value = float(audited.mean() - references.mean())
    half = float(t_ppf((1 + level) / 2, df=len(references) - 1)) * se
    return Estimate(value, value - half, value + half, se)


def retained_share(statistic: Floats, original: float, floor: float, level: float, runs: int = 1) -> Estimate | None:
    """(T_u - mean T_ref) / (T_o - mean T_ref) with Fieller's interval; 0 = like a retrain, 1 = like the original.

    a = mean of J unlearned models - R and b = T_o - R share the references' mean R, whose variance is s^2/K. So
    var a = s^2 (1/J + 1/K), var b = s^2 (1 + 1/K) (the original is one model) and cov = s^2/K. The interval holds
    the r with (a - r b)^2 <= t^2 (var a - 2 r cov + r^2 var b), t of K - 1 degrees of freedom (Fieller 1954). Runs
    that start from this original share more with it than R: for r > 0 the interval is then too wide, never too short.

    Args:
        statistic: (J + K,), the J unlearned models first, K >= 2.
        original: the original's statistic.
        floor: smallest admissible s.
        level: coverage.
        runs: J >= 1.

    Returns:
        The estimate, or None where the denominator is not different from zero at this level (the set of shares is
        unbounded: the original itself does not stand out).

    Raises:
        ValueError: J < 1, K < 2 or non-finite input.
    """
    audited, references, s = _sides(statistic, floor, runs, "retained_share")
    k = len(references)
    a, b = float(audited.mean() - references.mean()), float(original - references.mean())
    if not np.isfinite(original):
        raise ValueError("retained_share needs a finite statistic of the original")
    t2 = float(t_ppf((1 + level) / 2, df=k - 1)) ** 2
    lead = b * b - t2 * s**2 * (1 + 1 / k)
    if lead <= 0:
        return None
    middle = a * b - t2 * s**2 / k
    root = np.sqrt(max(0.0, middle**2 - lead * (a * a - t2 * s**2 * (1 / runs + 1 / k))))
    low, high = (middle - root) / lead, (middle + root) / lead
    return Estimate(a / b, float(low), float(high), float(high - low) / (2 * float(np.sqrt(t2))))


def _sides(statistic: Floats, floor: float, runs: int, name: str) -> tuple[Floats, Floats, float]:
    """The unlearned models, the references and the references' spread."""
    audited, references = statistic[:runs], statistic[runs:]
    if runs < 1 or len(references) < 2 or not np.isfinite(statistic).all():
        raise ValueError(f"{name} needs finite statistics of one run and at least two references")
    return audited, references, max(float(np.std(references, ddof=1)), floor)
