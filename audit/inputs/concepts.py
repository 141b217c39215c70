"""The concepts set: examples of what people would name, for the attack `concepts`; no part of the task."""

from __future__ import annotations

from collections.abc import Mapping

from .data import Arrays
from .targets import Target, TorchTarget

CONCEPTS = "concepts"


def of_the_task(files: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """The files whose labels are classes."""
    return {role: data for role, data in files.items() if role != CONCEPTS}


def concept_problems(files: Mapping[str, Arrays], models: Mapping[str, Target]) -> list[str]:
    """What is wrong with the concepts set, where one is given.

    Args:
        files: data by role.
        models: by name.
    """
    if CONCEPTS not in files:
        return []
    labels = files[CONCEPTS].y
    problems = []
    if labels.min() < 0 or not (labels == 0).any() or not (labels > 0).any():
        problems.append(
            f"labels of the concepts set run from {labels.min()} to {labels.max()}: number the concepts from 1 and add "
            "random counterexamples as 0"
        )
    if not all(isinstance(model, TorchTarget) for model in models.values()):
        problems.append("concepts are looked for inside networks, these models are outputs alone: leave the set out")
    return problems
