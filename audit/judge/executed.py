"""What ran and what did not: a check that did not run is a finding, an attack of the plan is a record."""

from __future__ import annotations

from attacks.base import GRANTS, INPUTS_ALONE, Access, Attack
from attacks.plugins import distribution_of
from audit.collect.evidence import AttackRun, Evidence
from audit.collect.suite import changed, gates
from audit.policy.policy import Policy
from audit.record.attack_record import BUDGET, LEFT_OUT, AttackRecord
from audit.record.findings import Finding, FindingStatus

from .charts import charts
from .scored import Scored
from .scoring import Scoring


def execution(run: AttackRun, attack: type[Attack], evidence: Evidence, policy: Policy) -> list[Finding]:
    """A check that did not run is a finding."""
    claim = evidence.facts.claim
    if run.status == "ok":
        return _changed(run, attack, evidence, policy)
    required = any(name.partition(".")[0] == run.name for name in policy.figures(claim.kind, claim.access))
    status = FindingStatus.ERROR if run.status == "error" else FindingStatus.SKIPPED
    gated = gates(attack, claim, policy)
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


def _changed(run: AttackRun, attack: type[Attack], evidence: Evidence, policy: Policy) -> list[Finding]:
    """A gated attack with other parameters than those whose error rates were measured is a finding."""
    names = changed(attack, run.parameters)
    if not names or not gates(attack, evidence.facts.claim, policy):
        return []
    given = ", ".join(f"{name} = {run.parameters[name]}" for name in names)
    return [
        Finding(
            id=f"{run.name}.parameters",
            attack=run.name,
            metric="parameters",
            title=f"{attack.title}: other parameters than the suite's",
            kind="input",
            role="primary",
            access=attack.access.name.lower(),
            status=FindingStatus.NOTE,
            reason=f"{given}; error rates were measured with the defaults",
            settle=("run it with its default parameters",),
        )
    ]


def _repair(run: AttackRun, attack: type[Attack], evidence: Evidence) -> tuple[str, ...]:
    """What would make an attack run that did not."""
    if run.reason.startswith(LEFT_OUT):
        if run.reason.endswith(BUDGET):
            return ("repeat the command with a larger --max-minutes: what has run is kept",)
        return ("run the suite as it is: leave --attacks and --skip out",)
    if run.status == "error":
        return ("repair what the reason names or refers to and run the same command again",)
    if run.reason == INPUTS_ALONE and GRANTS[evidence.facts.claim.access] > Access.LOGITS:
        return ("claim --access logits: a model without a layer before its head admits no more",)
    asked = attack.access > Access.LOGITS or evidence.facts.claim.access == "labels"  # queries need a network, too
    if asked and any(i.kind == "outputs" for i in evidence.facts.inputs):
        return ("give the networks in place of precomputed outputs (state dicts and --arch), or claim --access logits",)
    if attack.needs_original and "original" not in evidence.facts.models:
        return ("give the original model",)
    return ()


def attack_record(
    run: AttackRun, attack: type[Attack], item: Scored | None, evidence: Evidence, level: float
) -> AttackRecord:
    """One attack of the plan: what it is, whether it ran, and its charts.

    Args:
        run: how it went.
        attack: its class.
        item: its scores, where it has some.
        evidence: claim and names of the models.
        level: coverage of the band of an ROC curve.
    """
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


def not_tested(evidence: Evidence, scoring: Scoring) -> tuple[str, ...]:
    """What the verdict does not speak of."""
    claim = evidence.facts.claim
    lines = [
        "Attacks outside this suite, among them those that nobody has thought of yet",
        "Copies, derived models, caches, logs and data outside the files named under inputs",
        "An owner who optimises the model against this suite: verification by behaviour can be evaded",
        "A bound on the privacy loss (epsilon) of the unlearning algorithm: one model was audited, not the algorithm",
    ]
    if claim.kind == "class":
        lines.append("Single records of the forgotten classes: their figures are reported but not certified")
    else:
        lines.append("Single records: averages over the forget set are certified, not each row")
    ran = {s.attack.name for s in scoring.scored}
    skipped: dict[str, list[str]] = {}
    for run in scoring.runs:
        if run.name not in ran and run.reason:
            skipped.setdefault(run.reason, []).append(run.name)
    lines += [f"{', '.join(names)}: {reason}" for reason, names in skipped.items()]
    beyond = [s.attack.name for s in scoring.scored if s.attack.access > GRANTS[claim.access]]
    if beyond:
        lines.append(f"Beyond the claimed access ({claim.access}), run but not gated: {', '.join(sorted(beyond))}")
    return tuple(lines)
