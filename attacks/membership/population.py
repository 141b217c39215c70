"""The loss threshold: the oldest membership attack, kept as the baseline of the field."""

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, Scores, Signals, View

from .common import by_side, side_logits, side_truth, stacked


class Population(Attack):
    """Score = minus the cross-entropy loss of one model, as published: no reference, no temperature.

    It often cannot see the original itself, and rescaled logits change it, so it gates nothing; the calibrated
    ``membership`` score is what counts. For class claims it compares rows of the forgotten class with each other.
    """

    name = "population"
    title = "Loss threshold (baseline)"
    access = Access.LOGITS
    signal = "confidence"
    symmetric = True
    source = "Yeom et al., Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting, arXiv 1709.01604"
    charts = PER_EXAMPLE

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Minus the loss on forget and holdout rows, in nats where the task knows a likelihood."""
        known = "log_likelihood" in case.task.signals
        score = case.task.log_likelihood if known else case.task.confidence
        return by_side(score(side_logits(view), side_truth(case), 0.0), case)

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """The losses as they are."""
        examples = stacked(signals)
        invalid = "every row has the same loss" if np.ptp(examples[0]) == 0 else ""
        return Scores(examples=examples, invalid=invalid)
