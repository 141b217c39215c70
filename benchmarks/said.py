"""What an audit said, as the benchmarks keep it."""

from __future__ import annotations

from typing import Any

from audit.record.result import AuditResult, Outcome

LONGEST = 80  # characters of a reason that names no finding


def deciding(result: AuditResult) -> tuple[str, ...]:
    """Ids of the failed findings of a FAIL, the figures and gates that an INCONCLUSIVE lacks, nothing of a PASS."""
    if result.verdict.outcome is Outcome.PASS:
        return ()
    return tuple(reason.partition(": ")[0] for reason in result.verdict.reasons if ": " in reason)


def said(result: AuditResult) -> dict[str, Any]:
    """The verdict, and the ids that decided it; the reasons themselves where they name none."""
    by = [name for reason in deciding(result) for name in reason.split(", ")]
    if not by and result.verdict.outcome is not Outcome.PASS:
        by = [reason[:LONGEST] for reason in result.verdict.reasons]
    return {"verdict": result.verdict.outcome.value, "by": by}
