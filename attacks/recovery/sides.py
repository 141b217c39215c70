"""The two sides that recovery attacks compare, their signal, and a figure beside the references'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import Case, Floats
from attacks.signals import canonical, class_excess, logit_confidence


def sides_of(case: Case) -> tuple[str, str]:
    """Forget and holdout rows; in class claims never-seen rows of the forgotten classes and of the retained ones."""
    return ("holdout", "test") if case.kind == "class" else ("forget", "holdout")


def side_signals(logits: Sequence[Floats], case: Case) -> list[Floats]:
    """Logit-scaled confidence in the label on both sides, in class claims the class excess; at a common temperature.

    Args:
        logits: of both sides, each (n, C); what is no number counts as 0.
        case: the case.
    """
    finite = [np.nan_to_num(side, nan=0.0, posinf=0.0, neginf=0.0) for side in logits]
    everything = np.concatenate(finite)
    scaled = [canonical(side, everything) for side in finite]
    if case.kind == "class":
        return list(class_excess(scaled[0], scaled[1], case.classes, case.labels["holdout"]))
    return [logit_confidence(side, case.labels[role]) for side, role in zip(scaled, sides_of(case), strict=True)]


def beside(values: Floats, form: str = ".3f") -> str:
    """The audited model's figure beside the references' range."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{values[0]:{form}} (references {values[1:].min():{form}} to {values[1:].max():{form}})"
