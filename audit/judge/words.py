"""What an open verdict says, and no more than was seen (statistics.md 10.9)."""

from __future__ import annotations

from collections.abc import Sequence

from audit.record.findings import Finding, FindingStatus, Gate

from .weaker import rejecting

NEAR = 0.5  # our choice: an estimate beyond this share of its margin is near it


def open_words(
    findings: Sequence[Finding], checks: Sequence[Gate], what: str, silent: frozenset[str] = frozenset()
) -> str:
    """Which of these it is: a weaker adversary sees a trace, nothing could be tested, a figure is near its margin, or
    what was tested is not precise enough.

    Args:
        findings: of the audit.
        checks: its gates.
        what: the forget set, in words.
        silent: attacks whose scores of this model are out of line, so that no figure of theirs judges.
    """
    levels = rejecting(checks)
    if levels:
        return f"an adversary with {levels[0]} alone sees a trace of {what}: a claim of that access would be a FAIL."
    heard = [f for f in findings if f.attack not in silent]
    figures = [f for f in heard if f.kind == "equivalence" and f.role == "mandatory" and _sighted(f)]
    if not figures:
        return f"nothing could be tested: no attack that is shown to see {what} in the original could judge the model."
    unsettled = [f for f in figures if f.status is not FindingStatus.PASS]
    near = [f for f in unsettled if _near(f)]
    if near:
        listed = ", ".join(f.id for f in near[:3]) + (" ..." if len(near) > 3 else "")
        return (
            f"no leak was detected, but forgetting of {what} is not shown either: tested, and near the margin or "
            f"beyond it ({listed})."
        )
    if unsettled:
        return f"no leak was detected, but forgetting of {what} is not shown either: tested, and not precise enough."
    return f"no leak was detected, but forgetting of {what} is not shown either: a check keeps it open."


def _sighted(finding: Finding) -> bool:
    """The attack sees the forget set in the original, and there was enough to judge with."""
    return finding.status is not FindingStatus.NOT_COVERED and finding.control is not None and bool(finding.interval)


def _near(finding: Finding) -> bool:
    """The estimate itself takes up most of the margin on its side."""
    if finding.estimate is None or finding.margin is None:
        return False
    low, high = finding.margin
    middle = 0.0 if low == 0 else (low + high) / 2  # a lower margin of 0 on a rate does not bind
    side = high if finding.estimate >= middle else low
    return abs(finding.estimate - middle) > NEAR * abs(side - middle)
