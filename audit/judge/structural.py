"""Findings that need no statistics: unchanged layers and duplicated content."""

from __future__ import annotations

from audit.collect.evidence import Evidence, Facts
from audit.inputs.sets import Overlap
from audit.policy.policy import Policy
from audit.record.findings import Finding, FindingStatus

WHITE_BOX = ("features", "weights")


def structural_findings(facts: Facts, policy: Policy) -> list[Finding]:
    """The unlearned model is the original, or its encoder is (statistics.md 9.2)."""
    structure = facts.structure
    if structure.identical:
        what = "network" if structure.applies else "set of outputs"
        return [
            _structural(
                "identical",
                FindingStatus.FAIL,
                f"the unlearned model is bit for bit the original {what}: nothing was unlearned",
            )
        ]
    if not structure.applies:
        return []
    found = []
    if policy.structural and structure.encoder_identical:
        judged = facts.claim.access in WHITE_BOX
        reason = (
            "every layer up to the penultimate features is bit for bit the original's: whoever has the weights has "
            "the original's representation of every example"
        )
        status = FindingStatus.FAIL if judged else FindingStatus.NOTE
        found.append(_structural("encoder", status, reason if judged else f"{reason}; no effect on a black-box claim"))
    elif structure.unchanged:
        listed = ", ".join(structure.unchanged[:6]) + (" ..." if len(structure.unchanged) > 6 else "")
        counts = f"{len(structure.unchanged)} of {structure.counted} tensors"
        reason = f"{counts} are the original's: {listed}. Reported, not judged"
        found.append(_structural("unchanged", FindingStatus.NOTE, reason))
    if structure.excused:
        reason = f"{len(structure.excused)} tensors are public or shared by every reference and do not count"
        found.append(_structural("public", FindingStatus.NOTE, reason))
    return found


def _structural(metric: str, status: FindingStatus, reason: str) -> Finding:
    return Finding(
        id=f"structure.{metric}",
        attack="structure",
        metric=metric,
        title="Layers compared with the original, bit for bit",
        kind="structural",
        role="primary" if status is FindingStatus.FAIL else "supplementary",
        access="weights",
        status=status,
        reason=reason,
        settle=("unlearn the encoder as well, or declare layers that never saw the data as public_layers",)
        if status is FindingStatus.FAIL
        else (),
    )


def input_findings(evidence: Evidence) -> list[Finding]:
    """Content that stands in two sets under other ids."""
    return [
        Finding(
            id=f"input.{overlap.role}_in_{overlap.other}",
            attack="input",
            metric=f"{overlap.role}_in_{overlap.other}",
            title=f"Duplicated content in the {overlap.role} and {overlap.other} sets",
            kind="input",
            role="supplementary",
            access="labels",
            status=FindingStatus.NOTE,
            reason=f"{_overlap(overlap)}; they were left out of every figure",
        )
        for overlap in evidence.overlaps()
    ]


def _overlap(overlap: Overlap) -> str:
    count = f"{overlap.dropped} of {overlap.total} {overlap.role} rows"
    if overlap.role == overlap.other:
        return f"{count} repeat an earlier row of the set"
    return f"{count} also stand in the {overlap.other} set"
