"""Signals that are 0 or 1: rare ones are tested as they are, constant ones and honest models are let through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases.scores_case import build

import audit
from audit.collect.evidence import Evidence
from audit.judge import judge as judging
from audit.judge import signals
from audit.record.findings import Gate

MODELS = ("unlearned", "original", *(f"retrained/{k}" for k in range(5)))
FORGET, HOLDOUT = 60, 130  # rows of the case
SIZES = {"forget": FORGET, "holdout": HOLDOUT}
Column = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def column(forget: int = 0, holdout: int = 0) -> Column:
    """So many rows at 1."""
    return (np.arange(FORGET) < forget).astype(float), (np.arange(HOLDOUT) < holdout).astype(float)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Gate]:
    """The gate of one more signal of a case that was audited once; models that are not named are 0 in it."""
    seen: list[Any] = []

    def kept(*given: Any) -> Any:
        seen[:] = given
        return signals.signal_gates(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("events"))
        patch.setattr(judging, "signal_gates", kept)
        audit.run(**build(3).given())
    evidence, scoring, policy = seen

    def run(authors: int = 0, retain: dict[str, float] | None = None, **columns: Column) -> Gate:
        task = evidence.facts.task
        facts = evidence.facts.model_copy(
            update={"task": task.model_copy(update={"signals": {**task.signals, "seen": "higher"}})}
        )
        shares = dict.fromkeys(MODELS, 0.8) | (retain or {})
        kept_of_retain = {
            f"further_retain/{m}": np.array([0.0] * (len(task.signals) - 1) + [s]) for m, s in shares.items()
        }
        groups = {f"group/{role}": np.arange(n) // authors for role, n in SIZES.items()} if authors else {}
        more = {("membership", m): dict(evidence.signals["membership", m]) for m in MODELS}
        for model in MODELS:
            sides = columns.get(model.replace("/", "_"), column())
            more["membership", model] |= {"forget.seen": sides[0], "holdout.seen": sides[1]}
        changed = Evidence(facts, {**evidence.arrays, **groups, **kept_of_retain}, {**evidence.signals, **more})
        attack = next(run for run in scoring.runs if run.name == "membership")
        (found,) = signals._trace("seen", attack, changed, scoring, policy)
        return found

    return run


def test_a_signal_that_is_0_for_every_row_blocks_nothing(gate: Callable[..., Gate]) -> None:
    assert gate().ok
    assert gate(original=column(50)).ok
    assert gate(original=column(50), retrained_2=column(1)).ok


def test_a_constant_that_references_do_not_have_blocks(gate: Callable[..., Gate]) -> None:
    """A model that never says what retrains often say, or always what they never do, was not shown to be like them."""
    often = {f"retrained_{k}": column(30, 65) for k in range(5)}
    for found in (gate(original=column(50), **often), gate(unlearned=column(FORGET, HOLDOUT))):
        assert not found.ok
        assert "all equal" in found.reason


def test_a_constant_that_is_neither_0_nor_1_still_blocks(gate: Callable[..., Gate]) -> None:
    half = np.full(FORGET, 0.5), np.full(HOLDOUT, 0.5)
    found = gate(unlearned=half)
    assert not found.ok
    assert "all equal" in found.reason


def test_a_column_that_is_dead_on_retain_rows_shows_nothing(gate: Callable[..., Gate]) -> None:
    """It is 0 on forget and never-seen rows as most of the retrains' are, and would be so had it leaked."""
    for retain in ({"unlearned": 0.0}, {"unlearned": 0.05}, {"unlearned": 1.0}):
        found = gate(retain=retain, original=column(50), retrained_2=column(1))
        assert not found.ok
        assert "dead column" in found.reason
    nobody = dict.fromkeys(MODELS, 0.0)
    assert gate(retain=nobody).ok
    assert not gate(retain=nobody, unlearned=column(9)).ok


def test_what_is_missing_from_forget_rows_is_a_trace_and_so_are_other_rows_than_the_retrains(
    gate: Callable[..., Gate],
) -> None:
    """Six rows that every retrain has and the audited model has not; six others in their place, as many in all."""
    usual = {f"retrained_{k}": column(6, 8) for k in range(5)}
    others = ((np.arange(FORGET) // 6 == 1).astype(float), column(6, 8)[1])
    assert gate(original=column(50), unlearned=column(6, 8), **usual).ok
    for unlearned in (column(0, 8), others):
        found = gate(original=column(50), unlearned=unlearned, **usual)
        assert not found.ok
        assert "a trace of the forget set" in found.reason


@pytest.mark.parametrize("others", [{}, {"retrained_0": column(1, 1)}], ids=["no reference", "one reference"])
def test_rare_ones_of_forget_rows_are_a_trace_and_of_any_rows_are_none(
    gate: Callable[..., Gate], others: dict[str, Column]
) -> None:
    found = gate(unlearned=column(forget=9), original=column(50), **others)
    assert not found.ok
    assert "a trace of the forget set" in found.reason
    for honest in (column(0, 3), column(1, 0), column(2, 4)):
        assert gate(unlearned=honest, original=column(50), **others).ok, honest


def test_rows_of_one_author_are_no_trace_by_themselves(gate: Callable[..., Gate]) -> None:
    """Nine rows of one author of six, and none of thirteen: one author is at 1 by chance in one case of three."""
    found = gate(authors=10, unlearned=column(forget=9), original=column(50))
    assert found.ok
    assert "no trace" in found.reason


@pytest.mark.parametrize("rate", [0.005, 0.03])
def test_honest_models_are_blocked_as_seldom_as_the_level_says(gate: Callable[..., Gate], rate: float) -> None:
    rng = np.random.default_rng(0)

    def drawn() -> Column:
        return (rng.random(FORGET) < rate).astype(float), (rng.random(HOLDOUT) < rate).astype(float)

    times = 40
    blocked = sum(not gate(**{model.replace("/", "_"): drawn() for model in MODELS}).ok for _ in range(times))
    assert blocked <= 7  # 5 % of 40 is 2; one time in 300 there are more than 7 at twice that
