"""Judge the evidence: scores -> findings -> verdict. Pure: no model, no file, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from audit.collect.evidence import Evidence, Facts
from audit.policy.policy import Policy
from audit.record.findings import Finding, FindingStatus
from audit.record.result import (
    PAPERS_SCHEMA_VERSION,
    RELEASE_SCHEMA_VERSION,
    SCHEMA_VERSION,
    TASK_SCHEMA_VERSION,
    AuditResult,
    PolicyRecord,
)
from audit.record.run_records import LookRecord

from .cautions import cautions
from .closer import closer_finding
from .differences import composites, differences
from .equivalence import Context
from .executed import attack_record, execution, not_tested
from .exploratory import exploratory
from .families import run_families
from .figures import figures
from .gates import gates
from .identical import identical_findings
from .inside import inside_findings
from .looks import share
from .papers import papers
from .remainder import sized
from .scoring import Scoring, score_all
from .shams import own_findings
from .signals import signal_gates
from .structural import input_findings, structural_findings
from .utility import utility
from .verdict import decide
from .weaker import weaker_levels


def judge(evidence: Evidence, policy: Policy, policy_sha256: str, scoring: Scoring | None = None) -> AuditResult:
    """Turn evidence into the full record of an audit.

    Args:
        evidence: what was collected, or ``read_evidence`` read back.
        policy: every threshold.
        policy_sha256: digest of the policy file's bytes.
        scoring: ``score_all(evidence)``, where it is known already.

    Returns:
        the result; the same evidence and policy give the same result, bit for bit.
    """
    scoring = scoring or score_all(evidence)
    declared = PolicyRecord(name=policy.name, sha256=policy_sha256, values=policy.model_dump(mode="json"))
    look, policy = _share_of(evidence.facts.look, policy)
    families = run_families(scoring.scored, evidence, policy)
    context = Context(evidence, policy, families)
    findings = _findings(scoring, context)
    measured = utility(evidence, policy)
    checks = gates(evidence, policy, families, measured, findings)
    checks += weaker_levels(scoring.scored, evidence, policy, families)
    checks += signal_gates(evidence, scoring, policy)
    silent = frozenset(item.attack.name for item in scoring.scored if item.subject.invalid)
    verdict = decide(evidence, policy, families, findings, checks, measured, silent)
    verdict = sized(verdict, findings, policy.figures(evidence.facts.claim.kind, evidence.facts.claim.access))
    warnings = cautions(evidence, families, policy)
    facts = evidence.facts
    printed = papers(evidence)
    by_name = {item.attack.name: item for item in scoring.scored}
    return AuditResult(
        schema_version=_version(facts, printed=bool(printed)),
        tool="unlearn-audit",
        tool_version=facts.tool_version,
        run_id=facts.run_id,
        seed=facts.seed,
        environment=facts.environment,
        claim=facts.claim,
        policy=declared,
        inputs=facts.inputs,
        assumptions=(*facts.assumptions, *warnings),
        attacks=tuple(
            attack_record(run, scoring.classes[run.name], by_name.get(run.name), evidence, context.level)
            for run in scoring.runs
        ),
        families=families.records,
        findings=findings,
        gates=checks,
        look=look,
        training=facts.training,
        task=facts.task,
        utility=measured,
        papers=printed,
        not_tested=not_tested(evidence, scoring),
        verdict=verdict.model_copy(update={"warnings": warnings}),
    )


def _version(facts: Facts, *, printed: bool) -> str:
    """The oldest schema that the record fits."""
    if facts.claim.release is not None:
        return RELEASE_SCHEMA_VERSION
    return PAPERS_SCHEMA_VERSION if printed else TASK_SCHEMA_VERSION if facts.task is not None else SCHEMA_VERSION


def _share_of(look: LookRecord | None, policy: Policy) -> tuple[LookRecord | None, Policy]:
    """Under a declared ledger this look may spend its share of alpha alone."""
    if look is None:
        return None, policy
    alpha = policy.alpha * share(look.number)
    return look.model_copy(update={"alpha": alpha}), policy.model_copy(update={"alpha": alpha})


def _findings(scoring: Scoring, context: Context) -> tuple[Finding, ...]:
    """All findings: what needs no statistics first, then attack by attack."""
    evidence, policy = context.evidence, context.policy
    found = structural_findings(evidence.facts, policy) + inside_findings(evidence.facts, policy)
    found += identical_findings(evidence.facts) + input_findings(evidence)
    found += own_findings(context.families.shams)
    found.append(closer_finding(evidence, context.level))
    found += [f for run in scoring.runs for f in execution(run, scoring.classes[run.name], evidence, policy)]
    for item in scoring.scored:
        found += differences(item, context)
        found += figures(item, context)
        found += exploratory(item, context)
    found += composites(context)
    return tuple(_confirmed(finding, found) for finding in found)


def _confirmed(finding: Finding, findings: Sequence[Finding]) -> Finding:
    """A figure beyond its margin is a FAIL where the same attack's difference test rejected, never on its own."""
    if finding.kind != "equivalence" or finding.status is not FindingStatus.INCONCLUSIVE or finding.interval is None:
        return finding
    margin = finding.margin
    if margin is None or margin[0] <= (finding.estimate or 0.0) <= margin[1]:
        return finding
    test = any(
        f.attack == finding.attack and f.kind == "difference" and f.status is FindingStatus.FAIL for f in findings
    )
    if not test:
        return finding
    reason = "outside the margin, and the attack's difference test rejected"
    return finding.model_copy(update={"status": FindingStatus.FAIL, "reason": reason, "settle": ()})
