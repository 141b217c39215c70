"""Judge the evidence: scores -> findings -> verdict. Pure: no model, no file, no clock."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from attacks.base import Attack, Scores, discover

from .charts import chart
from .evidence import AttackRun, Evidence
from .families import GRANTS, Families, Scored, by_subject, run_families
from .figures import Context, figures
from .policy import Policy
from .result import (
    AttackRecord,
    AuditResult,
    Finding,
    FindingStatus,
    Interval,
    Null,
    PolicyRecord,
)
from .statistics.intervals import shift
from .statistics.model_level import crawford_howell
from .structural import input_findings, structural_findings
from .verdict import decide, gates, utility

log = logging.getLogger("audit")


def judge(evidence: Evidence, policy: Policy, policy_sha256: str) -> AuditResult:
    """Turn evidence into the full record of an audit.

    Args:
        evidence: what the engine collected, or ``read_evidence`` read back.
        policy: every threshold.
        policy_sha256: digest of the policy file's bytes.

    Returns:
        the result; the same evidence and policy give the same result, bit for bit.
    """
    runs, scored = _score_all(evidence)
    families = run_families(scored, evidence, policy)
    context = Context(evidence, policy, families)
    findings = structural_findings(evidence.facts, policy) + input_findings(evidence)
    findings += [f for run in runs for f in _execution(run, evidence, policy)]
    for item in scored:
        findings += _differences(item, context)
        findings += figures(item, context)
    findings = [_confirmed(f, findings) for f in findings]
    measured = utility(evidence, policy)
    checks = gates(evidence, families, measured, findings)
    facts = evidence.facts
    return AuditResult(
        tool="unlearn-audit",
        tool_version=facts.tool_version,
        run_id=facts.run_id,
        seed=facts.seed,
        environment=facts.environment,
        claim=facts.claim,
        policy=PolicyRecord(name=policy.name, sha256=policy_sha256, values=policy.model_dump(mode="json")),
        inputs=facts.inputs,
        assumptions=facts.assumptions,
        attacks=tuple(_record(run, scored, evidence) for run in runs),
        families=families.records,
        findings=tuple(findings),
        gates=checks,
        utility=measured,
        not_tested=_not_tested(evidence, scored),
        verdict=decide(evidence, policy, families, findings, checks),
    )


def _score_all(evidence: Evidence) -> tuple[list[AttackRun], list[Scored]]:
    """Score every attack that ran; one whose scoring raises becomes an error."""
    classes = discover()
    case = evidence.case()
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
            null = [evidence.signals[run.name, name] for name in facts.references]
            subject = attack.score([evidence.signals[run.name, "unlearned"], *null], case)
            control = None
            if "original" in facts.models:
                control = attack.score([evidence.signals[run.name, "original"], *null], case)
            scored.append(_aggregate(attack, subject, control, evidence))
            runs.append(run)
        except Exception as error:
            log.exception("scoring %s failed", run.name)
            runs.append(
                run.model_copy(update={"status": "error", "reason": f"scoring: {type(error).__name__}: {error}"})
            )
    return runs, scored


def _arguments(attack: type[Attack]) -> frozenset[str]:
    import inspect

    return frozenset(inspect.signature(attack).parameters)


def _aggregate(attack: Attack, subject: Scores, control: Scores | None, evidence: Evidence) -> Scored:
    subjects = evidence.subjects()
    rows = len(evidence.labels("forget"))
    if subjects is None or all(len(np.unique(side)) == len(side) for side in subjects):
        return Scored(attack, subject, control, rows)
    collapsed, n_forget = by_subject(subject, *subjects)
    note = f"rows averaged per data subject: {n_forget} subjects in the forget set"
    collapsed = replace(collapsed, details=(*collapsed.details, note))
    return Scored(attack, collapsed, None if control is None else by_subject(control, *subjects)[0], n_forget)


def _differences(item: Scored, context: Context) -> list[Finding]:
    """The difference tests of one attack: D2, D1, or a supplementary t where it is no primary."""
    families, found = context.families, []
    if item in families.d2 and families.d2_test is not None:
        found.append(_d2_finding(item, context, float(families.d2_test.adjusted[families.d2.index(item)])))
    if item in families.d1 and families.d1_test is not None:
        index = families.d1.index(item)
        adjusted = float(families.d1_test.adjusted[index])
        found.append(_d1_finding(item, context, adjusted, families))
    elif item not in families.d2 and len(context.evidence.facts.references) >= context.policy.references_t:
        found.append(_d1_finding(item, context, None, families))
    return found


def _d2_finding(item: Scored, context: Context, adjusted: float) -> Finding:
    sides = item.require_sides()
    forget, holdout = sides[0][0], sides[1][0]
    estimate = float(forget.mean() - holdout.mean())
    se = float(np.sqrt(forget.var(ddof=1) / len(forget) + holdout.var(ddof=1) / len(holdout)))
    control = item.sides(control=True)
    rejected = _rejected("D2", adjusted, context.families, context.policy)
    return Finding(
        id=f"{item.attack.name}.d2",
        attack=item.attack.name,
        metric="d2",
        title="Forget examples score differently from never-seen examples",
        kind="difference",
        family="D2",
        role="primary",
        access=item.attack.access.name.lower(),
        estimate=estimate,
        interval=Interval(low=estimate - 1.96 * se, high=estimate + 1.96 * se, level=0.95),
        unit="score units",
        n_forget=len(forget),
        n_holdout=len(holdout),
        n_references=len(context.evidence.facts.references),
        control=None if control is None else float(control[0][0].mean() - control[1][0].mean()),
        null=Null(source="permutation", mean=0.0, sd=se, n=context.policy.permutations),
        p=None,
        p_adjusted=adjusted,
        status=FindingStatus.FAIL if rejected else FindingStatus.NOT_DETECTED,
        reason=_direction(estimate, rejected),
    )


def _d1_finding(item: Scored, context: Context, adjusted: float | None, families: Families) -> Finding:
    """``adjusted`` None = supplementary: reported with its own p-value, never gated."""
    statistic, floor = item.contrast
    estimate = shift(statistic, floor, 0.95)
    _, p = crawford_howell(statistic, floor)
    rejected = adjusted is not None and _rejected("D1", adjusted, families, context.policy)
    control = item.control_contrast
    references = statistic[1:]
    is_class = item.subject.statistic is not None and context.evidence.facts.claim.kind == "class"
    what = (
        "More is left of the forgotten classes than in retrained models"
        if is_class
        else ("Forget minus holdout contrast differs from retrained models")
    )
    reason = _direction(estimate.value, rejected)
    if adjusted is None:
        reason = "supplementary: not part of the verdict for this claim and access"
    return Finding(
        id=f"{item.attack.name}.d1",
        attack=item.attack.name,
        metric="d1",
        title=what,
        kind="difference",
        family="D1" if adjusted is not None else None,
        role="primary" if adjusted is not None else "supplementary",
        access=item.attack.access.name.lower(),
        estimate=estimate.value,
        interval=Interval(low=estimate.low, high=estimate.high, level=0.95),
        unit=item.subject.unit or "score units",
        n_forget=item.sizes(context.evidence)[0],
        n_holdout=item.sizes(context.evidence)[1],
        n_references=len(references),
        control=None if control is None else float(control[0][0] - references.mean()),
        null=Null(source="references", mean=0.0, sd=float(references.std(ddof=1)), n=len(references)),
        p=p,
        p_adjusted=adjusted,
        status=FindingStatus.NOTE
        if adjusted is None
        else (FindingStatus.FAIL if rejected else FindingStatus.NOT_DETECTED),
        reason=reason,
    )


def _rejected(family: str, adjusted: float, families: Families, policy: Policy) -> bool:
    """Attack-level attribution: its adjusted p, times Holm's factor, within a family that was rejected."""
    return families.record(family).rejected and adjusted * families.multiplier[family] <= policy.alpha


def _direction(estimate: float, rejected: bool) -> str:
    if not rejected:
        return "no difference detected; this alone is no evidence of forgetting"
    if estimate > 0:
        return "residual information: the forget set is treated more like training data than an honest retrain would"
    return "over-unlearned: the forget set is recognisable as the deleted set, which reveals it as well"


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
    return finding.model_copy(update={"status": FindingStatus.FAIL}) if test else finding


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
            settle=("repair what the reason names and run the same command again",) if run.status == "error" else (),
        )
    ]


def _record(run: AttackRun, scored: list[Scored], evidence: Evidence) -> AttackRecord:
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
        status=run.status,
        reason=run.reason,
        details=() if item is None else item.subject.details,
        chart=None if item is None else chart(item, evidence.facts),
    )


def _not_tested(evidence: Evidence, scored: list[Scored]) -> tuple[str, ...]:
    claim = evidence.facts.claim
    lines = [
        "Attacks outside this suite: relearning, gradient inversion of the weight difference, shadow-model attacks "
        "with the user's own procedure, quantisation, label-only attacks",
        "Copies, derived models, caches, logs and data outside the files named under inputs",
        "An owner who optimises the model against this suite: verification by behaviour can be evaded",
        "A bound on the privacy loss (epsilon) of the unlearning algorithm: one model was audited, not the algorithm",
    ]
    if claim.kind == "class":
        lines.append("Single records of the forgotten classes: their figures are reported but not certified")
    else:
        lines.append("Single records: averages over the forget set are certified, not each row")
    ran = {s.attack.name for s in scored}
    lines += [f"{run.name}: {run.reason}" for run in evidence.facts.attacks if run.name not in ran and run.reason]
    beyond = [s.attack.name for s in scored if s.attack.access > GRANTS[claim.access]]
    if beyond:
        lines.append(f"Beyond the claimed access ({claim.access}), run but not gated: {', '.join(sorted(beyond))}")
    return tuple(lines)
