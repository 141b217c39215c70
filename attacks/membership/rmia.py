"""RMIA: how much likelier does training on x make x, than training on a population point makes that point?"""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Floats, NotApplicable, Scores, Signals, View
from ..scorers import rmia
from ..signals import canonical, log_label
from .rows import enough_shadows, labels_of, logits_of, refuse_class

MIN_POPULATION = 200  # our choice (attacks.md 2.5)


class Rmia(Attack):
    """Offline RMIA on the references, with the auxiliary set as population; sorted, without the pairwise matrix.

    Example score: share of population points z with (p(x) / p_bar(x)) / (p(z) / p_bar(z)) >= 1, where p_bar is the
    mean over all other models, and for unseen points ((1 + a) p_out + 1 - a) / 2. The published a = .33 is kept:
    tuning it needs models whose members are known.
    """

    name = "rmia"
    title = "RMIA (references)"
    access = Access.LOGITS
    symmetric = True
    families = frozenset({"D2"})
    primary_for = frozenset({"random", "subject", "other"})
    source = "Zarifzadeh et al., Low-Cost High-Power Membership Inference Attacks, arXiv 2312.03262"
    chart = "roc"

    def __init__(self, *, a: float = rmia.OFFLINE_A) -> None:
        """Set the offline correction.

        Args:
            a: in [0, 1]; how far training on an example is taken to raise its probability.
        """
        super().__init__()
        if not 0 <= a <= 1:
            raise ValueError(f"{self.name}: a must lie in [0, 1]")
        self.parameters = {"a": a}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Log-probability of the label on forget, holdout and auxiliary rows."""
        refuse_class(case)
        if len(case.labels["auxiliary"]) < MIN_POPULATION:
            count = len(case.labels["auxiliary"])
            raise NotApplicable(f"the auxiliary set has {count} rows, RMIA compares with {MIN_POPULATION} or more")
        both = np.concatenate([view.logits("forget"), view.logits("holdout")])
        population = canonical(view.logits("auxiliary"), both)
        return {
            "rows": log_label(logits_of(view), labels_of(case)),
            "population": log_label(population, case.labels["auxiliary"]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Offline scores of J models, each against all others."""
        if len(signals) < 2:
            raise NotApplicable("needs a reference")
        rows, population = (np.stack([s[key] for s in signals]) for key in ("rows", "population"))
        examples = rmia.leave_one_out(rows, population, float(self.parameters["a"]))
        return Scores(examples=examples, invalid=constant(examples), details=(self._population(case),))

    def _population(self, case: Case) -> str:
        return f"population: {len(case.labels['auxiliary'])} auxiliary rows"


class RmiaOnline(Rmia):
    """Online RMIA: p_bar is the mean of the shadow models with and of those without the row."""

    name = "rmia_online"
    title = "RMIA (shadow models)"
    design = "trained"

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Online scores of J models."""
        count, _ = enough_shadows(case)
        assert case.shadows is not None
        rows, population = (np.stack([s[key] for s in signals]) for key in ("rows", "population"))
        own, points = (np.stack([s[key] for s in case.shadows.signals]) for key in ("rows", "population"))
        examples = rmia.online(rows, own, case.shadows.member, population, points, float(self.parameters["a"]))
        details = (self._population(case), f"{count} shadow models")
        return Scores(examples=examples, invalid=constant(examples), details=details)


def constant(examples: Floats) -> str:
    """Empty, or why scores without any spread support nothing."""
    return "" if np.ptp(examples[0]) > 0 else "degenerate scores: every row has the same"
