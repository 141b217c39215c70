"""Membership inference by logit-scaled confidence, calibrated on the references."""

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.signals import by_row, class_excess, contrast, retained_spread

from .common import by_side, queried_confidence, side_labels, side_logits, side_truth, stacked


class Membership(Attack):
    """Offline LiRA with shrinkage; the plain confidence where there is no reference.

    Example score: one-sided z of the logit-scaled confidence, at a common temperature and averaged over the recipe's
    augmentation queries, against the references (higher = member). Logits times a constant give the same scores.
    Class claims: the forgotten class's logit over the mean of the retained ones, minus what the retained logits explain
    of it (``class_excess``), in units of the spread of the retained logits; mean on never-seen examples of the
    forgotten classes minus mean on the other test examples.
    Neither a constant added to the logit (a masked head) nor a more confident model (longer training) changes it.
    """

    name = "membership"
    title = "Membership inference (offline LiRA)"
    version = "3"
    access = Access.LOGITS
    signal = "confidence"
    symmetric = True
    source = "Carlini et al., Membership Inference Attacks From First Principles, arXiv 2112.03570"
    charts = PER_EXAMPLE

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Confidence in forget and holdout rows; for class claims also the scaled excess of the class."""
        signals = by_side(queried_confidence(view, case), case)
        for name, values in case.task.further(side_logits(view), side_truth(case)).items():
            signals |= {f"{role}.{name}": part for role, part in by_side(values, case).items()}
        if case.kind == "class":
            control = view.logits("test")
            unit = retained_spread(control, case.classes)
            excess = class_excess(view.logits("holdout"), control, case.classes, case.labels["holdout"])
            signals["class_holdout"], signals["class_test"] = (side / unit for side in excess)
        return signals

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated scores of J models; for class claims also the class contrast."""
        examples = calibrated(stacked(signals), side_labels(case))
        if case.kind != "class":
            return Scores(examples=examples, invalid=out_of_line(examples), remedy=OUT_OF_LINE_REMEDY)
        focus, control = ([s[f"class_{role}"] for s in signals] for role in ("holdout", "test"))
        statistic, error = contrast(focus, control)
        rows = by_row(focus, control)
        return Scores(examples=examples, statistic=statistic, sampling_error=error, rows=rows, unit="logit sd")
