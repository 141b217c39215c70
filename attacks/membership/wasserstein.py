"""Wasserstein distance: do predictions on forget rows lie elsewhere than those of models that never saw them?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import Access, Attack, Case, Floats, NotApplicable, Scores, Signals, View
from attacks.describe import beside

from .common import SIDES, side_truth


class Wasserstein(Attack):
    """First Wasserstein distance between a model's predictions and those of every other model, averaged over columns.

    Statistic: the mean distance to the other models on forget rows minus the same on holdout rows; columns in
    units of the targets' standard deviation. Two honest retrains differ too, so the distance alone says nothing: it
    stands beside that of the references to one another. The published figure is the distance on forget rows to one
    retrain, with augmentation on; here inputs are as they are. It sees where predictions lie, not which row has which,
    and gates nothing.
    """

    name = "wasserstein"
    title = "Wasserstein distance of predictions to honest retrains"
    access = Access.LOGITS
    signal = "numbers"
    families = frozenset({"D1"})
    source = "Chundawat et al., Deep Regression Unlearning, arXiv 2210.08196; the difference of two sides is ours"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Predictions on both sides, in units of the targets' standard deviation."""
        spread = side_truth(case).std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        return {role: view.logits(role) / spread for role in SIDES}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Distance on forget rows less that on holdout rows, each to all other models."""
        if len(signals) < 2:
            raise NotApplicable("needs a reference: give honest retrains")
        forget, holdout = (_to_others([s[role] for s in signals]) for role in SIDES)
        details = (
            f"mean W1 to the other models on forget rows {beside(forget)}, on holdout rows {beside(holdout)}; in "
            "standard deviations of the targets",
        )
        return Scores(statistic=forget - holdout, unit="sd of the targets", details=details)


def _to_others(predictions: Sequence[Floats]) -> Floats:
    """Mean distance of each of J models to the others, (J,)."""
    from scipy.stats import wasserstein_distance

    found = np.zeros((len(predictions), len(predictions)))
    for i, mine in enumerate(predictions):
        for j in range(i):
            pairs = zip(mine.T, predictions[j].T, strict=True)
            found[i, j] = found[j, i] = np.mean([wasserstein_distance(a, b) for a, b in pairs])
    return np.asarray(found.sum(axis=1) / (len(predictions) - 1))
