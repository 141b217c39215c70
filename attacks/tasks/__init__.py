"""Tasks: what a model's outputs are, and what follows for attacks, utility and words. One file a task."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Task, Truth
from .causal_lm import CausalLM
from .classification import Classification
from .multilabel import MultiLabel
from .regression import Regression
from .scores import Scores

__all__ = [
    "NAMES",
    "Scores",
    "Task",
    "Truth",
    "by_scores",
    "class_logits_of",
    "loss_of",
    "reads_tokens",
    "serving",
    "stored_words",
    "task_named",
    "task_of_loss",
    "truth_of",
]

TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "multilabel": MultiLabel,
    "regression": Regression,
    "scores": Scores,
    "causal-lm": CausalLM,
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
    return Scores(signals or {}) if by_scores(name) else TASKS[name]()


def truth_of(name: str) -> Truth:
    """What the key ``y`` of a data set holds under a task."""
    return TASKS[name].truth


def loss_of(name: str) -> str:
    """The loss that models of a task are trained with, as ``[recipe] loss`` names it; "" = the audit trains none."""
    return TASKS[name].loss_name


def task_of_loss(loss: str) -> Task:
    """The task whose models are trained with a loss of ``loss_of``."""
    return task_named(next(name for name, task in TASKS.items() if task.loss_name == loss))


def reads_tokens(name: str) -> bool:
    """Rows of a task, "" = classification, are tokens."""
    return TASKS[name or "classification"].reads_tokens


def by_scores(name: str) -> bool:
    """Models of a task, "" = classification, are given by files of scores, and by nothing else."""
    return TASKS[name or "classification"].by_scores


def stored_words(name: str) -> str:
    """What a file of outputs by set holds under a task, "" = classification, in words."""
    return TASKS[name or "classification"].stored


def class_logits_of(name: str) -> bool:
    """Outputs of a task, "" = classification, are logits of classes: one column is that of the second of two."""
    return TASKS[name or "classification"].class_logits


def serving(signal: str) -> tuple[str, ...]:
    """Names of the tasks that can offer a signal: those that an attack which needs it serves."""
    rich = Scores({"nll": "lower"}, with_features=True)
    every = {name: rich if by_scores(name) else task_named(name) for name in NAMES}
    return tuple(name for name, task in every.items() if not task.refuses(signal))
