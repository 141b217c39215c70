"""The relative question: the nearer side is named, old runs still read, and no verdict rests on it."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case
from cases.synthetic import Setup, finding

from attacks.base import ClaimKind
from audit.collect.closer import KEY, ROWS, closer
from audit.collect.evidence import Evidence
from audit.judge.closer import closer_finding
from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.record.findings import FindingStatus


def views(kind: ClaimKind, audited: float, *, n: int = 120) -> tuple[object, dict[str, StubView]]:
    """Confidence in the label of ``audited``; retrains have 1, the original 6."""
    case = gaussian_case(kind, (2,) if kind == "class" else (), n=n)

    def view(seed: int, confidence: float) -> StubView:
        rng = np.random.default_rng(seed)
        role = "holdout" if kind == "class" else "forget"
        labels = case.labels[role]
        return StubView({role: confidence * np.eye(3)[labels] + rng.normal(size=(len(labels), 3))})

    found = {"unlearned": view(0, audited), "original": view(1, 6.0)}
    return case, found | {f"retrained/{k}": view(2 + k, 1.0) for k in range(3)}


def said(audited: float, kind: ClaimKind = "random") -> str:
    case, models = views(kind, audited)
    evidence = Setup(kind=kind, references=3).evidence()
    return closer_finding(Evidence(evidence.facts, evidence.arrays | closer(case, models, 0), {}), 0.9).reason  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["random", "class"])
def test_the_nearer_side_is_named(kind: ClaimKind) -> None:
    assert "closer to the retrains than to the original" in said(1.0, kind)
    assert "closer to the original than to the retrains" in said(6.0, kind)
    where = "never-seen rows of the forgotten classes" if kind == "class" else "forget rows"
    assert where in said(1.0, kind)


def test_many_rows_are_drawn_at_random() -> None:
    case, models = views("random", 1.0, n=ROWS + 50)
    numbers = closer(case, models, 0)[KEY]  # type: ignore[arg-type]
    assert list(numbers[3:]) == [ROWS, 3]
    assert np.array_equal(numbers, closer(case, models, 0)[KEY])  # type: ignore[arg-type]


def test_without_the_original_or_in_an_older_run_it_is_said_why() -> None:
    case, models = views("random", 1.0)
    del models["original"]
    assert closer(case, models, 0) == {}  # type: ignore[arg-type]
    assert "takes the original and at least one retrain" in closer_finding(Setup(original=None).evidence(), 0.9).reason
    assert "older version" in closer_finding(Setup().evidence(), 0.9).reason


def test_no_verdict_rests_on_it() -> None:
    evidence, policy = Setup().evidence(), load_policy("standard")[0]
    before = judge(evidence, policy, "0" * 64)
    evidence.arrays[KEY] = np.array([1.0, 0.0, 0.01, 200.0, 5.0])
    after = judge(evidence, policy, "0" * 64)
    assert after.verdict == before.verdict
    assert "closer to the original" in finding(after, "outputs.closer").reason
    assert finding(after, "outputs.closer").status is FindingStatus.NOTE
