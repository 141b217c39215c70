"""Scores with features beside them: which attacks read them, and what a claim at ``features`` can come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.scores_case import ScoresCase, build

import audit

READERS = ("contraction", "similarity", "neighbourhood")


@pytest.fixture(scope="module")
def case() -> ScoresCase:
    return build(3)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def audited(case: ScoresCase, known: tuple[str, ...], **more: Any) -> Any:
    """An audit with features that every model draws together on the rows that it was trained on.

    Args:
        case: its scores are those of the honest model, whatever the features say.
        known: sets that the features of the audited model were trained on.
        more: arguments of ``audit.run``.
    """
    seen = dict.fromkeys(case.models, ("retain",)) | {"original": ("forget", "retain"), "unlearned": known}
    models = {}
    for at, (name, scores) in enumerate(case.models.items()):
        rng = np.random.default_rng(at)
        own = {role: rng.normal(size=(len(x), 10)) for role, (x, _) in case.rows.items()}
        near = {role: 0.2 if role in seen[name] else 1.0 for role in own}
        models[name] = scores | {
            f"{role}.features": np.column_stack([20 * x, near[role] * own[role]]) for role, (x, _) in case.rows.items()
        }
    given = ScoresCase(case.sets, models).given(access="features", attacks=["gated", *READERS])
    return audit.run(**given, **more)


def test_attacks_on_features_run_and_what_needs_labels_keeps_the_claim_open(case: ScoresCase) -> None:
    found = audited(case, ("retain",))
    assert {a.name: a.status for a in found.result.attacks if a.name in READERS} == dict.fromkeys(READERS, "ok")
    assert found.verdict == "INCONCLUSIVE"
    told = {f.id: f for f in found.findings}
    assert told["contraction.d1"].role == "primary"
    assert told["contraction.d1"].status == "NOT DETECTED"
    (reason,) = (line for line in found.result.verdict.reasons if line.startswith("probe.auc"))
    assert "not available (has no meaning for scores: it needs something that rows are labelled with" in reason
    assert "adversary with features, by scores of rows alone" in found.result.verdict.scope


def test_a_trace_in_the_features_alone_fails(case: ScoresCase) -> None:
    found = audited(case, ("forget", "retain"))
    assert found.verdict == "FAIL"
    told = {f.id: f for f in found.findings}
    assert told["contraction.d1"].status == "FAIL"
    assert told["contraction.d1"].estimate > 0.3
    assert told["membership.d2"].status == "NOT DETECTED"
    assert "left a trace (contraction)" in found.result.verdict.sentence
