"""A run as one flat list of checks (verdict, gates, findings) for formats that know only pass, fail and a few more.

The list decides once, for all of these formats, what a status turns into: none may read better than the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from audit.record.findings import Finding, FindingStatus, Gate
from audit.record.result import AuditResult, Outcome, Verdict

from .effects import size
from .numbers import level_text, margin_text, num, p_text
from .words import decides, headline

VERDICT = "verdict"
GATES = "gates"


class Mark(StrEnum):
    """What a check turns into where a format has only a few words.

    ``OPEN`` is a check that keeps the run from a PASS without failing it. ``ASIDE`` neither speaks for nor against.
    """

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"
    BROKEN = "broken"
    ASIDE = "aside"


@dataclass(frozen=True)
class Check:
    """One line: the verdict, a gate, or a finding."""

    id: str
    group: str
    title: str
    mark: Mark
    word: str
    reason: str
    finding: Finding | None = None


def checks(result: AuditResult) -> tuple[Check, ...]:
    """The verdict first, then the gates, then the findings in their order."""
    gates = (
        Check(f"gate.{g.name}", GATES, f"{g.name} ({g.effect})", gate_mark(g), "holds" if g.ok else "NOT MET", g.reason)
        for g in result.gates
    )
    findings = (Check(f.id, f.attack, f.title, finding_mark(f), f.status.value, f.reason, f) for f in result.findings)
    return (_verdict(result), *gates, *findings)


def finding_mark(finding: Finding) -> Mark:
    """The mark of a finding.

    A difference that was not detected is no pass: it is no evidence of forgetting. An open or missing finding is
    OPEN where the verdict rests on it; a mandatory one that was skipped keeps the run from a PASS.
    """
    status = finding.status
    if status is FindingStatus.PASS:
        return Mark.PASSED
    if status is FindingStatus.FAIL:
        return Mark.FAILED
    if status is FindingStatus.ERROR:
        return Mark.BROKEN
    if status is FindingStatus.INCONCLUSIVE and decides(finding):
        return Mark.OPEN
    if status is FindingStatus.SKIPPED and finding.role == "mandatory":
        return Mark.OPEN
    return Mark.ASIDE


def gate_mark(gate: Gate) -> Mark:
    """A gate that is not met and blocks a PASS is OPEN."""
    if gate.ok:
        return Mark.PASSED
    return Mark.OPEN if "PASS" in gate.effect else Mark.ASIDE


def deciding_first(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that decide before the others, failures before the rest."""
    order = [Mark.FAILED, Mark.BROKEN, Mark.OPEN, Mark.PASSED, Mark.ASIDE]
    return sorted(findings, key=lambda f: (not decides(f), order.index(finding_mark(f))))


def figures(finding: Finding) -> str:
    """The figures of a finding in one line; "" where it has none."""
    parts = []
    if finding.estimate is not None:
        value = f"value {num(finding.estimate)} {finding.unit}".rstrip()
        if finding.interval is not None:
            low, high, level = finding.interval.low, finding.interval.high, finding.interval.level
            value += f" ({level_text(level)} interval {num(low)} to {num(high)})"
        parts.append(value)
    if finding.margin is not None:
        parts.append(f"margin {margin_text(finding.margin, short=True)}")
    if finding.control is not None:
        parts.append(f"original {num(finding.control)}")
    p = finding.p if finding.p_adjusted is None else finding.p_adjusted
    if p is not None:
        parts.append(f"p {p_text(p)}")
    return ", ".join(parts)


def opening(verdict: Verdict) -> tuple[str, str]:
    """The verdict's word, and its sentence with a capital."""
    word, sentence = headline(verdict)
    return word, sentence[:1].upper() + sentence[1:]


def _verdict(result: AuditResult) -> Check:
    word, sentence = opening(result.verdict)
    marks = {Outcome.PASS: Mark.PASSED, Outcome.FAIL: Mark.FAILED, Outcome.INCONCLUSIVE: Mark.OPEN}
    return Check(
        VERDICT, VERDICT, "Verdict of the audit", marks[result.verdict.outcome], word, f"{sentence} {size(result)}"
    )
