"""The seam: every task answers alike, and an attack runs where its signal is offered and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.base import NotApplicable, discover
from attacks.tasks import NAMES, Task, serving, task_named
from attacks.tasks.base import SIGNALS
from attacks.tasks.scores import Scores
from audit.inputs import choices, config

ROOT = Path(__file__).parents[3]
TASKS = [task_named(name, {"nll": "lower", "margin": "higher"}) for name in NAMES]


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_a_task_says_what_it_is(task: Task) -> None:
    assert task.words
    assert task.figure or task.no_figure
    assert task.signals <= SIGNALS.keys()
    assert {"random", "subject"} <= task.claims
    assert (task.__doc__ or "").strip()


@pytest.mark.parametrize("name", sorted(discover()))
def test_an_attack_names_a_signal_of_the_vocabulary(name: str) -> None:
    assert discover()[name].signal in {"", *SIGNALS}


def test_an_attack_whose_signal_is_not_offered_says_so() -> None:
    case = gaussian_case("random")
    object.__setattr__(case, "task", Scores({"nll": "lower"}))
    with pytest.raises(NotApplicable, match="has no meaning for scores: it needs logits of classes"):
        discover()["label_only"]().observe(StubView(), None, case, np.random.default_rng(0))


def test_which_tasks_an_attack_serves() -> None:
    assert serving("class_logits") == ("classification",)
    assert serving("confidence") == serving("") == NAMES
    assert serving("log_likelihood") == NAMES
    assert serving("numbers") == ("regression",)
    assert serving("truth") == ("classification", "multilabel", "regression")


def test_there_is_no_other_task() -> None:
    with pytest.raises(ValueError, match="no task 'tokens': use classification"):
        task_named("tokens")


def test_a_task_can_be_named_wherever_one_is_named() -> None:
    """The lists that CONTRIBUTING.md says: of the configuration and the Python interface, and of the command line."""
    assert get_args(config.TaskName) == NAMES
    assert tuple(choices.TaskName) == NAMES
    assert all(task_named(name, {"nll": "lower"}).name == name for name in NAMES)


#: where a task is named beside ``attacks/tasks``; "classification" is the one that stands where none is named
NAMED = {
    "audit/inputs/choices.py": "the list of the command line",
    "audit/inputs/config.py": "the list of the configuration",
    "audit/inputs/truths.py": "which task labels have a meaning for",
    "audit/inputs/propose.py": "which of those that several sets have a meaning for is proposed",
    "audit/inputs/given.py": "what names kept outputs: scores are as the file has them",
    "audit/inputs/resolve.py": "the section [scores]",
    "audit/inputs/adapters/hf_folder.py": "a word of Hugging Face, which is no task of ours",
}


def test_nothing_else_branches_on_the_task() -> None:
    name = re.compile(rf"[\"']({'|'.join(set(NAMES) - {'classification'})})[\"']")
    files = [path for folder in ("attacks", "audit", "reports") for path in (ROOT / folder).rglob("*.py")]
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    found = {place for place, source in sources.items() if name.search(source)}
    ours = {place for place in found if not place.startswith(("attacks/tasks/", "audit/imports/", "audit/starters/"))}
    assert ours == NAMED.keys()
