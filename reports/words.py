"""The fixed words of the reports: what each status means, and the summary of a verdict in a few facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Verdict

from .numbers import p_text

STATUS_LEGEND = (
    (
        "PASS",
        "The whole interval lies inside the margin, and the attack behind it sees the forget set in the original model "
        "(by its AUC or its share; a single tail may be empty there).",
    ),
    ("FAIL", "The evidence says that the unlearned model still carries, or betrays, the forget set."),
    ("INCONCLUSIVE", "The data decide neither way. What would settle it stands next to the finding."),
    (
        "NOT DETECTED",
        "A difference test did not reject. This is not evidence of forgetting: a weak test rejects nothing.",
    ),
    (
        "NOT COVERED",
        "The attack cannot see the forget set even in the original model, so its silence on the unlearned "
        "model says nothing.",
    ),
    ("SKIPPED", "The check did not run; the reason is given. Nothing was learned from it."),
    ("ERROR", "The check was started and broke. Nothing was learned from it."),
    ("NOTE", "Reported for information; it does not enter the verdict."),
)
#: the order in which the findings are sorted by status
WORST_FIRST = ("FAIL", "ERROR", "INCONCLUSIVE", "NOT COVERED", "SKIPPED", "NOT DETECTED", "PASS", "NOTE")
#: short forms for narrow tables, and what they mean
SHORT = {
    FindingStatus.PASS: ("PASS", ""),
    FindingStatus.FAIL: ("FAIL", ""),
    FindingStatus.INCONCLUSIVE: ("open", "the data decide neither way"),
    FindingStatus.NOT_DETECTED: ("no diff", "no difference detected, which is no evidence of forgetting"),
    FindingStatus.NOT_COVERED: ("blind", "does not see the forget set in the original either"),
    FindingStatus.SKIPPED: ("skipped", "did not run"),
    FindingStatus.ERROR: ("error", "broke"),
    FindingStatus.NOTE: ("note", "does not enter the verdict"),
}


@dataclass(frozen=True)
class Reason:
    """One reason of the verdict with the findings that share it."""

    text: str
    findings: tuple[str, ...]


def headline(verdict: Verdict) -> tuple[str, str]:
    """The verdict's word and its sentence without that word."""
    word = verdict.outcome.value
    if verdict.qualifier:
        word, _, rest = verdict.sentence.partition(":")
        return word, rest.strip()
    rest = verdict.sentence.removeprefix(f"{word}:").strip()
    return word, rest


def decides(finding: Finding) -> bool:
    """The verdict rests on it: it is gated, or a fact that needs no test."""
    return finding.role != "supplementary" or finding.kind == "structural"


def reasons(result: AuditResult) -> tuple[Reason, ...]:
    """The verdict's reasons; findings that have the same one are named together."""
    ids = {f.id for f in result.findings}
    grouped: dict[str, list[str]] = {}
    for line in result.verdict.reasons:
        names, separator, rest = line.partition(": ")
        known = bool(separator) and all(name in ids for name in names.split(", "))
        named = grouped.setdefault(rest if known else line, [])
        named += [name for name in names.split(", ") if known and name not in named]
    return tuple(Reason(text, tuple(names)) for text, names in grouped.items())


def sizes(findings: Sequence[Finding]) -> str:
    """Sample sizes of findings: ``300 forget, 600 holdout, 8 retrained``; different ones side by side.

    Where rows were averaged per data subject the word is there: ``40 forget subjects, 80 holdout subjects``.
    """
    found = dict.fromkeys(_size(f) for f in findings)
    return "; ".join(text for text in found if text)


def _size(f: Finding) -> str:
    unit = " subjects" if f.counted == "subjects" else ""
    parts = ((f.n_forget, f"forget{unit}"), (f.n_holdout, f"holdout{unit}"), (f.n_references, "retrained"))
    return ", ".join(f"{count} {name}" for count, name in parts if count is not None)


def evidence(result: AuditResult) -> tuple[tuple[str, str], ...]:
    """What the verdict rests on, as a few (name, fact) pairs."""
    deciding = [f for f in result.findings if decides(f)]
    figures = [f for f in result.findings if f.role == "mandatory"]
    facts = [
        ("Sample sizes", sizes(deciding) or "none"),
        ("Attacks", _attacks(result)),
        ("Mandatory figures", _counts(figures) or "none"),
        ("Difference tests", _families(result)),
        ("Validity gates", _gates(result)),
    ]
    if result.utility:
        facts.append(("Utility", result.utility.reason))
    if result.look:
        facts.append(("Look", f"number {result.look.number} at this forget set, alpha {result.look.alpha:.3g}"))
    return tuple(facts)


def _attacks(result: AuditResult) -> str:
    words = {"ok": "ran", "skipped": "skipped", "error": "broke"}
    groups = {status: [a.name for a in result.attacks if a.status == status] for status in words}
    parts = [f"{len(names)} {words[status]}: {', '.join(names)}" for status, names in groups.items() if names]
    return "; ".join(parts) or "none"


def _counts(findings: Sequence[Finding]) -> str:
    found = dict.fromkeys(f.status for f in findings)
    counts = [f"{sum(f.status is status for f in findings)} {status.value}" for status in found]
    return f"{len(findings)}: {', '.join(counts)}" if counts else ""


def _families(result: AuditResult) -> str:
    parts = []
    for f in result.families:
        outcome = "a difference was found" if f.rejected else "no difference detected"
        p = p_text(f.p_holm)
        sign = "" if p.startswith("<") else "= "
        ran = f"{outcome} (p {sign}{p} after Holm)" if f.p_holm is not None else "not run"
        parts.append(f"{f.name} {ran}")
    return "; ".join(parts) or "none"


def _gates(result: AuditResult) -> str:
    failed = [g.name for g in result.gates if not g.ok]
    held = f"{len(result.gates) - len(failed)} of {len(result.gates)} hold"
    return f"{held}; not: {', '.join(failed)}" if failed else held
