"""The seam: every task answers alike, and an attack runs where its signal is offered and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.base import NotApplicable, discover
from attacks.tasks import NAMES, Task, serving, task_named
from attacks.tasks.base import SIGNALS
from attacks.tasks.scores import Scores

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
