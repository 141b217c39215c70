"""The loss threshold: the cheapest membership inference, and the baseline of all others."""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Scores, Signals, View
from ..signals import log_label
from .rows import labels_of, refuse_class


class Population(Attack):
    """Loss threshold on one model, uncalibrated: a baseline, never gated.

    Example score: log-probability of the label. Near chance is no sign of forgetting: calibrated attacks find what
    it misses.
    """

    name = "population"
    title = "Loss threshold (baseline)"
    access = Access.LOGITS
    symmetric = True
    source = "Yeom et al., Privacy Risk in Machine Learning, arXiv 1709.01604"
    chart = "roc"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Log-probability of the label on forget and holdout rows."""
        refuse_class(case)
        logits = np.concatenate([view.logits("forget"), view.logits("holdout")])
        return {"rows": log_label(logits, labels_of(case))}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """The signals themselves."""
        return Scores(examples=np.stack([s["rows"] for s in signals]), details=("uncalibrated baseline",))
