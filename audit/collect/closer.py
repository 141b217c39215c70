"""Closer to the retrains or to the original? Computed where outputs are in hand, kept as a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks.base import Case, Floats
from audit.statistics.three_sample import relative_mmd

from .model_view import ModelView

ROWS = 500  # our choice: rows compared at most, drawn at random; three matrices of this size are held at a time
KEY = "closer"


def closer(case: Case, views: Mapping[str, ModelView], seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Discrepancies of the audited model's outputs from the retrains' and from the original's (statistics.md 10.11).

    On the forget rows; for class claims on never-seen rows of the forgotten classes, the holdout set. An output is what
    it is less what it should be (`attacks.tasks.base.Task.errors`), as the model gives it, at no common temperature.

    Args:
        case: claim, labels and, where known, data subjects.
        views: the models under audit.
        seed: of the run; draws the rows.

    Returns:
        ``closer`` (5,): discrepancy from the retrains (their mean) and from the original, standard error of the
        difference, rows, retrains. Nothing without the original or a retrain, or with fewer than two rows or subjects.
    """
    retrains = [view for name, view in views.items() if name.startswith("retrained/")]
    role = "holdout" if case.kind == "class" else "forget"
    total = len(case.labels[role])
    rows = np.sort(np.random.default_rng([seed, 0xC1]).permutation(total)[:ROWS])
    group = case.sets[role].group if role in case.sets else None
    groups = rows if group is None else np.unique(group[rows].astype(str), return_inverse=True)[1]
    if not retrains or "original" not in views or len(np.unique(groups)) < 2:
        return {}
    truth = case.truth(role)[rows]

    def outputs(view: ModelView) -> Floats:
        return case.task.errors(view.logits(role)[rows], truth)

    found = relative_mmd(
        outputs(views["unlearned"]), [outputs(view) for view in retrains], outputs(views["original"]), groups
    )
    numbers = (found.to_retrains, found.to_original, found.se, len(rows), len(retrains))
    return {KEY: np.array(numbers, dtype=np.float64)}
