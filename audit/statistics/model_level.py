"""The test against retrains (family D1): the audited model and K honest retrains are exchangeable under the null."""

from dataclasses import dataclass

import numpy as np

from attacks.base import Floats
from attacks.calibration import others_moments
from attacks.laws import t_sf

from .weights import relative_size, weighted_holm

TIE = 1e-12  # sizes nearer than this, relative to the larger, are ties


@dataclass(frozen=True)
class ModelTest:
    """Result of a family of model-level tests over A statistics.

    Attributes:
        p: p-value of the global null, in (0, 1].
        adjusted: (A,) adjusted p-values, in (0, 1].
        statistic: (A,) signed standardised deviation of the audited model from the references.
    """

    p: float
    adjusted: Floats
    statistic: Floats


def spread(references: Floats, floor: float) -> float:
    """Seed spread of a statistic: sample sd of the references (K >= 2), not below ``floor``.

    The floor is the statistic's sampling error over the examples: on K few models the sample sd can come out near
    zero by chance, and p with it.
    """
    return max(float(np.std(references, ddof=1)), floor)


def crawford_howell(statistic: Floats, floor: float = 0.0) -> tuple[float, float]:
    """Single case against K controls: t = (T_u - mean) / (s sqrt(1 + 1/K)) on K - 1 degrees of freedom.

    Crawford & Howell 1998. Assumes normal seed noise; two-sided.

    Args:
        statistic: (K + 1,), the audited model first, K >= 2.
        floor: smallest admissible s, >= 0.

    Returns:
        t and p in (0, 1]. Where all references agree and the floor is 0, t = 0 and p = 1: no scale, no evidence.

    Raises:
        ValueError: fewer than two references or non-finite input.
    """
    references = statistic[1:]
    if len(references) < 2 or not np.isfinite(statistic).all():
        raise ValueError("crawford_howell needs finite statistics of at least two references")
    s = spread(references, floor)
    if s == 0:
        return 0.0, 1.0
    deviation = statistic[:1] - references.mean()
    t = float(_in_units(deviation, np.array([s * np.sqrt(1 + 1 / len(references))]))[0])
    return t, max(float(2 * t_sf(abs(t), df=len(references) - 1)), np.finfo(float).tiny)


def _in_units(deviation: Floats, s: Floats) -> Floats:
    """deviation / s: 0 where there is no scale, the largest number where it overflows."""
    with np.errstate(over="ignore"):
        ratio = np.divide(deviation, s, out=np.zeros_like(deviation), where=s > 0)
    return np.clip(ratio, -np.finfo(float).max, np.finfo(float).max)


def t_family(statistics: Floats, floors: Floats, weights: Floats | None = None) -> ModelTest:
    """Crawford-Howell t per statistic, weighted Holm over the A statistics.

    Args:
        statistics: (A, K + 1), the audited model in column 0.
        floors: (A,) smallest admissible spreads.
        weights: (A,), > 0, or None for equal ones.
    """
    pairs = [crawford_howell(row, floor) for row, floor in zip(statistics, floors, strict=True)]
    weights = np.ones(len(pairs)) if weights is None else weights
    adjusted = weighted_holm(np.array([pair[1] for pair in pairs]), weights)
    return ModelTest(p=float(adjusted.min()), adjusted=adjusted, statistic=np.array([pair[0] for pair in pairs]))


def rank_family(statistics: Floats, floors: Floats, weights: Floats | None = None) -> ModelTest:
    """Exact rank max-T: Z_j = |T_j - mean of the others| / their spread, p = #{j: M_j >= M_u} / (K + 1).

    M_j is the largest Z_j, or with weights the smallest of 2 Phi(-Z_j) / w. Exact under exchangeability of the K + 1
    models; its smallest value is 1/(K + 1). Ties count against rejection.

    Args:
        statistics: (A, K + 1), the audited model in column 0, K >= 2.
        floors: (A,) smallest admissible spreads.
        weights: (A,), > 0, or None for equal ones.

    Raises:
        ValueError: fewer than two references or non-finite input.
    """
    if statistics.shape[1] < 3 or not np.isfinite(statistics).all():
        raise ValueError("rank_family needs finite statistics of at least two references")
    mean, variance = others_moments(statistics.T)
    s = np.maximum(np.sqrt(variance.T), floors[:, None])
    z = _in_units(statistics - mean.T, s)
    size = relative_size(z.T, np.ones(len(z)) if weights is None else weights).T
    best = size.max(axis=0)
    least = size[:, 0] - TIE * np.maximum(1.0, size[:, 0])
    adjusted = (best >= least[:, None]).mean(axis=1)
    return ModelTest(p=float((best >= least.max()).mean()), adjusted=adjusted, statistic=z[:, 0])


def holm(p: dict[str, float]) -> dict[str, float]:
    """Holm 1979 step-down adjusted p-values by name; each in (0, 1].

    Raises:
        ValueError: a value outside (0, 1].
    """
    if not all(0 < value <= 1 for value in p.values()):
        raise ValueError("holm needs p-values in (0, 1]")
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        running = max(running, min(1.0, (len(p) - rank) * value))
        adjusted[name] = running
    return adjusted
