"""What an attack's errors say about privacy loss: bounds on (epsilon, delta)-DP and on mu-GDP.

The trade-off is between two laws: outputs with the forget set in and with it out. All bounds are for an attack (a
threshold and a direction) that was fixed before these rows were scored; ``split_bounds`` fixes it on one half. A lower
bound holds for the mechanism; an upper bound only for this attack: another may see more.
"""

import math
from dataclasses import dataclass

import numpy as np

from attacks.base import Floats
from attacks.laws import beta_ppf, normal_isf, normal_ppf

from .intervals import clopper_pearson


@dataclass(frozen=True)
class Bounds:
    """0 <= low <= high; ``high`` may be infinite."""

    low: float
    high: float


@dataclass(frozen=True)
class SplitBounds:
    """Bounds at a threshold chosen on other rows.

    Attributes:
        threshold: a row is called "forget" where direction * score >= direction * threshold.
        epsilon: bounds at delta = 0.
        mu: bounds in Gaussian-DP units.
        n_forget: forget rows behind the bounds (the second half).
        n_holdout: holdout rows behind the bounds.
        direction: 1 = high scores are called "forget", -1 = low ones.
    """

    threshold: float
    epsilon: Bounds
    mu: Bounds
    n_forget: int
    n_holdout: int
    direction: int


def epsilon_bounds(
    false_positives: int, n_holdout: int, false_negatives: int, n_forget: int, alpha: float, delta: float = 0.0
) -> Bounds:
    """Bounds on epsilon from the errors of one attack, each one-sided at ``alpha``.

    An (eps, delta)-DP pair obeys FPR e^eps >= 1 - delta - FNR and the same with the two rates exchanged (Kairouz et
    al. 2015). With Clopper-Pearson bounds of both rates at alpha / 2 each (Jagielski et al. 2020; Nasr et al. 2021):
    low = max{0, ln((1 - delta - FNR_U) / FPR_U), ln((1 - delta - FPR_U) / FNR_U)}. high is the same at the lower
    ends, or of the attack with its calls exchanged where that shows more: the loss that this attack can show.

    Args:
        false_positives: holdout rows called "forget", of ``n_holdout`` >= 1.
        n_holdout: holdout rows.
        false_negatives: forget rows not called "forget", of ``n_forget`` >= 1.
        n_forget: forget rows.
        alpha: chance that ``low`` is too high, and that ``high`` is too low; in (0, 1).
        delta: in [0, 1).

    Raises:
        ValueError: counts outside their totals, empty totals, or alpha or delta out of range.
    """
    if not 0 <= delta < 1:
        raise ValueError("epsilon_bounds needs 0 <= delta < 1")
    fpr, fnr = _rates(false_positives, n_holdout, false_negatives, n_forget, alpha)
    low = _loss(fpr[1], fnr[1], delta)
    high = max(_loss(fpr[0], fnr[0], delta), _loss(1 - fpr[1], 1 - fnr[1], delta))
    return Bounds(low, high)


def mu_bounds(false_positives: int, n_holdout: int, false_negatives: int, n_forget: int, alpha: float) -> Bounds:
    """Bounds on mu of Gaussian DP from the errors of one attack, each one-sided at ``alpha``.

    A mu-GDP pair obeys mu >= Phi^-1(1 - FPR) - Phi^-1(FNR) for every test (Dong, Roth & Su 2022). Corners as in
    ``epsilon_bounds``; low is at least 0, high may be infinite.

    Args:
        false_positives: holdout rows called "forget", of ``n_holdout`` >= 1.
        n_holdout: holdout rows.
        false_negatives: forget rows not called "forget", of ``n_forget`` >= 1.
        n_forget: forget rows.
        alpha: chance that ``low`` is too high, and that ``high`` is too low; in (0, 1).

    Raises:
        ValueError: counts outside their totals, empty totals, or alpha out of range.
    """
    fpr, fnr = _rates(false_positives, n_holdout, false_negatives, n_forget, alpha)
    return Bounds(_distance(fpr[1], fnr[1]), max(_distance(fpr[0], fnr[0]), _distance(1 - fpr[1], 1 - fnr[1])))


def split_bounds(forget: Floats, holdout: Floats, alpha: float, rng: np.random.Generator) -> SplitBounds:
    """Bounds at a threshold and a direction chosen on a random half of each side, from the other half.

    Chosen is the rule with the largest lower bound of epsilon on the first half; where none is above 0, the one with
    the largest TPR - FPR. The second half has not seen the choice, so its bounds hold as for a fixed rule.

    Args:
        forget: (n_F,), n_F >= 2.
        holdout: (n_H,), n_H >= 2.
        alpha: as in ``epsilon_bounds``.
        rng: generator of the split.

    Raises:
        ValueError: fewer than two rows on a side, non-finite scores, or alpha out of range.
    """
    if min(len(forget), len(holdout)) < 2 or not (np.isfinite(forget).all() and np.isfinite(holdout).all()):
        raise ValueError("split_bounds needs at least two finite scores on each side")
    choose_forget, forget = np.split(rng.permutation(forget), [len(forget) // 2])
    choose_holdout, holdout = np.split(rng.permutation(holdout), [len(holdout) // 2])
    _, _, threshold, direction = max(
        _best_rule(sign * choose_forget, sign * choose_holdout, alpha, sign) for sign in (1, -1)
    )
    called = direction * forget >= direction * threshold
    counts = (
        int((direction * holdout >= direction * threshold).sum()),
        len(holdout),
        int((~called).sum()),
        len(forget),
    )
    return SplitBounds(
        threshold, epsilon_bounds(*counts, alpha), mu_bounds(*counts, alpha), len(forget), len(holdout), direction
    )


def _best_rule(forget: Floats, holdout: Floats, alpha: float, sign: int) -> tuple[float, float, float, int]:
    """(lower bound of epsilon, TPR - FPR, threshold, direction) of the best rule "score >= threshold"."""
    thresholds = np.unique(np.concatenate([forget, holdout]))
    positives = len(holdout) - np.searchsorted(np.sort(holdout), thresholds)
    missed = np.searchsorted(np.sort(forget), thresholds)
    fpr = _upper(positives, len(holdout), alpha / 2)
    fnr = _upper(missed, len(forget), alpha / 2)
    with np.errstate(divide="ignore"):
        low = np.maximum(0.0, np.maximum(np.log((1 - fnr) / fpr), np.log((1 - fpr) / fnr)))
    gain = 1 - missed / len(forget) - positives / len(holdout)
    best = np.lexsort((gain, low))[-1]
    return float(low[best]), float(gain[best]), float(sign * thresholds[best]), sign


def _upper(counts: np.ndarray, n: int, tail: float) -> Floats:
    """Clopper-Pearson upper bounds of many counts."""
    return np.where(counts == n, 1.0, beta_ppf(1 - tail, counts + 1, np.maximum(n - counts, 1)))


def _rates(
    false_positives: int, n_holdout: int, false_negatives: int, n_forget: int, alpha: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    if not 0 < alpha < 1:
        raise ValueError("bounds need 0 < alpha < 1")
    return clopper_pearson(false_positives, n_holdout, 1 - alpha), clopper_pearson(false_negatives, n_forget, 1 - alpha)


def _loss(fpr: float, fnr: float, delta: float) -> float:
    """Smallest epsilon >= 0 that allows these rates."""
    return max(_log_ratio(1 - delta - fnr, fpr), _log_ratio(1 - delta - fpr, fnr), 0.0)


def _log_ratio(above: float, below: float) -> float:
    if above <= 0:
        return -math.inf
    return math.inf if below <= 0 else math.log(above / below)


def _distance(fpr: float, fnr: float) -> float:
    """Smallest mu >= 0 that allows these rates; 0 where one rate is 1."""
    if fpr >= 1 or fnr >= 1:
        return 0.0
    return max(0.0, float(normal_isf(fpr) - normal_ppf(fnr)))
