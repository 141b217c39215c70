"""The declared context of release: it blocks a PASS that says nothing of what recipients can do, and improves none."""

from __future__ import annotations

from typing import Any

import pytest
from cases.synthetic import Setup

from attacks.tasks import task_named
from attacks.tasks.classification import Classification
from audit.judge.judge import judge
from audit.judge.release import NAME, most_certified, release_gate
from audit.policy.policy import load_policy
from audit.policy.primaries import LEVELS
from audit.record.inputs import ClaimRecord
from audit.record.result import AuditResult, Outcome
from reports.clause_rules import RULES, Level
from reports.frameworks import Rule

CLAIM = ClaimRecord(kind="random", split="attested", access="features")
POLICY = load_policy("standard")[0]


def audited(release: str | None, **setup: Any) -> AuditResult:
    evidence = Setup(**setup).evidence()
    claim = evidence.facts.claim.model_copy(update={"release": release})
    evidence.facts = evidence.facts.model_copy(update={"claim": claim})
    return judge(evidence, POLICY, "0" * 64)


@pytest.mark.parametrize("access", LEVELS)
@pytest.mark.parametrize("release", LEVELS)
def test_the_adversary_must_hold_what_recipients_hold(access: str, release: str) -> None:
    gate = release_gate(CLAIM.model_copy(update={"access": access, "release": release}))
    assert gate is not None
    assert gate.ok == (LEVELS.index(access) >= LEVELS.index(release))  # type: ignore[arg-type]
    assert gate.effect == "blocks PASS"


def test_a_model_that_is_given_away_does_not_pass_by_its_features() -> None:
    given, kept, silent = (audited(release) for release in ("weights", "internal", None))
    assert silent.verdict.outcome is kept.verdict.outcome is Outcome.PASS
    assert given.verdict.outcome is Outcome.INCONCLUSIVE
    assert any("what recipients can do was not tested" in reason for reason in given.verdict.reasons)
    assert any("--access weights" in way for way in given.verdict.settle)
    assert given.findings == silent.findings
    assert not [g for g in kept.gates if g.name == NAME]  # nothing was checked
    assert audited("internal", leak={"membership": 2.0}).verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize("access", LEVELS)
@pytest.mark.parametrize("release", [*LEVELS, "internal", None])
def test_advice_leads_to_no_claim_that_cannot_pass(access: Any, release: Any) -> None:
    """Of language models no attack reads the features: each piece of advice led to the claim that the other refuses."""
    claim = CLAIM.model_copy(update={"access": access, "release": release})
    said = most_certified(claim, task_named("causal-lm"))
    beyond = release in ("features", "weights")
    assert ("no claim of causal-lm can PASS" in said) == beyond
    assert said.startswith("claim --access logits, which is the most") == (
        not beyond and access in ("features", "weights")
    )
    assert most_certified(claim, task_named("classification")) == ""


def test_a_verdict_gives_one_advice_on_access(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classification, "unread", "something")  # signals of tokens are in no synthetic evidence
    evidence = Setup(access="weights").evidence()
    for release, expected in (("weights", "no claim of classification can PASS"), (None, "claim --access logits")):
        claim = evidence.facts.claim.model_copy(update={"release": release})
        evidence.facts = evidence.facts.model_copy(update={"claim": claim})
        verdict = judge(evidence, POLICY, "0" * 64).verdict
        assert verdict.outcome is Outcome.INCONCLUSIVE
        (way,) = [way for way in verdict.settle if "--access" in way]
        assert way.startswith(expected)


def test_a_record_without_a_release_is_that_of_earlier_versions() -> None:
    silent, given = audited(None), audited("features")
    assert "release" not in silent.model_dump(mode="json")["claim"]
    assert silent.schema_version < "1.6"
    assert given.model_dump(mode="json")["claim"]["release"] == "features"
    assert given.schema_version == "1.6"
    assert AuditResult.model_validate_json(given.model_dump_json()) == given
    assert not [g for g in silent.gates if g.name == NAME]


def test_the_clause_on_release_says_what_was_declared() -> None:
    rule = RULES[Rule.RELEASE]
    assert rule(audited(None))[1] is Level.NONE
    assert rule(audited("features"))[1] is rule(audited("internal"))[1] is Level.RECORD
    text, level, why = rule(audited("weights"))
    assert level is Level.AGAINST
    assert "the model's files" in text
    assert "hold more" in why
