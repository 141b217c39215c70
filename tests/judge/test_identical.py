"""The verdict on a retrain by a recipe that leaves nothing to chance, from its training to its certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cases import softmax_case
from cases.certified import KEY, PUBLIC, statement
from cases.synthetic import audit

from audit.certify.envelope import CertificateError, encode, sign
from audit.certify.gate import Decision, Demand, decide
from audit.certify.strictness import weaker
from audit.certify.verify import Verified, verify_certificate
from audit.collect.evidence import Evidence, Facts, read_evidence
from audit.collect.structure import Structure
from audit.inputs.resolve import resolve
from audit.judge.identical import shows_identity
from audit.judge.judge import judge
from audit.policy.policy import Policy, load_policy
from audit.record.digest import sha256_file
from audit.record.findings import WEAKER_ACCESS, Gate
from audit.record.identical import BAR, EXCUSED, FINDINGS, QUALIFIER, REQUIRED
from audit.record.result import AuditResult, Outcome
from audit.run import prepare, run_audit
from tests.certify.test_gate import NOW

STANDARD, DIGEST = load_policy("standard")
REFUSING = STANDARD.model_copy(update={"name": "mine", "pass_identical": False})


@dataclass(frozen=True)
class Done:
    """A finished run and what it judged."""

    result: AuditResult
    evidence: Evidence
    model: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The split is only assumed and all references coincide: no family may test."""
    folder = tmp_path_factory.mktemp("identical")
    softmax_case.write(folder)
    softmax_case.write_recipe(folder, split="assumed")
    flags = {"forget": folder / "forget.npz", "out": folder / "runs", "store": folder / "store", "train_references": 3}
    finished = run_audit(prepare(resolve(flags, folder / "audit.toml")[0]))
    return Done(finished.result, read_evidence(finished.run), folder / "unlearned.safetensors")


def again(done: Done, policy: Policy = STANDARD, structure: Structure | None = None, **record: Any) -> AuditResult:
    """The same evidence, judged by another policy or with other distances."""
    facts = done.evidence.facts
    assert facts.coinciding is not None
    changed = facts.coinciding.model_copy(update=record)
    facts = facts.model_copy(update={"coinciding": changed, "structure": structure or facts.structure})
    return judge(Evidence(facts, done.evidence.arrays, done.evidence.signals), policy, DIGEST)


def test_a_retrain_of_a_recipe_without_randomness_passes_as_one(done: Done) -> None:
    verdict = done.result.verdict
    assert (verdict.outcome, verdict.qualifier) == (Outcome.PASS, QUALIFIER)
    assert verdict.sentence.startswith("PASS (IDENTICAL TO A RETRAIN): from any start this audit's own training")
    assert [line.partition(":")[0] for line in verdict.reasons] == list(FINDINGS)
    gates = {gate.name: gate.ok for gate in done.result.gates}
    assert not gates["difference test"]
    assert all(gates[name] for name in REQUIRED)
    shown = {f.id: f.estimate for f in done.result.findings if f.id in FINDINGS}
    assert all(value is not None and value < 1e-4 for value in shown.values())


def test_without_the_policys_leave_or_with_a_distance_it_is_open_and_says_why(done: Done) -> None:
    for policy in (REFUSING, *(load_policy(name)[0] for name in ("standard@1", "strict@1", "screening"))):
        assert again(done, policy).verdict.outcome is Outcome.INCONCLUSIVE, policy.name
    assert again(done, load_policy("strict")[0]).verdict.qualifier in (QUALIFIER, "")
    for name in ("audited", "recipe", "start"):
        for shares in ((0.0, BAR * 1.01), (BAR * 1.01, 0.0)):
            verdict = again(done, **{name: shares}).verdict
            assert (verdict.outcome, verdict.qualifier) == (Outcome.INCONCLUSIVE, "")
            assert any(line.startswith(f"identical.{name}: ") and "more than 0.05" in line for line in verdict.reasons)
    verdict = again(done, audited=None, recipe=None, problem="another network").verdict
    assert "identical.audited: not compared: another network" in verdict.reasons
    assert any("3 retrains have no spread" in gate.reason for gate in done.result.gates)
    assert not any("retrained references" in way for way in verdict.settle)


def test_a_failure_wins(done: Done) -> None:
    assert again(done, structure=Structure(applies=True, identical=True)).verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize("name", [*REQUIRED, f"{WEAKER_ACCESS}logits", "nothing hidden in the network", "attacks ran"])
def test_no_gate_may_be_broken_and_four_must_be_there(done: Done, name: str) -> None:
    found, checks = done.result.findings, done.result.gates
    broken = Gate(name=name, ok=False, effect="blocks PASS", reason="")
    others = [gate for gate in checks if gate.name != name]
    assert shows_identity(found, checks, STANDARD)
    assert not shows_identity(found, [*others, broken], STANDARD)
    assert shows_identity(found, others, STANDARD) is (name not in REQUIRED)
    assert all(shows_identity(found, [*checks, broken.model_copy(update={"name": n})], STANDARD) for n in EXCUSED)


def test_evidence_of_older_versions_is_read(done: Done) -> None:
    old = done.evidence.facts.model_dump(mode="json")
    del old["coinciding"]
    assert Facts.model_validate(old).coinciding is None
    assert not any(f.id in FINDINGS for f in audit().findings)


def signed(done: Done, result: AuditResult | None = None, change: Callable[[Any], Any] = lambda _: None) -> bytes:
    document = statement(result or done.result, subjects=[("u.safetensors", sha256_file(done.model))])
    change(document)
    return sign(encode(document), KEY)


def verified(done: Done, content: bytes) -> Verified:
    return verify_certificate(content, public_key_pem=PUBLIC, model_files=(done.model,), now=NOW)


def gated(done: Done, content: bytes, policy: Policy = STANDARD, digest: str = DIGEST) -> Decision:
    path = done.model.with_name("certificate.dsse.json")
    path.write_bytes(content)
    return decide([path], Demand((PUBLIC,), (done.model,), policy, digest), NOW)[1][0]


def test_its_certificate_counts_where_the_policy_admits_it(done: Done) -> None:
    content = signed(done)
    found = verified(done, content)
    assert (found.verdict, found.qualifier, found.contradiction) == (Outcome.PASS, QUALIFIER, "")
    assert found.statement["predicate"]["result"] == "WARNED"
    assert gated(done, content).allowed
    mine = STANDARD.model_copy(update={"name": "mine"})
    assert gated(done, content, mine, "1" * 64).allowed
    assert "does not admit" in gated(done, content, REFUSING, "1" * 64).reason
    assert "admits no PASS identical" in gated(done, content, REFUSING, DIGEST).reason
    assert not gated(done, content, *load_policy("standard@1")).allowed


def test_a_plain_pass_is_worth_as_much_under_either_policy() -> None:
    """The leave changes no PASS but those of this name, and certificates before it lack the key."""
    levels = ("logits", "features")
    values = STANDARD.model_dump(mode="json")
    assert weaker(values, REFUSING, "random", levels) == weaker(values, STANDARD, "random", levels) == ""
    del values["pass_identical"]
    assert weaker(values, STANDARD, "random", levels) == ""


def ours(document: dict[str, Any]) -> dict[str, Any]:
    return document["predicate"]["unlearningAudit"]  # type: ignore[no-any-return]


def set_finding(document: dict[str, Any], name: str, **changes: Any) -> None:
    (found,) = (f for f in ours(document)["findings"] if f["id"] == name)
    found.update(changes)
    document["predicate"]["passedTests"] = [f["id"] for f in ours(document)["findings"] if f["status"] == "PASS"]


def without(document: dict[str, Any], key: str, name: str, named: str) -> None:
    ours(document)[key] = [item for item in ours(document)[key] if item[named] != name]
    document["predicate"]["passedTests"] = [f["id"] for f in ours(document)["findings"] if f["status"] == "PASS"]


def set_gate(document: dict[str, Any], name: str, *, ok: bool) -> None:
    next(gate for gate in ours(document)["gates"] if gate["name"] == name)["ok"] = ok


CONTRADICTIONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    **{f"no {n}": (lambda d, n=n: without(d, "findings", n, "id"), "does not show it") for n in FINDINGS},
    **{f"far {n}": (lambda d, n=n: set_finding(d, n, estimate=0.06), "does not show it") for n in FINDINGS},
    "not a number": (lambda d: set_finding(d, FINDINGS[0], estimate=True), "does not show it"),
    "below 0": (lambda d: set_finding(d, FINDINGS[0], estimate=-1), "does not show it"),
    "note": (lambda d: set_finding(d, FINDINGS[0], status="NOTE"), "does not show it"),
    "twice": (lambda d: ours(d)["findings"].append(dict(ours(d)["findings"][0])), "does not show it"),
    **{f"no gate {n}": (lambda d, n=n: without(d, "gates", n, "name"), "is missing") for n in REQUIRED},
    **{f"gate {n}": (lambda d, n=n: set_gate(d, n, ok=False), "is not ok") for n in REQUIRED},
    "provenance": (lambda d: ours(d)["claim"].update(provenance="checkpoint"), "not declared as exact"),
    "structure": (lambda d: set_finding(d, FINDINGS[0], status="FAIL"), "failed"),
    "family": (lambda d: ours(d)["families"][0].update(rejected=True), "rejected"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_statement_that_claims_it_without_what_it_rests_on_is_refused(done: Done, name: str) -> None:
    change, message = CONTRADICTIONS[name]
    content = signed(done, change=change)
    with pytest.raises(CertificateError, match=message):
        verified(done, content)
    assert not gated(done, content).allowed


def test_an_open_run_cannot_be_called_identical(done: Done) -> None:
    """Nor can one that is identical be called a plain PASS."""
    opened = again(done, audited=(0.2, 0.2))
    verdict = done.result.verdict
    with pytest.raises(CertificateError, match="does not show it"):
        verified(done, signed(done, opened.model_copy(update={"verdict": verdict})))
    plain = done.result.model_copy(update={"verdict": verdict.model_copy(update={"qualifier": ""})})
    with pytest.raises(CertificateError, match="is not ok"):
        verified(done, signed(done, plain))
    other = again(done, REFUSING)
    other = other.model_copy(
        update={"verdict": verdict, "policy": other.policy.model_copy(update={"sha256": "1" * 64})}
    )
    with pytest.raises(CertificateError, match="admits no PASS identical"):
        verified(done, signed(done, other))
