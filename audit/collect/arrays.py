"""The arrays of the evidence: labels, subjects, correctness, losses, and the scores of the shift check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks.base import Access, Case, Floats
from audit.inputs.data import Arrays
from audit.inputs.sets import Selection
from audit.inputs.spool import steps
from audit.inputs.votes import saturated

from .closer import closer
from .exchangeability import blind_scores
from .model_view import ModelView

Found = dict[str, np.ndarray[Any, Any]]
LOSSES = ("retain", "test", "forget")  # sets whose mean loss is kept, in this order
ROUNDING = 1e-5  # our choice, relative: float32 answers of one network, however many rows it is asked at once


def evidence_arrays(
    case: Case, sides: tuple[Arrays, Arrays], holdout: Selection, views: Mapping[str, ModelView], seed: int
) -> Found:
    """All arrays that are no signals, by name (see `audit.collect.evidence.Evidence`).

    Args:
        case: the case as attacks see it.
        sides: forget and holdout rows.
        holdout: where the holdout rows come from.
        views: the models under audit.
        seed: of the run.
    """
    roles = task_roles(case, holdout)
    found: Found = {f"labels/{role}": labels for role, labels in case.labels.items()}
    found |= _subjects(*sides)
    found |= _names(sides[0])
    found |= _task(case, roles)
    for name, view in views.items():
        found |= _correctness(name, view, case, roles)
    found |= closer(case, views, seed)
    found |= _saturated(case, views["unlearned"])
    found |= _as_original(views)
    blind = blind_scores(*sides, seed)
    if blind is not None:
        found["blind/forget"], found["blind/holdout"] = blind
    return found


def shadow_arrays(
    design: str, member: np.ndarray[Any, Any], views: Mapping[str, ModelView], case: Case, holdout: Selection
) -> Found:
    """Membership of the shadow models of one design, and the task's figure of each on the test set."""
    roles = task_roles(case, holdout)
    truth, rows = np.concatenate([case.truth(role) for role in roles]), len(case.labels["test"])
    found = [case.task.quality(np.concatenate([view.logits(role) for role in roles]), truth) for view in views.values()]
    figures = [float(np.mean(quality[:rows])) for quality in found if quality is not None]
    return {f"member/{design}": member, f"accuracy/{design}": np.array(figures)}


def task_roles(case: Case, holdout: Selection) -> tuple[str, ...]:
    """Sets of never-seen rows of the task that is left; a holdout set that is the test set counts once."""
    separate = case.kind != "class" and holdout.source == "holdout"
    return ("test", "holdout") if separate else ("test",)


def _saturated(case: Case, view: ModelView) -> Found:
    """Of a model that gives probabilities alone: rows whose own label has probability 0 or 1, so that they are tied."""
    step = getattr(view.target, "step", None) or 0.0
    if not step or not getattr(view.target, "probabilities", False):
        return {}
    return {
        f"saturated/{role}": saturated(view.logits(role), case.labels[role], step) for role in ("forget", "holdout")
    }


def _as_original(views: Mapping[str, ModelView]) -> Found:
    """Retain and test rows that the audited model, and each reference, answers as the original does, to rounding.

    Labels agree by chance, and so do probabilities: without references nothing is said of them.
    """
    mine, original = views["unlearned"], views.get("original")
    references = [view for name, view in views.items() if name.startswith("retrained/")]
    if original is None or min(view.access for view in (mine, original, *references)) < Access.LOGITS:
        return {}
    if not references and getattr(mine.target, "step", None):
        return {}
    total = sum(len(original.stored(role)) for role in ("retain", "test"))
    found = {"as_original": np.array([_same(mine, original), total])}
    if references:
        found["as_original_references"] = np.array([_same(view, original) for view in references])
    return found


def _same(view: ModelView, original: ModelView) -> int:
    """Retain and test rows with equal answers of both, to rounding."""
    count = 0
    for role in ("retain", "test"):
        ours, theirs = view.stored(role), original.stored(role)
        if ours.shape == theirs.shape:
            # within rounding: the last bits hang on how many rows were asked at once, and where
            count += sum(int(np.isclose(ours[r], theirs[r], ROUNDING, 0).all(axis=1).sum()) for r in steps(ours))
    return count


def _subjects(forget: Arrays, holdout: Arrays) -> Found:
    """Codes of the data subjects, common to both sides where both know theirs."""
    if forget.group is None:
        return {}
    if holdout.group is None:
        return {"group/forget": np.unique(forget.group, return_inverse=True)[1]}
    names = np.concatenate([forget.group.astype(str), holdout.group.astype(str)])
    codes = np.unique(names, return_inverse=True)[1]
    return {"group/forget": codes[: len(forget)], "group/holdout": codes[len(forget) :]}


def _names(forget: Arrays) -> Found:
    """Ids and data subjects of the forget rows as text."""
    found = {"ids": forget.ids, "names": forget.group}
    return {f"{key}/forget": values.astype(str) for key, values in found.items() if values is not None}


def _task(case: Case, roles: tuple[str, ...]) -> Found:
    """Labels and, where known, subjects of the never-seen rows of the task."""
    found: Found = {"task/labels": np.concatenate([case.labels[role] for role in roles])}
    groups = [case.sets[role].group for role in roles]
    if all(group is not None for group in groups):
        joined = np.concatenate([group.astype(str) for group in groups if group is not None])
        found["task/group"] = np.unique(joined, return_inverse=True)[1]
    return found


def _correctness(name: str, view: ModelView, case: Case, roles: tuple[str, ...]) -> Found:
    """How good one model's answers are, and its loss; nothing where outputs do not say how good they are."""
    task, unseen = case.task, [view.stored(role) for role in roles]
    found = {
        f"correct/{name}": task.quality(np.concatenate(unseen), np.concatenate([case.truth(role) for role in roles])),
        f"correct_retain/{name}": task.quality(view.stored("retain"), case.truth("retain")),
        f"correct_forget/{name}": task.quality(view.stored("forget"), case.truth("forget")),
        f"loss/{name}": np.array([task.loss(view.stored(role), case.truth(role)) for role in LOSSES]),
        f"further_retain/{name}": _means(task.further(view.stored("retain"), case.truth("retain"))),
    }
    return {key: values for key, values in found.items() if values is not None}


def _means(further: Mapping[str, Floats]) -> Floats | None:
    """Mean of each signal that does not lead, in its order; None where there is none."""
    return np.array([values.mean() for values in further.values()]) if further else None
