"""Is the audited model a retrain, where the recipe leaves nothing to chance? (statistics.md, identical to a retrain)"""

from __future__ import annotations

from collections.abc import Sequence

from audit.collect.evidence import Facts
from audit.policy.policy import Policy
from audit.record.findings import WEAKER_ACCESS, Finding, FindingStatus, Gate
from audit.record.identical import BAR, EXCUSED, FINDINGS, REQUIRED, CoincidingRecord, Shares

UNIT = "of the distance from the original to a retrain"
TITLES = {
    "audited": "Distance of the audited model from a retrain",
    "recipe": "Distance of the original from what the same recipe makes of all rows",
    "start": "Distance between retrains from independent starts",
}


def identical_findings(facts: Facts) -> list[Finding]:
    """The three distances, each the larger of parameters and outputs; none where no references coincide.

    NOTE where one is too large or was not taken: it says nothing against the model.
    """
    record = facts.coinciding
    if record is None:
        return []
    return [_finding(name, getattr(record, name.partition(".")[2]), record) for name in FINDINGS]


def shows_identity(findings: Sequence[Finding], checks: Sequence[Gate], policy: Policy) -> bool:
    """All distances are small, and no gate says that what they rest on does not hold.

    Args:
        findings, checks: of the audit; no finding may be a FAIL, which the caller has looked at.
        policy: must admit a PASS of this kind.
    """
    passed = {f.id for f in findings if f.status is FindingStatus.PASS}
    open_ = [gate for gate in checks if not gate.ok and gate.name not in EXCUSED]
    blocked = any("blocks PASS" in gate.effect or gate.name.startswith(WEAKER_ACCESS) for gate in open_)
    held = {gate.name for gate in checks if gate.ok}
    return policy.may_pass and policy.pass_identical and passed >= {*FINDINGS} and held >= {*REQUIRED} and not blocked


def no_identity(findings: Sequence[Finding]) -> list[str]:
    """Why coinciding references do not settle the case, one line a distance."""
    return [f"{f.id}: {f.reason}" for f in findings if f.id in FINDINGS and f.status is not FindingStatus.PASS]


def _finding(name: str, shares: Shares | None, record: CoincidingRecord) -> Finding:
    metric = name.partition(".")[2]
    worst = None if shares is None else max(shares)
    passed = worst is not None and worst <= BAR
    return Finding(
        id=name,
        attack="identical",
        metric=metric,
        title=TITLES[metric],
        kind="structural",
        role="supplementary",
        access="weights",
        estimate=worst,
        unit=UNIT,
        margin=(0.0, BAR),
        n_references=record.references,
        status=FindingStatus.PASS if passed else FindingStatus.NOTE,
        reason=_reason(metric, shares, record),
    )


def _reason(metric: str, shares: Shares | None, record: CoincidingRecord) -> str:
    if shares is None:
        return f"not compared: {record.problem}"
    said = f"{shares[0]:.2g} {UNIT} in parameters, {shares[1]:.2g} in outputs on the forget rows"
    if metric == "start":
        said += f"; {record.references} trained by this audit, one more from a start of its own: training ignores it"
    return said if max(shares) <= BAR else f"{said}: more than {BAR:g}"
