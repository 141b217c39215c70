"""RMIA: is a row's probability, relative to reference models, higher than that of rows that nobody saw?"""

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, Floats, NotApplicable, Scores, Signals, View
from attacks.scorers import rmia

from .common import SIDES, by_side, enough_shadows, side_logits, side_truth, stacked, unit_of

MIN_SHADOWS = 4  # our choice: it does well with few
MIN_POPULATION = 200  # our choice: the score is a share of the population, in steps of half of one point
SOURCE = "Zarifzadeh et al., Low-Cost High-Power Membership Inference Attacks, arXiv 2312.03262"


class _Rmia(Attack):
    """What both forms observe: log-probability of the label on both sides and on the auxiliary set."""

    access = Access.LOGITS
    signal = "log_likelihood"
    symmetric = True
    rows_alone = True
    families = frozenset({"D2"})
    source = SOURCE
    charts = PER_EXAMPLE

    def __init__(self, *, a: float = rmia.OFFLINE_A, temperature: float = 2.0) -> None:
        """Set the offline correction and the temperature.

        Args:
            a: how far training on a row lifts its probability towards 1, in [0, 1]; the public code's .33.
            temperature: logits are divided by it after they were brought to the common temperature, > 0; the public
                code's 2. Probabilities that are nearly 1 say little: on five sets of small networks 2 gives the
                online form .01 to .05 more AUC than 1, as much as 3.
        """
        super().__init__()
        if not 0 <= a <= 1:
            raise ValueError(f"{self.name}: a must lie in [0, 1], got {a}")
        if temperature <= 0:
            raise ValueError(f"{self.name}: temperature must be > 0, got {temperature}")
        self.parameters = {"a": a, "temperature": temperature}

    def applicable(self, case: Case) -> str:
        """Rows that nobody saw, enough of them and apart from those that are scored."""
        return super().applicable(case) or _no_population(case)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Log-likelihoods at a common temperature, in nats."""
        unit, scale = unit_of(view, case), float(self.parameters["temperature"])
        population = case.task.log_likelihood(view.logits("auxiliary"), case.truth("auxiliary"), unit, scale)
        sides = case.task.log_likelihood(side_logits(view), side_truth(case), unit, scale)
        return by_side(sides, case) | {"population": population}


class RmiaOffline(_Rmia):
    """Offline RMIA, gamma = 1: share of the auxiliary rows whose ratio to the references is lower; ties count half.

    Every model is compared with all the others, the references too, so that all J are treated alike. ``a`` stays at
    the published value: to tune it, one needs a pseudo-target whose members the other references never saw, and all
    references were trained on the same retain rows. For a single model the population only maps the ratios to
    shares; it does not change their order.
    """

    name = "rmia"
    title = "Relative membership inference (offline RMIA)"

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Shares of the population in [0, 1]."""
        if len(signals) < 2:
            raise NotApplicable("needs a reference: give honest retrains")
        population = np.stack([s["population"] for s in signals])
        examples = rmia.leave_one_out(stacked(signals), population, float(self.parameters["a"]))
        return Scores(examples=examples, invalid=_constant(examples), details=(self._sentence(population),))

    def _sentence(self, population: Floats) -> str:
        return (
            f"{population.shape[1]} auxiliary rows as population, {len(population) - 1} references, gamma 1, "
            f"a = {self.parameters['a']} (not tuned)"
        )


class RmiaOnline(_Rmia):
    """Online RMIA, gamma = 1: the mean of IN and OUT shadow models stands below each row's probability.

    Auxiliary rows are in no model's training set and take the offline correction ``a``.
    """

    name = "rmia_online"
    title = "Relative membership inference (online RMIA)"
    design = "trained"

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Shares of the population in [0, 1]."""
        shadows = enough_shadows(case, MIN_SHADOWS)
        population, shadow_population = (np.stack([s["population"] for s in m]) for m in (signals, shadows.signals))
        examples = rmia.online(
            stacked(signals),
            stacked(shadows.signals),
            shadows.member,
            population,
            shadow_population,
            float(self.parameters["a"]),
        )
        details = (
            f"{population.shape[1]} auxiliary rows as population, {len(shadows.signals)} shadow models, gamma 1",
        )
        return Scores(examples=examples, invalid=_constant(examples), details=details)


def _no_population(case: Case) -> str:
    """Why the auxiliary rows are no population, or ""."""
    found = len(case.labels.get("auxiliary", ()))
    if found < MIN_POPULATION:
        return f"needs {MIN_POPULATION} auxiliary rows as population, there are {found}: give more"
    ids = case.sets["auxiliary"].ids
    for role in SIDES:
        others = case.sets[role].ids
        if ids is not None and others is not None and np.isin(ids, others).any():
            return f"auxiliary rows stand in the {role} set as well: the population must be apart"
    return ""


def _constant(examples: Floats) -> str:
    return "every row has the same score" if np.ptp(examples[0]) == 0 else ""
