"""Membership inference by logit-scaled confidence, calibrated on the references."""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Scores, Signals, View
from ..calibration import calibrated
from ..signals import contrast, logit_confidence


class Membership(Attack):
    """Offline LiRA with shrinkage; the plain confidence where there is no reference.

    Example score: one-sided z of the logit-scaled confidence against the references (higher = member).
    Class claims: mean confidence in the true label on never-seen examples of the forgotten classes minus the same
    on never-seen examples of the retained classes.
    """

    name = "membership"
    title = "Membership inference (offline LiRA)"
    access = Access.LOGITS
    symmetric = True
    primary_for = frozenset({"random", "class", "subject", "other"})
    source = "Carlini et al., Membership Inference Attacks From First Principles, arXiv 2112.03570"
    chart = "roc"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Logit-scaled confidence on the forget, holdout and test sets."""
        return {
            role: logit_confidence(view.logits(role), case.labels[role]) for role in ("forget", "holdout", "test")
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated scores of J models; for class claims also the class contrast."""
        rows = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
        labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
        examples = calibrated(rows, labels)
        if case.kind != "class":
            return Scores(examples=examples)
        statistic, error = contrast([s["holdout"] for s in signals], [s["test"] for s in signals])
        return Scores(examples=examples, statistic=statistic, sampling_error=error, unit="logits")

