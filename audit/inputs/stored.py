"""Models that are given by stored arrays alone: which kind of outputs these are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks.tasks import by_scores, class_logits_of

from .outputs import PrecomputedOutputs, outputs_target
from .scores import are_scores, scores_target


def stored(
    arrays: Mapping[str, np.ndarray[Any, Any]],
    where: str,
    task: str,
    declared: Mapping[str, str],
    *,
    probabilities: bool = False,
) -> PrecomputedOutputs:
    """Scores where the keys or the task say so, else outputs.

    Args:
        arrays: by key.
        where: file or object, for messages.
        task: what was declared; "" = nothing.
        declared: directions of scores.
        probabilities: outputs are probabilities.

    Raises:
        ValueError: with the remedy.
    """
    if by_scores(task) or (not task and are_scores(arrays)):
        return scores_target(arrays, where, declared)
    return outputs_target(arrays, where, probabilities=probabilities, class_logits=class_logits_of(task))
