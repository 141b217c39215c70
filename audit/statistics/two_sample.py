"""Design A6: J models from one unlearning algorithm against K retrains; a claim about the algorithm, not one model."""

import itertools
import math

import numpy as np

from attacks.base import Floats

from .model_level import ModelTest
from .permutation import exceedances, step_down

EXACT = 20_000  # relabellings up to which all are enumerated
DRAWN = 9_999  # random relabellings beyond


def two_sample_family(
    statistics: Floats, floors: Floats, runs: int, rng: np.random.Generator, weights: Floats | None = None
) -> ModelTest:
    """Permutation max-T of J unlearned models against K retrains, two-sided.

    T_a = (mean of runs - mean of references) / (s_a sqrt(1/J + 1/K)), s_a the sd of all J + K models, not below the
    floor: no relabelling changes it. Null: the J + K models are exchangeable. All C(J + K, J) relabellings where they
    are at most 20,000 (p = share that reaches the observed maximum), else 9,999 random ones,
    p = (1 + exceedances) / 10,000. Step-down adjusted p (Westfall & Young 1993). Ties count against rejection; a
    statistic on which all models agree has T = 0.

    Args:
        statistics: (A, J + K), the unlearned models in columns 0..J-1, finite.
        floors: (A,) smallest admissible spreads: they weigh the statistics, the level holds at any floor.
        runs: J >= 1, with K >= 1.
        rng: generator of random relabellings.
        weights: (A,), > 0, or None for equal ones; calibrated jointly, as in ``permutation_max_t``.

    Raises:
        ValueError: no statistic, no run, no reference, or non-finite input.
    """
    count, models = statistics.shape
    if count == 0 or not 0 < runs < models or not np.isfinite(statistics).all():
        raise ValueError("two_sample_family needs finite statistics of at least one run and one reference")
    sd = statistics.std(axis=1, ddof=1)
    agree = np.ptp(statistics, axis=1) <= 1e-12 * np.abs(statistics).max(axis=1)
    s = np.where(agree, np.inf, np.maximum(sd, floors))
    # sums over the runs of centred statistics: the mean difference is n / (J K) times that
    centred = (statistics - statistics.mean(axis=1, keepdims=True)).T / s
    standard = centred * math.sqrt(models / (runs * (models - runs)))
    observed = standard[:runs].sum(axis=0)

    exact = math.comb(models, runs) <= EXACT
    if exact:
        chosen = np.array(list(itertools.combinations(range(models), runs)))
    else:
        chosen = rng.permuted(np.tile(np.arange(models), (DRAWN, 1)), axis=1)[:, :runs]
    labels = np.zeros((len(chosen), models))
    np.put_along_axis(labels, chosen, 1.0, axis=1)
    exceed = exceedances(observed, labels @ standard, weights)
    p = exceed / len(chosen) if exact else (1 + exceed) / (DRAWN + 1)
    adjusted = step_down(observed, p, weights)
    return ModelTest(p=float(adjusted.min()), adjusted=adjusted, statistic=observed)


def smallest_p(runs: int, references: int) -> float:
    """The smallest p that ``two_sample_family`` can give: 1 / C(J + K, J), twice that for J = K, or 1 / 10,000.

    Two-sided: with J = K, exchanging the two groups mirrors T. So 3 + 3 gives .1, 3 + 4 and 4 + 4 .0286, 5 + 5 .0079.

    Raises:
        ValueError: no run or no reference.
    """
    if runs < 1 or references < 1:
        raise ValueError("smallest_p needs at least one run and one reference")
    relabellings = math.comb(runs + references, runs)
    if relabellings > EXACT:
        return 1 / (DRAWN + 1)
    return (2 if runs == references else 1) / relabellings
