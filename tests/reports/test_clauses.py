from __future__ import annotations

import pytest

from attacks.base import discover
from audit.errors import UsageError
from audit.record.findings import FindingStatus
from audit.record.result import AuditResult, Outcome
from reports.clause_rules import DESCRIPTIVE, MEMBERSHIP, RECOVERY, Level
from reports.clauses import Clause, clauses
from reports.frameworks import Rule, choose, frameworks
from tests.reports.conftest import example

IDS = {
    "gdpr", "edpb-28-2024", "eu-ai-act", "nist-ai-rmf", "nist-ai-600-1", "iso-42001", "iso-27559", "ico",
    "ccpa", "cnil", "owasp-aisvs",
}  # fmt: skip


def by_name(result: AuditResult, *ids: str) -> dict[str, Clause]:
    return {c.clause: c for c in clauses(result, choose(ids))}


def test_the_frameworks_are_complete() -> None:
    assert set(frameworks()) == IDS
    used = set()
    for name, framework in frameworks().items():
        assert framework.id == name
        for entry in framework.clauses:
            used.add(entry.evidence)
            assert entry.asks.endswith(".")
            assert entry.missing.endswith(".")
            assert entry.checked_on is None  # nobody has opened the primary texts; who does dates the clause
    assert used == set(Rule)
    with pytest.raises(UsageError, match="no framework 'gdrp': choose from ccpa, "):
        choose(["gdrp"])


def test_every_attack_has_its_place() -> None:
    assert set(discover()) == MEMBERSHIP | RECOVERY | DESCRIPTIVE
    assert len(discover()) == len(MEMBERSHIP) + len(RECOVERY) + len(DESCRIPTIVE)


def test_a_pass_supports_and_nothing_else_does() -> None:
    passed = by_name(example(Outcome.PASS))
    assert passed["Art. 17(1)"].level is passed["Art. 15(5)"].level is Level.STRONG
    failed = by_name(example(Outcome.FAIL))
    assert failed["Art. 17(1)"].level is Level.AGAINST
    open_ = by_name(example(Outcome.INCONCLUSIVE))
    assert open_["Art. 17(1)"].level is Level.NONE
    assert open_["Art. 15(5)"].level is Level.NONE
    assert "INCONCLUSIVE" in open_["Art. 15(5)"].strength
    for result in (failed, open_):
        assert all(c.level not in (Level.STRONG, Level.PARTIAL) for c in result.values())


def test_what_no_test_shows_is_never_support(any_result: AuditResult) -> None:
    found = by_name(any_result)
    assert found["Art. 12(3)"].level is found["Art. 17(2), 19"].level is Level.NONE
    record = found["Art. 5(2), 24(1)"]
    assert record.level is Level.RECORD
    assert f"the verdict is {any_result.verdict.outcome}" in record.strength


def test_a_failed_finding_speaks_against_even_in_a_qualified_pass() -> None:
    result = example(Outcome.PASS)
    bad = result.findings[0].model_copy(update={"status": FindingStatus.FAIL, "id": "membership.d2"})
    verdict = result.verdict.model_copy(update={"qualifier": "with trace", "sentence": "PASS WITH TRACE: a trace"})
    found = by_name(result.model_copy(update={"findings": (*result.findings, bad), "verdict": verdict}))
    assert found["Art. 15(5)"].level is Level.AGAINST
    assert found["Art. 17(1)"].level is Level.PARTIAL


def test_evidence_is_in_words_and_ids_stand_in_the_margin(failing: AuditResult) -> None:
    found = [clause for clause in clauses(failing) if clause.ids]
    assert found
    for clause in found:
        ids = clause.ids.split(", ")
        assert set(ids) <= {finding.id for finding in failing.findings}
        assert not any(name in clause.evidence for name in ids)
        assert any(f.title in clause.evidence for f in failing.findings if f.id in ids)
