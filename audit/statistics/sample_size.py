"""What an audit can see, and what would settle an INCONCLUSIVE one (closed forms of statistics.md 3.4)."""

import math

from scipy import optimize, stats

POWER = 0.8


def auc_error(n_forget: int, n_holdout: int) -> float:
    """Standard error of an AUC of .5: sqrt((1/n_F + 1/n_H) / 12)."""
    return math.sqrt((1 / n_forget + 1 / n_holdout) / 12)


def detectable_auc(n_forget: int, n_holdout: int, alpha: float) -> float:
    """Smallest AUC found with power .8 by a two-sided test at ``alpha`` (normal approximation), at most 1."""
    z = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(POWER))
    return min(1.0, 0.5 + z * auc_error(n_forget, n_holdout))


def detectable_shift(references: int, alpha: float) -> float:
    """Smallest shift, in seed standard deviations, found with power .8 by Crawford-Howell's t (noncentral t)."""
    df = references - 1
    critical = float(stats.t.ppf(1 - alpha / 2, df))

    def shortfall(shift: float) -> float:
        noncentral = shift / math.sqrt(1 + 1 / references)
        upper = float(stats.nct.sf(critical, df, noncentral))
        return upper - POWER

    high = 4.0
    while shortfall(high) < 0 and high < 1e4:
        high *= 2
    return float(optimize.brentq(shortfall, 0, high))


def forget_rows_to_pass(n_forget: int, deviation: float, se: float, margin: float, alpha: float) -> int | None:
    """Forget rows (holdout rows scaled alike) for a PASS with power .8, if the true deviation is the one seen.

    n* = n_F [SE (z_{1-a} + z_{.9}) / (m - |D|)]^2. None where |D| >= m: more rows would show a leak.
    """
    slack = margin - abs(deviation)
    if slack <= 0:
        return None
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf((1 + POWER) / 2))
    return max(n_forget + 1, math.ceil(n_forget * (se * z / slack) ** 2))


def references_to_pass(deviation: float, seed_sd: float, reach: float, alpha: float) -> int | None:
    """Smallest K with t_{K-1,1-a} s sqrt(1 + 1/K) <= reach - |D|, up to 999; None where no K does."""
    slack = reach - abs(deviation)
    for k in range(3, 1000):
        if float(stats.t.ppf(1 - alpha, k - 1)) * seed_sd * math.sqrt(1 + 1 / k) <= slack:
            return k
    return None
