"""Do the models that the audit trained stand for those that it judges, and were all of them trained?"""

from __future__ import annotations

import numpy as np

from audit.collect.evidence import Evidence
from audit.record.findings import Gate

#: our choice: accuracy, or the task's figure in its place, by which shadow models may differ from the model they stand
#: for, beyond three of their own standard deviations
MATCH = 0.03
#: our choice: the most that those deviations may excuse. The figure of a regressor that diverged (R2) has no lower end,
#: and a few of them would else widen the tolerance by as much as they shift the mean
WIDEST = 0.1

STANDS_FOR = {"trained": "original", "unlearned": "unlearned"}


def shadow_mismatch(evidence: Evidence, design: str) -> str:
    """Why shadow models of a design do not stand for their model; "" where they do, or where nothing can be compared.

    Shadows of another recipe, or a procedure that does something else than the audited run, shift every ratio.
    """
    shadows = evidence.arrays.get(f"accuracy/{design}")
    model = STANDS_FOR[design]
    own = _test_quality(evidence, model)
    if shadows is None or own is None or len(shadows) < 2:
        return ""
    gap = float(shadows.mean()) - own
    if abs(gap) <= max(MATCH, min(WIDEST, 3 * float(shadows.std(ddof=1)))):
        return ""
    return (
        f"the shadow models' {evidence.task.figure} on the test set ({shadows.mean():.3f}) is not the {model} model's "
        f"({own:.3f}): describe in [recipe] how that model was made"
    )


def _test_quality(evidence: Evidence, model: str) -> float | None:
    """The task's figure on the test set, whose rows come first among the never-seen ones."""
    if model not in evidence.facts.models:
        return None
    return float(evidence.correct(model)[: len(evidence.labels("test"))].mean())


def training_gates(evidence: Evidence) -> list[Gate]:
    """One gate for the budget of training, and one for each design of shadow models."""
    record = evidence.facts.training
    if record is None:
        return []
    missing = record.missing
    found = [
        Gate(
            name="training budget",
            ok=not missing,
            effect="blocks PASS",
            reason=f"the budget ended training early: {missing}. The same command with a larger budget goes on"
            if missing
            else "every model that was asked for was trained",
        )
    ]
    for design in evidence.facts.shadows:
        mismatch = shadow_mismatch(evidence, design)
        figures = np.asarray(evidence.arrays[f"accuracy/{design}"])
        found.append(
            Gate(
                name=f"shadow models ({design})",
                ok=not mismatch,
                effect="blocks the figures of the attacks that use them",
                reason=mismatch
                or f"{len(figures)} models, {evidence.task.figure} on the test set {figures.min():.3f} to "
                f"{figures.max():.3f}",
            )
        )
    return found
