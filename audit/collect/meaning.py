"""Do outputs mean what the statistics take them for? An absolute gate before any verdict.

An original predicts the rows that it was trained on, and a reference those of the retain set, clearly better than a
constant guess, whatever the task. Outputs that do not are of other rows or classes than the labels, or no logits, and
every figure on them is one about nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from attacks.base import Floats, Ints
from attacks.tasks import Task
from audit.errors import AuditError, InputError
from audit.inputs.case import LoadedCase
from audit.inputs.spool import pick
from audit.statistics.explained import explained_by
from audit.statistics.skill import LEAST_ROWS, Skill, skill

from .guard import Guard
from .views import Views, failing

CAUSES = (
    "rows and labels in another order (a shuffling loader), classes numbered differently, outputs that are no logits, "
    "inputs preprocessed otherwise than in training, or a model that was never trained"
)
NUMBERED = 0.5  # our choice: accuracy from which another numbering of the classes is named as the cause


Outputs = Callable[[str, str], Floats]  # model, set -> logits (n, C)


def check_outputs(case: LoadedCase, batch_size: int) -> None:
    """The gate before references are trained: one more forward pass of the models that were given, over one set.

    Raises:
        InputError: outputs without meaning, or a forward pass that fails.
    """

    def logits(name: str, role: str) -> Floats:
        chosen = case.selection[role]
        try:
            found = case.models[name].outputs(chosen.source, case.files[chosen.source], batch_size)[0]
            if not np.isfinite(found).all():
                raise ValueError(f"outputs on the {role} set are not finite: export the model again")
        except AuditError:
            raise
        except Exception as error:  # the user's forward pass may raise anything
            raise InputError([failing(name, chosen.source, error)]) from error
        return pick(found, chosen.rows)

    guard = Guard(case.models)
    _refuse(case, logits)
    guard.after_forward()


def refuse_meaningless(case: LoadedCase, views: Views) -> tuple[str, ...]:
    """The gate before anything is scored.

    Returns:
        what could not be checked, in sentences.

    Raises:
        InputError: outputs without meaning.
    """
    return _refuse(case, lambda name, role: views[name].stored(role))


def _judged(case: LoadedCase) -> list[str]:
    """The original and the references that were given; those that the audit trained only where there is no original."""
    trained = 0 if case.training is None or "original" not in case.models else case.training.references
    given = case.references[: len(case.references) - trained]
    return [name for name in ("original", *given) if name in case.models]


def _refuse(case: LoadedCase, logits: Outputs) -> tuple[str, ...]:
    if case.task.truth == "optional":
        return ()  # scores stand beside nothing that they could be held against: `audit.judge.signals`
    if not case.task.class_logits:
        return _refuse_answers(case, logits)
    problems, unknown = [], []
    for name in _judged(case):
        for roles in _trained_on(name):
            parts = [logits(name, role) for role in roles]
            outputs = parts[0] if len(parts) == 1 else np.concatenate(parts)  # the retain set may be larger than memory
            labels = np.concatenate([case.files[c.source].y[c.rows] for c in map(case.selection.__getitem__, roles)])
            found = skill(outputs, labels, np.random.default_rng(0))
            if found is not None:
                break
        if found is None:
            unknown.append(name)
        elif not found.shown:
            problems.append(_problem(name, " and ".join(roles), found, outputs, labels))
    if problems:
        raise InputError(problems)
    if not unknown:
        return ()
    return (
        f"not checked whether the outputs of {', '.join(unknown)} fit the labels: fewer than {LEAST_ROWS} retain rows "
        "have another label than the most frequent one",
    )


def _refuse_answers(case: LoadedCase, outputs: Outputs) -> tuple[str, ...]:
    """The same where rows have no classes: the quality of the answers on retain rows."""
    task, problems, unknown = case.task, [], []
    truth = case.attack_case().truth("retain")
    constant = task.constant(truth)
    for name in _judged(case):
        answers = outputs(name, "retain")
        found = None
        if constant is not None:
            quality = partial(_quality, task, answers)
            found = explained_by(quality, truth, constant, task.best, np.random.default_rng(0))
        if found is None:
            unknown.append(name)
        elif not found.shown:
            problems.append(
                f"{name}: its outputs on the {found.rows} retain rows do not fit their truth: {task.figure} "
                f"{found.quality:.3f}, where a constant answer has {found.constant:.3f}, p {found.p:.2g} against "
                f"permuted rows. Likely causes: rows in another order (a shuffling loader), {task.words} in another "
                "unit than y, inputs preprocessed otherwise than in training, or a model that was never trained. "
                "Export outputs and y in one order and one unit"
            )
    if problems:
        raise InputError(problems)
    return (f"not checked whether the outputs of {', '.join(unknown)} fit their rows: too few retain rows",) * bool(
        unknown
    )


def _quality(task: Task, outputs: Floats, truth: np.ndarray[Any, Any]) -> Floats:
    found = task.quality(outputs, truth)
    return np.zeros(len(truth)) if found is None else np.asarray(found, dtype=np.float64)


def _trained_on(name: str) -> tuple[tuple[str, ...], ...]:
    """Sets whose labels a model was trained on: retain, and where that tells nothing the original's forget set, too."""
    return (("retain",), ("retain", "forget")) if name == "original" else (("retain",),)


def _problem(name: str, sets: str, found: Skill, outputs: Floats, labels: Ints) -> str:
    p = f", p {found.signal_p:.2g} against permuted labels" if found.signal_p < 1 else ""
    numbered = _renumbered(outputs, labels)
    hint = f" (another numbering of the classes would give {numbered:.3f})" if numbered >= NUMBERED else ""
    return (
        f"{name}: its outputs on the {found.rows} {sets} rows do not fit their labels: accuracy {found.accuracy:.3f}, "
        f"where a constant guess has {found.constant:.3f}{hint}, and they explain {found.explained:.1%} of the labels"
        f"{p}. Likely causes: {CAUSES}. Export outputs and labels in one order, by one numbering, as raw logits"
    )


def _renumbered(outputs: Floats, labels: Ints) -> float:
    """Accuracy by the numbering of the classes that suits the outputs best."""
    classes = outputs.shape[1]
    pairs = np.bincount(outputs.argmax(axis=1) * classes + labels, minlength=classes**2).reshape(classes, classes)
    from scipy.optimize import linear_sum_assignment

    return float(pairs[linear_sum_assignment(pairs, maximize=True)].sum() / len(labels))
