"""PASS is monotone in access: a model that fails a weaker adversary's test passes no stronger one's."""

from __future__ import annotations

import pytest
from cases.synthetic import SEEN, Setup, audit

from audit.judge.families import run_families
from audit.judge.judge import judge
from audit.judge.scoring import score_all
from audit.judge.weaker import rejecting
from audit.policy.policy import load_policy
from audit.record.findings import WEAKER_ACCESS
from audit.record.result import AuditResult, Outcome

POLICY = load_policy("standard")[0].model_copy(update={"permutations": 999, "shams": 0})
#: a trace that membership alone sees, at p = .01 to .04 on its own; three attacks under one max-T dilute it
DILUTED = [(7, 0.25), (10, 0.18)]


def gate(result: AuditResult, level: str) -> object:
    return next((g for g in result.gates if g.name == f"{WEAKER_ACCESS}{level}"), None)


@pytest.mark.parametrize(("seed", "leak"), DILUTED)
def test_a_trace_that_more_attacks_dilute_is_no_pass(seed: int, leak: float) -> None:
    setup = {"seed": seed, "leak": {"membership": leak}, "n_forget": 400, "n_holdout": 800}
    result, weaker = audit(**setup), audit(access="logits", **setup)
    assert not any(family.rejected for family in result.families)
    assert weaker.verdict.outcome is Outcome.FAIL
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert rejecting(result.gates) == ("logits",)
    assert result.verdict.sentence.startswith("INCONCLUSIVE: an adversary with logits alone sees a trace")
    (reason,) = (line for line in result.verdict.reasons if line.startswith(f"{WEAKER_ACCESS}logits: "))
    assert "(membership)" in reason
    assert any("claim --access logits" in way for way in result.verdict.settle)


def test_the_weaker_level_is_computed_as_if_it_had_been_claimed() -> None:
    setup = {"seed": 1, "leak": {"membership": 0.1}}
    result, weaker = audit(POLICY, **setup), audit(POLICY, access="logits", **setup)
    found = gate(result, "logits")
    (p,) = (family.p_holm for family in weaker.families if family.p_holm is not None)
    assert f"D2 p = {p:.4f}" in found.reason  # type: ignore[attr-defined]


def test_no_gate_where_no_other_attack_counts() -> None:
    assert (
        gate(audit(POLICY, seed=2, access="logits"), "labels") is None
    )  # no attack of this evidence needs labels alone
    evidence = Setup(seed=2).evidence()
    kept = {key: value for key, value in evidence.signals.items() if key[0] == "membership"}
    runs = tuple(run for run in evidence.facts.attacks if run.name == "membership")
    evidence.facts, evidence.signals = evidence.facts.model_copy(update={"attacks": runs}), kept
    assert not [g for g in judge(evidence, POLICY, "0" * 64).gates if g.name.startswith(WEAKER_ACCESS)]


@pytest.mark.parametrize("kind", ["random", "class"])
@pytest.mark.parametrize("seed", range(4))
def test_a_pass_means_no_rejection_at_any_weaker_level(kind: str, seed: int) -> None:
    """The property, on honest, faintly and clearly leaking models."""
    leak = (0.0, 0.05, 0.15, 0.3)[seed]
    evidence = Setup(
        seed=seed,
        kind=kind,
        references=8,
        n_forget=600,
        n_holdout=900,
        leak={"membership": leak},
        original=dict.fromkeys(("feature_mapping", "membership", "probe"), 2 * SEEN),
    ).evidence()
    scoring = score_all(evidence)
    result = judge(evidence, POLICY, "0" * 64, scoring)
    for level in ("labels", "logits"):
        alone = run_families(scoring.scored, evidence.claimed_at(level), POLICY)
        if any(family.rejected for family in alone.records):
            assert result.verdict.outcome is not Outcome.PASS


def test_it_makes_no_fail_and_changes_none() -> None:
    leaking = audit(POLICY, seed=5, leak={"membership": 1.0, "probe": 1.0})
    assert leaking.verdict.outcome is Outcome.FAIL
    assert "sees a trace" not in leaking.verdict.sentence


def test_a_policy_that_accepts_a_trace_says_that_a_weaker_adversary_sees_one() -> None:
    policy = load_policy("standard")[0].model_copy(
        update={"pass_with_trace": True, "auc_margin": 0.3, "tpr_margin": 0.9, "utility_margin": 0.9, "name": "wide"}
    )
    result = audit(policy, seed=3, leak={"membership": 0.25}, n_forget=400, n_holdout=800)
    assert (result.verdict.outcome, result.verdict.qualifier) == (Outcome.PASS, "with trace")
    assert "weaker access: logits" in result.verdict.sentence
