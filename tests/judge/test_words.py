"""An open verdict says which of its kinds it is, and never that nothing was found where nothing could be."""

from __future__ import annotations

from typing import Any

import pytest
from cases.synthetic import audit

from audit.judge.words import open_words
from audit.record.findings import Finding, FindingStatus, Gate, Interval

WHAT = "a random forget set"


def figure(estimate: float, status: str = "INCONCLUSIVE", **changes: Any) -> Finding:
    return Finding(
        id="membership.auc",
        attack="membership",
        metric="auc",
        title="AUC",
        kind="equivalence",
        role="mandatory",
        access="logits",
        estimate=estimate,
        interval=Interval(low=estimate - 0.1, high=estimate + 0.1, level=0.9),
        control=0.8,
        margin=(0.45, 0.55),
        status=FindingStatus(status),
        reason="",
    ).model_copy(update=changes)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([], "nothing could be tested"),
        ([figure(0.5, "NOT COVERED")], "nothing could be tested"),
        ([figure(0.5, control=None)], "nothing could be tested"),
        ([figure(0.5, interval=None)], "nothing could be tested"),
        ([figure(0.51)], "tested, and not precise enough"),
        ([figure(0.51), figure(0.53)], "tested, and near the margin or beyond it (membership.auc)"),
        ([figure(0.44)], "tested, and near the margin or beyond it"),
        ([figure(0.01, margin=(0.0, 0.1))], "tested, and not precise enough"),
        ([figure(0.09, margin=(0.0, 0.1))], "tested, and near the margin or beyond it"),
        ([figure(0.5, "PASS")], "a check keeps it open"),
    ],
)
def test_the_kinds_of_open(findings: list[Finding], said: str) -> None:
    text = open_words(findings, [], WHAT)
    assert said in text
    assert ("no leak was detected" in text) is ("nothing could be tested" not in said)


def test_an_attack_whose_scores_are_out_of_line_tested_nothing() -> None:
    silent = frozenset({"membership"})
    assert "nothing could be tested" in open_words([figure(0.51)], [], WHAT, silent)
    other = figure(0.51, id="probe.auc", attack="probe")
    assert "tested, and not precise enough" in open_words([figure(0.59), other], [], WHAT, silent)


def test_a_weaker_adversary_comes_first() -> None:
    seen = Gate(name="weaker access: logits", ok=False, effect="blocks PASS", reason="D2 p = 0.0100")
    assert open_words([figure(0.51)], [seen], WHAT).startswith("an adversary with logits alone sees a trace")


def test_without_the_original_nothing_was_tested() -> None:
    result = audit(original=None, references=0)
    assert "nothing could be tested" in result.verdict.sentence
    assert "no leak was detected" not in result.verdict.sentence
