"""Membership inference by logit-scaled confidence, calibrated on the references."""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Scores, Signals, View
from ..calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from ..signals import canonical, class_logit, contrast, logit_confidence, retained_spread


class Membership(Attack):
    """Offline LiRA with shrinkage; the plain confidence where there is no reference.

    Example score: one-sided z of the logit-scaled confidence, at a common temperature, against the references
    (higher = member). Logits times a constant give the same scores.
    Class claims: the forgotten class's logit over the mean of the retained ones, in units of the spread of the
    retained logits; mean on never-seen examples of the forgotten classes minus mean on the other test examples.
    Neither a constant added to the logit (a masked head) nor a more confident model (longer training) changes it.
    """

    name = "membership"
    title = "Membership inference (offline LiRA)"
    access = Access.LOGITS
    symmetric = True
    primary_for = frozenset({"random", "class", "subject", "other"})
    source = "Carlini et al., Membership Inference Attacks From First Principles, arXiv 2112.03570"
    chart = "roc"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Logit-scaled confidence on forget and holdout rows; for class claims also the scaled class logit."""
        both = np.concatenate([view.logits("forget"), view.logits("holdout")])
        labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
        confidence = logit_confidence(canonical(both, both), labels)
        cut = len(case.labels["forget"])
        signals = {"forget": confidence[:cut], "holdout": confidence[cut:]}
        if case.kind == "class":
            logits = {role: view.logits(role) for role in ("holdout", "test")}
            unit = retained_spread(logits["test"], case.classes)
            for role, own in (("holdout", case.labels["holdout"]), ("test", None)):
                signals[f"class_{role}"] = class_logit(logits[role], case.classes, own) / unit
        return signals

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated scores of J models; for class claims also the class contrast."""
        rows = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
        labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
        examples = calibrated(rows, labels)
        if case.kind != "class":
            return Scores(examples=examples, invalid=out_of_line(examples), remedy=OUT_OF_LINE_REMEDY)
        statistic, error = contrast([s["class_holdout"] for s in signals], [s["class_test"] for s in signals])
        return Scores(examples=examples, statistic=statistic, sampling_error=error, unit="logit sd")
