"""Tasks: what a model's outputs are, and what follows for attacks, utility and words. One file a task."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Task, Truth
from .classification import Classification
from .multilabel import MultiLabel
from .regression import Regression
from .scores import Scores

__all__ = ["NAMES", "Scores", "Task", "Truth", "class_logits_of", "serving", "task_named", "truth_of"]

TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "multilabel": MultiLabel,
    "regression": Regression,
    "scores": Scores,
}
NAMES = tuple(TASKS)


def task_named(name: str, signals: Mapping[str, str] | None = None) -> Task:
    """The task of a name.

    Args:
        name: of ``NAMES``.
        signals: of scores alone, the direction of each by name, the leading one first.

    Raises:
        ValueError: there is none.
    """
    if name not in TASKS:
        raise ValueError(f"no task {name!r}: use {', '.join(NAMES)}")
    return Scores(signals or {}) if name == "scores" else TASKS[name]()


def truth_of(name: str) -> Truth:
    """What the key ``y`` of a data set holds under a task."""
    return TASKS[name].truth


def class_logits_of(name: str) -> bool:
    """Outputs of a task, "" = classification, are logits of classes: one column is that of the second of two."""
    return TASKS[name or "classification"].class_logits


def serving(signal: str) -> tuple[str, ...]:
    """Names of the tasks that can offer a signal: those that an attack which needs it serves."""
    rich = Scores({"nll": "lower"}, with_features=True)
    every = {name: rich if name == "scores" else task_named(name) for name in NAMES}
    return tuple(name for name, task in every.items() if not task.refuses(signal))
