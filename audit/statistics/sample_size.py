"""What an audit can see, and what would settle an INCONCLUSIVE one (closed forms of statistics.md 2.6 and 3.4).

Rows are independent units. Where rows come in data subjects, give subjects and the clustered error, or divide the
rows by ``design_effect``. Every count rests on the deviation that was seen, which is itself uncertain.
"""

import math
from collections.abc import Callable

import numpy as np

from attacks.base import Ints
from attacks.laws import beta_ppf, normal_cdf, normal_isf, normal_ppf, normal_sf, t_ppf

from .intervals import sandwich_ranks

POWER = 0.8
MOST_ROWS = 2**24  # larger answers are no answer
MOST_MODELS = 999  # nor are more references, or more unlearned runs


def auc_error(n_forget: int, n_holdout: int) -> float:
    """Standard error of an AUC of .5: sqrt((1/n_F + 1/n_H) / 12); ValueError below one row a side."""
    if min(n_forget, n_holdout) < 1:
        raise ValueError("auc_error needs rows on both sides")
    return math.sqrt((1 / n_forget + 1 / n_holdout) / 12)


def detectable_auc(n_forget: int, n_holdout: int, alpha: float) -> float:
    """Smallest AUC found with power .8 by a two-sided test at ``alpha`` (normal approximation), at most 1."""
    z = float(normal_ppf(1 - alpha / 2) + normal_ppf(POWER))
    return min(1.0, 0.5 + z * auc_error(n_forget, n_holdout))


def power_auc(n_forget: int, n_holdout: int, auc: float, alpha: float) -> float:
    """Power of a two-sided test at ``alpha`` against a true AUC (normal, error of AUC .5); ``alpha`` at .5 itself."""
    shift = (auc - 0.5) / auc_error(n_forget, n_holdout)
    z = float(normal_ppf(1 - alpha / 2))
    return float(normal_cdf(shift - z) + normal_cdf(-shift - z))


def power_shift(references: int, shift: float, alpha: float) -> float:
    """Power of Crawford and Howell's two-sided t against a shift in seed standard deviations (noncentral t)."""
    from scipy import stats

    df = _degrees(references)
    critical = float(t_ppf(1 - alpha / 2, df))
    noncentral = abs(shift) / math.sqrt(1 + 1 / references)
    return float(stats.nct.sf(critical, df, noncentral) + stats.nct.cdf(-critical, df, noncentral))


def detectable_shift(references: int, alpha: float) -> float:
    """Smallest shift, in seed standard deviations, found with power .8 by Crawford-Howell's t (noncentral t)."""
    from scipy import optimize, stats

    df = _degrees(references)
    critical = float(t_ppf(1 - alpha / 2, df))

    def shortfall(shift: float) -> float:
        noncentral = shift / math.sqrt(1 + 1 / references)
        upper = float(stats.nct.sf(critical, df, noncentral))
        return upper - POWER

    high = 4.0
    while shortfall(high) < 0 and high < 1e4:
        high *= 2
    return float(optimize.brentq(shortfall, 0, high))


def forget_rows_to_pass(
    n_forget: int, deviation: float, se: float, margin: float, alpha: float, power: float = POWER
) -> int | None:
    """Forget rows (holdout rows scaled alike) for a PASS with this power, if the true deviation is the one seen.

    n* = n_F [SE (z_{1-a} + z_{(1+power)/2}) / (m - |D|)]^2. None where |D| >= m: more rows would show a leak;
    None above 2^24, too.
    """
    slack = margin - abs(deviation)
    if slack <= 0:
        return None
    rows = n_forget * (se * _z_pass(alpha, power) / slack) ** 2
    return max(n_forget + 1, math.ceil(rows)) if rows <= MOST_ROWS else None


def holdout_rows_to_pass(
    n_forget: int,
    n_holdout: int,
    deviation: float,
    margin: float,
    alpha: float,
    power: float = POWER,
    se: float | None = None,
) -> int | None:
    """Holdout rows for a PASS of the AUC, the forget set left as it is.

    Smallest n_H with c (1/n_F + 1/n_H) / 12 <= [(m - |D|) / z]^2, z as in ``forget_rows_to_pass``. c is the square of
    ``se``, the error seen, over that of an AUC of .5, at least 1. None where |D| >= m, or where the forget set alone is
    too small: even n_H without bound leaves c / (12 n_F).
    """
    slack = margin - abs(deviation)
    if slack <= 0:
        return None
    excess = 1.0 if se is None else max(1.0, (se / auc_error(n_forget, n_holdout)) ** 2)
    room = 12 / excess * (slack / _z_pass(alpha, power)) ** 2 - 1 / n_forget
    if room * MOST_ROWS <= 1:
        return None
    return max(n_holdout + 1, math.ceil(1 / room - 1e-9))


def forget_rows_to_detect(n_forget: int, deviation: float, se: float, alpha: float) -> int | None:
    """Forget rows (holdout rows scaled alike) to detect the deviation seen, with power .8, two-sided at ``alpha``.

    n** = n_F [SE (z_{1-a/2} + z_.8) / |D|]^2, at least 1. None where D = 0: there is nothing to detect.
    """
    if deviation == 0:
        return None
    z = float(normal_ppf(1 - alpha / 2) + normal_ppf(POWER))
    return max(1, math.ceil(n_forget * (se * z / deviation) ** 2 - 1e-9))


def references_to_pass(deviation: float, seed_sd: float, reach: float, alpha: float, runs: int = 1) -> int | None:
    """Smallest K with t_{K-1,1-a} s sqrt(1/J + 1/K) <= reach - |D|, J ``runs``, up to 999; None where no K does."""
    slack = reach - abs(deviation)
    for k in range(3, MOST_MODELS + 1):
        if float(t_ppf(1 - alpha, k - 1)) * seed_sd * math.sqrt(1 / runs + 1 / k) <= slack:
            return k
    return None


def runs_to_pass(deviation: float, seed_sd: float, references: int, margin: float, alpha: float) -> int | None:
    """Smallest J of unlearned models with t_{K-1,1-a} s sqrt(1/J + 1/K) <= m - |D|; None where no J up to 999
    does.

    The quantile is the one of the interval (``shift``), so this many runs do bring it inside the margin.

    Raises:
        ValueError: fewer than two references.
    """
    df = _degrees(references)
    slack = margin - abs(deviation)
    if slack <= 0:
        return None
    if seed_sd == 0:
        return 1
    room = (slack / (float(t_ppf(1 - alpha, df)) * seed_sd)) ** 2 - 1 / references
    if room * MOST_MODELS < 1:
        return None
    return max(1, math.ceil(1 / room - 1e-9))


def design_effect(codes: Ints, correlation: float) -> float:
    """How many rows count as one where rows of a subject are correlated: 1 + (sum m_s^2 / n - 1) rho (Kish 1965).

    rows / design_effect is the number of independent rows that tell as much. 1 for one row per subject, at most the
    mean size weighted by size, at rho = 1: the cautious choice before scores are seen. Afterwards the ratio of the
    squared errors of ``auc_clustered`` and ``auc_delong`` says the same.

    Raises:
        ValueError: no rows, or a correlation outside [0, 1].
    """
    if len(codes) == 0 or not 0 <= correlation <= 1:
        raise ValueError("design_effect needs rows and a correlation in [0, 1]")
    sizes = np.unique(codes, return_counts=True)[1]
    return 1 + (float((sizes**2).sum() / sizes.sum()) - 1) * correlation


def tail_rows_to_pass(
    n_forget: int, n_holdout: int, rate: float, fpr: float, margin: float, alpha: float
) -> int | None:
    """Forget rows (holdout rows scaled alike) for a PASS of a tail rate with power .8, by the sandwich.

    ``tpr_at_fpr`` bounds the TPR at the k-th largest holdout score, k the smallest with P[Beta(k, n_H+1-k) < fpr] <=
    a/2. The count of forget rows there is about beta-binomial: its rate moves with the threshold's true FPR. The mean
    rate is carried from ``fpr`` to (k / (n_H + 1)) along the ROC curve of two normals of equal spread. n is the
    smallest (found by bisection; the condition is a saw-tooth, so a few rows less may do) whose .8 quantile of the
    count has a Clopper-Pearson upper bound at a/2 below the margin.

    Args:
        n_forget: rows there are now.
        n_holdout: rows there are now; the ratio is kept.
        rate: true rate, as seen, in [0, 1].
        fpr: nominal rate of the tail, in (0, 1).
        margin: the rate to stay below.
        alpha: one-sided level of the certificate.

    Returns:
        The count, more than ``n_forget``; None where rate >= margin or no count up to 2^24 does.
    """
    if rate >= margin:
        return None
    ratio = n_holdout / n_forget
    distance = float(normal_isf(fpr) - normal_isf(np.clip(rate, 1e-12, 1 - 1e-12)))

    def passes(n: int) -> bool:
        n_h = max(1, round(ratio * n))
        rank = sandwich_ranks(n_h, fpr, alpha / 2)[1]
        if rank is None:
            return False
        mean = float(normal_sf(normal_isf(rank / (n_h + 1)) - distance))
        spread = math.sqrt(n * mean * (1 - mean) * (1 + (n - 1) / (n_h + 2)))
        count = min(n, math.ceil(n * mean + float(normal_ppf(POWER)) * spread))
        return count < n and float(beta_ppf(1 - alpha / 2, count + 1, n - count)) < margin

    return _smallest(passes, n_forget + 1)


def remainder_bound(n_forget: int, n_holdout: int, original: float, fpr: float, alpha: float) -> float:
    """Upper end of the visible remainder of an honest model, as a rule (normal approximation, no remainder at all).

    Args:
        n_forget: rows.
        n_holdout: rows.
        original: upper tail rate of the original, above ``fpr``.
        fpr: rate of never-seen rows in the tail, in (0, 1).
        alpha: one-sided level.

    Returns:
        a share: 1 is as visible as in the original. ValueError where ``original`` is not above ``fpr``.
    """
    return float(normal_ppf(1 - alpha)) * _remainder_error(n_forget, n_holdout, original, fpr)


def remainder_rows(
    n_forget: int, n_holdout: int, original: float, fpr: float, margin: float, alpha: float
) -> int | None:
    """Forget rows (holdout rows in proportion) with which an honest remainder stays below a margin with power .8.

    Args:
        n_forget: rows there are now.
        n_holdout: rows there are now; the ratio is kept.
        original: upper tail rate of the original.
        fpr: rate of never-seen rows in the tail, in (0, 1).
        margin: the share to stay below.
        alpha: one-sided level.

    Returns:
        The count, more than ``n_forget``; None where the tail is not above ``fpr``, or no count up to 2^24 does.
    """
    if original <= fpr:
        return None
    z = float(normal_ppf(1 - alpha) + normal_ppf(POWER))
    rows = math.ceil(n_forget * (z * _remainder_error(n_forget, n_holdout, original, fpr) / margin) ** 2)
    return max(rows, n_forget + 1) if rows <= MOST_ROWS else None


def _remainder_error(n_forget: int, n_holdout: int, original: float, fpr: float) -> float:
    if original <= fpr:
        raise ValueError("a remainder needs an original whose tail is above that of never-seen rows")
    return math.sqrt(fpr * (1 - fpr) * (1 / n_forget + 1 / n_holdout)) / (original - fpr)


def _smallest(passes: Callable[[int], bool], start: int) -> int | None:
    """Smallest n >= start that passes, by doubling and bisection."""
    high = start
    while not passes(high):
        high *= 2
        if high > MOST_ROWS:
            return None
    low = max(start - 1, high // 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _degrees(references: int) -> int:
    """Degrees of freedom of the seed spread; ValueError below two references."""
    if references < 2:
        raise ValueError("a seed spread needs at least two references")
    return references - 1


def _z_pass(alpha: float, power: float) -> float:
    """z_{1-a} + z_{(1+power)/2}: two one-sided tests at alpha, both to reject with this power."""
    return float(normal_ppf(1 - alpha) + normal_ppf((1 + power) / 2))
