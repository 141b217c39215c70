"""Judge the evidence: scores -> findings -> verdict. Pure: no model, no file, no clock."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from attacks.base import Access, Attack, NotApplicable, Scores, discover
from attacks.plugins import distribution_of
from audit.certify.chain import share
from audit.collect.evidence import AttackRun, Evidence
from audit.policy.policy import Policy
from audit.record.attack_record import AttackRecord
from audit.record.result import AuditResult, Finding, FindingStatus, PolicyRecord

from .cautions import cautions
from .charts import charts
from .differences import differences
from .equivalence import Context
from .exploratory import exploratory
from .families import run_families
from .fidelity import shadow_mismatch
from .figures import figures
from .gates import gates
from .scored import GRANTS, Scored, by_subject
from .structural import input_findings, structural_findings
from .utility import utility
from .verdict import decide

log = logging.getLogger("audit")


Everything = tuple[list[AttackRun], list[Scored]]


def judge(evidence: Evidence, policy: Policy, policy_sha256: str, everything: Everything | None = None) -> AuditResult:
    """Turn evidence into the full record of an audit.

    Args:
        evidence: what the engine collected, or ``read_evidence`` read back.
        policy: every threshold.
        policy_sha256: digest of the policy file's bytes.
        everything: ``score_all(evidence)``, where it is known already.

    Returns:
        the result; the same evidence and policy give the same result, bit for bit.
    """
    runs, scored = everything or score_all(evidence)
    declared = policy
    look = evidence.facts.look
    if look is not None:  # a declared ledger: this look may spend its share alone
        look = look.model_copy(update={"alpha": policy.alpha * share(look.number)})
        policy = policy.model_copy(update={"alpha": look.alpha})
    families = run_families(scored, evidence, policy)
    context = Context(evidence, policy, families)
    findings = structural_findings(evidence.facts, policy) + input_findings(evidence)
    findings += [f for run in runs for f in _execution(run, evidence, policy)]
    for item in scored:
        findings += differences(item, context)
        findings += figures(item, context)
        findings += exploratory(item, context)
    findings = [_confirmed(f, findings) for f in findings]
    measured = utility(evidence, policy)
    checks = gates(evidence, policy, families, measured, findings)
    facts = evidence.facts
    verdict = decide(evidence, policy, families, findings, checks, measured)
    warnings = cautions(evidence, families, policy)
    return AuditResult(
        tool="unlearn-audit",
        tool_version=facts.tool_version,
        run_id=facts.run_id,
        seed=facts.seed,
        environment=facts.environment,
        claim=facts.claim,
        policy=PolicyRecord(name=policy.name, sha256=policy_sha256, values=declared.model_dump(mode="json")),
        inputs=facts.inputs,
        assumptions=(*facts.assumptions, *warnings),
        attacks=tuple(_record(run, scored, evidence, context.level) for run in runs),
        families=families.records,
        findings=tuple(findings),
        gates=checks,
        look=look,
        training=facts.training,
        utility=measured,
        not_tested=_not_tested(evidence, runs, scored),
        verdict=verdict.model_copy(update={"warnings": warnings}),
    )


def score_all(evidence: Evidence) -> Everything:
    """Score every attack that ran; one whose scoring raises becomes an error. How each went, and the scores."""
    classes = discover()
    facts = evidence.facts
    runs: list[AttackRun] = []
    scored: list[Scored] = []
    for run in facts.attacks:
        if run.status != "ok":
            runs.append(run)
            continue
        try:
            attack = classes[run.name](
                **{k: v for k, v in run.parameters.items() if k in _arguments(classes[run.name])}
            )
            case = evidence.case_of(attack)
            null = [evidence.signals[run.name, name] for name in facts.references]
            subject = attack.score([evidence.signals[run.name, "unlearned"], *null], case)
            control = None
            if "original" in facts.models:
                control = attack.score([evidence.signals[run.name, "original"], *null], case)
            pooled = None
            if facts.runs and null:
                runs_of = [evidence.signals[run.name, name] for name in ("unlearned", *facts.runs)]
                pooled = attack.score([*runs_of, *null], case)
            if attack.design and not subject.invalid:
                subject = replace(subject, invalid=shadow_mismatch(evidence, attack.design))
            scored.append(_aggregate(attack, subject, control, pooled, evidence))
            runs.append(run)
        except NotApplicable as skip:
            runs.append(run.model_copy(update={"status": "skipped", "reason": str(skip)}))
        except Exception as error:
            log.exception("scoring %s failed", run.name)
            runs.append(
                run.model_copy(update={"status": "error", "reason": f"scoring: {type(error).__name__}: {error}"})
            )
    return runs, scored


def _arguments(attack: type[Attack]) -> frozenset[str]:
    import inspect

    return frozenset(inspect.signature(attack).parameters)


def _aggregate(
    attack: Attack, subject: Scores, control: Scores | None, pooled: Scores | None, evidence: Evidence
) -> Scored:
    subjects = evidence.subjects()
    rows = len(evidence.labels("forget"))
    runs = 1 if pooled is None else 1 + len(evidence.facts.runs)
    if subjects is None or all(len(np.unique(side)) == len(side) for side in subjects):
        return Scored(attack, subject, control, rows, pooled, runs)
    collapsed, n_forget = by_subject(subject, *subjects)
    note = f"rows averaged per data subject: {n_forget} subjects in the forget set"
    collapsed = replace(collapsed, details=(*collapsed.details, note))
    others = [None if scores is None else by_subject(scores, *subjects)[0] for scores in (control, pooled)]
    return Scored(attack, collapsed, others[0], n_forget, others[1], runs, subject)


def _confirmed(finding: Finding, findings: list[Finding]) -> Finding:
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


def _execution(run: AttackRun, evidence: Evidence, policy: Policy) -> list[Finding]:
    """A check that did not run is a finding."""
    if run.status == "ok":
        return []
    kind = evidence.facts.claim.kind
    levels = policy.mandatory.get(kind, {})
    required = any(name.partition(".")[0] == run.name for names in levels.values() for name in names)
    attack = discover()[run.name]
    status = FindingStatus.ERROR if run.status == "error" else FindingStatus.SKIPPED
    gated = kind in attack.primary_for and attack.access <= GRANTS[evidence.facts.claim.access]
    return [
        Finding(
            id=f"{run.name}.execution",
            attack=run.name,
            metric="execution",
            title=f"{attack.title}: did not run",
            kind="execution",
            role="mandatory" if required and gated else "primary" if gated else "supplementary",
            access=attack.access.name.lower(),
            status=status,
            reason=run.reason,
            settle=_repair(run, attack, evidence),
        )
    ]


def _repair(run: AttackRun, attack: type[Attack], evidence: Evidence) -> tuple[str, ...]:
    """What would make an attack run that did not."""
    if run.status == "error":
        return ("repair what the reason names and run the same command again",)
    if attack.access > Access.LOGITS and any(i.kind == "outputs" for i in evidence.facts.inputs):
        return ("give the networks in place of precomputed outputs (state dicts and --arch), or claim --access logits",)
    if attack.needs_original and "original" not in evidence.facts.models:
        return ("give the original model",)
    return ()


def _record(run: AttackRun, scored: list[Scored], evidence: Evidence, level: float) -> AttackRecord:
    attack = discover()[run.name]
    item = next((s for s in scored if s.attack.name == run.name), None)
    return AttackRecord(
        name=attack.name,
        title=attack.title,
        version=attack.version,
        access=attack.access.name.lower(),
        symmetric=attack.symmetric,
        source=attack.source,
        parameters=run.parameters,
        distribution=distribution_of(attack),
        status=run.status,
        reason=run.reason,
        details=() if item is None else item.subject.details,
        charts=() if item is None else charts(item, evidence.facts, level),
    )


def _not_tested(evidence: Evidence, runs: list[AttackRun], scored: list[Scored]) -> tuple[str, ...]:
    claim = evidence.facts.claim
    lines = [
        "Attacks outside this suite: relearning, gradient inversion of the weight difference, quantisation",
        "Copies, derived models, caches, logs and data outside the files named under inputs",
        "An owner who optimises the model against this suite: verification by behaviour can be evaded",
        "A bound on the privacy loss (epsilon) of the unlearning algorithm: one model was audited, not the algorithm",
    ]
    if claim.kind == "class":
        lines.append("Single records of the forgotten classes: their figures are reported but not certified")
    else:
        lines.append("Single records: averages over the forget set are certified, not each row")
    ran = {s.attack.name for s in scored}
    skipped: dict[str, list[str]] = {}
    for run in runs:
        if run.name not in ran and run.reason:
            skipped.setdefault(run.reason, []).append(run.name)
    lines += [f"{', '.join(names)}: {reason}" for reason, names in skipped.items()]
    beyond = [s.attack.name for s in scored if s.attack.access > GRANTS[claim.access]]
    if beyond:
        lines.append(f"Beyond the claimed access ({claim.access}), run but not gated: {', '.join(sorted(beyond))}")
    return tuple(lines)
