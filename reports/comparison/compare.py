"""Runs side by side: candidate methods on one case, or one model over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome
from reports.charts.compared import Line
from reports.checks import opening
from reports.effects import leading, place
from reports.numbers import ABSENT, interval_text, margin_text, null_mean, num, p_text
from reports.words import decides

_TONES = {
    FindingStatus.PASS: "good",
    FindingStatus.FAIL: "bad",
    FindingStatus.ERROR: "bad",
    FindingStatus.INCONCLUSIVE: "open",
}
_VERDICT_TONES = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "open"}


@dataclass(frozen=True)
class Cell:
    """One cell: a status word with its tone, and text."""

    text: str
    word: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class Row:
    """One line of the table; ``differs`` marks a line that makes the runs not comparable."""

    title: str
    cells: tuple[Cell, ...]
    id: str = ""
    differs: bool = False


@dataclass(frozen=True)
class Section:
    """One table."""

    title: str
    head: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, what keeps them from being comparable, and how to read the tables."""

    columns: tuple[str, ...]
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    lines: tuple[Line, ...] = ()
    figure: str = ""


Fact = tuple[str, Callable[[AuditResult], str]]


def compare(runs: Sequence[AuditResult], dates: Sequence[str] = ()) -> Comparison:
    """Set runs side by side.

    Args:
        runs: the records, at least two, in the order of the columns.
        dates: of their certificates, "" where there is none; with them the picture is a timeline.

    Returns:
        The tables. Runs with another claim, forget set, policy or access are shown, and flagged as not comparable.
    """
    obstacles = tuple(
        f"{title}: {' | '.join(dict.fromkeys(fact(r) for r in runs))}"
        for title, fact in _SAME
        if len({fact(r) for r in runs}) > 1
    )
    figure = _shared(runs)
    return Comparison(
        columns=tuple(_column(r, runs) for r in runs),
        lines=_lines(runs, figure, dates),
        figure=figure,
        obstacles=obstacles,
        notes=_notes(runs),
        sections=(
            Section("Verdicts", "Run", tuple(_fact(title, fact, runs) for title, fact in _ABOUT)),
            Section("What was asked", "Must be the same", tuple(_must(title, fact, runs) for title, fact in _SAME)),
            Section("Findings that decide", "Check", _findings(runs, deciding=True)),
            Section("Gates and utility", "Check", (*_gates(runs), *_utility(runs))),
            Section("Supplementary findings", "Check", _findings(runs, deciding=False)),
        ),
    )


def _shared(runs: Sequence[AuditResult]) -> str:
    """The figure of the picture: the leading one of the first run that has one in every run; "" where none is."""
    placed = [{f.id for f in r.findings if place(f) is not None} for r in runs]
    common = set.intersection(*placed)
    named = [f.id for r in runs if (f := leading(r)) is not None]
    return next((name for name in named if name in common), min(common, default=""))


def _lines(runs: Sequence[AuditResult], figure: str, dates: Sequence[str]) -> tuple[Line, ...]:
    """A line of the picture for each run: in the order given, or by the dates of the certificates."""
    given = list(zip(runs, dates or [""] * len(runs), strict=True))
    lines = []
    for run, date in sorted(given, key=lambda pair: pair[1]) if all(dates) else given:
        found = next((f for f in run.findings if f.id == figure), None)
        title = f"{date} {_column(run, runs)}".strip()
        lines.append(Line(title, opening(run.verdict)[0], None if found is None else place(found)))
    return tuple(lines)


def _column(run: AuditResult, runs: Sequence[AuditResult]) -> str:
    """The model's name; with the run where two models have the same."""
    name = _model(run)
    return name if sum(_model(r) == name for r in runs) == 1 else f"{name} ({run.run_id})"


def _model(run: AuditResult) -> str:
    return next((i.name for i in run.inputs if i.role == "unlearned"), run.run_id)


def _input(role: str) -> Callable[[AuditResult], str]:
    def fact(run: AuditResult) -> str:
        found = [i for i in run.inputs if i.role == role]
        return (
            ", ".join(f"{i.sha256[:16] if i.sha256 else i.name}" for i in found)
            if role == "original"
            else ", ".join(f"{i.rows} rows of shape {'x'.join(map(str, i.shape or ()))}" for i in found)
        ) or "none"

    return fact


def _references(run: AuditResult) -> str:
    return str(sum(i.role.startswith("retrained/") for i in run.inputs))


_SAME: tuple[Fact, ...] = (
    ("Claim", lambda r: " ".join((r.claim.kind, *(str(c) for c in r.claim.classes)))),
    ("Access", lambda r: r.claim.access),
    ("Release", lambda r: r.claim.release or "not declared"),
    ("Policy", lambda r: f"{r.policy.name} {r.policy.sha256[:16]}"),
    ("Forget set", _input("forget")),
    ("Holdout set", _input("holdout")),
    ("Split, strata", lambda r: f"{r.claim.split}, {r.claim.strata}"),
    ("References' origin", lambda r: r.claim.provenance),
    ("Original model", _input("original")),
)


def _sha256(run: AuditResult) -> str:
    return ", ".join((i.sha256 or "outputs only")[:16] for i in run.inputs if i.role == "unlearned") or "none"


_ABOUT: tuple[Fact | tuple[str, None], ...] = (
    ("Verdict", None),
    ("Scope", lambda r: r.verdict.scope),
    ("Warnings", lambda r: "; ".join(r.verdict.warnings) or "none"),
    ("Model, SHA-256", _sha256),
    ("Run", lambda r: r.run_id),
    ("Tool", lambda r: f"{r.tool} {r.tool_version}"),
    ("References", _references),
    (
        "Look at the forget set",
        lambda r: "no ledger" if r.look is None else f"{r.look.number}, alpha {num(r.look.alpha)}",
    ),
)


def _fact(title: str, fact: Callable[[AuditResult], str] | None, runs: Sequence[AuditResult]) -> Row:
    if fact is None:
        return Row(title, tuple(_verdict(r) for r in runs))
    return Row(title, tuple(Cell(fact(r)) for r in runs))


def _verdict(run: AuditResult) -> Cell:
    word, sentence = opening(run.verdict)
    tone = "open" if run.verdict.qualifier else _VERDICT_TONES[run.verdict.outcome]
    return Cell(sentence, word, tone)


def _must(title: str, fact: Callable[[AuditResult], str], runs: Sequence[AuditResult]) -> Row:
    texts = [fact(r) for r in runs]
    return Row(title, tuple(Cell(text) for text in texts), differs=len(set(texts)) > 1)


def _findings(runs: Sequence[AuditResult], *, deciding: bool) -> tuple[Row, ...]:
    by_id = [{f.id: f for f in r.findings} for r in runs]
    first = {f.id: f for r in reversed(runs) for f in reversed(r.findings)}
    # a check that decides in one run stands among those that decide
    decisive = {f.id for r in runs for f in r.findings if decides(f)}
    names = [name for name in dict.fromkeys(f.id for r in runs for f in r.findings) if (name in decisive) is deciding]
    return tuple(Row(first[n].title, tuple(_finding(found.get(n)) for found in by_id), id=n) for n in names)


def _finding(f: Finding | None) -> Cell:
    if f is None:
        return Cell("not in this run")
    parts = []
    if f.estimate is not None or f.interval is not None:
        shown = ["" if f.estimate is None else num(f.estimate), f.interval and interval_text(f.interval, f.margin)]
        parts.append(" ".join(part for part in (*shown, f.unit) if part))
    if f.control is not None:
        parts.append(f"original {num(f.control)}")
    if f.null is not None and f.null.source == "references":
        parts.append(f"honest retrains {num(null_mean(f.null))} ± {num(f.null.sd)}")
    p = f.p if f.p_adjusted is None else f.p_adjusted
    if p is not None:
        parts.append(f"p {p_text(p)}")
    if f.margin is not None:
        parts.append(f"margin {margin_text(f.margin, short=True)}")
    return Cell(", ".join(parts) or f.reason, f.status.value, _TONES.get(f.status, "plain"))


def _gates(runs: Sequence[AuditResult]) -> tuple[Row, ...]:
    found = [{g.name: g for g in r.gates} for r in runs]
    names = dict.fromkeys(g.name for r in runs for g in r.gates)
    rows = []
    for name in names:
        cells = []
        for gates in found:
            gate = gates.get(name)
            if gate is None:
                cells.append(Cell("not in this run"))
            else:
                cells.append(Cell(gate.reason, "holds" if gate.ok else "NOT MET", "good" if gate.ok else "open"))
        rows.append(Row(f"Gate: {name}", tuple(cells)))
    return tuple(rows)


def _utility(runs: Sequence[AuditResult]) -> tuple[Row, ...]:
    found = [{} if r.utility is None else {f.name: f for f in r.utility.figures} for r in runs]
    measured = [None if r.utility is None or r.utility.unlearned is None else r.utility for r in runs]
    figure = " or ".join(dict.fromkeys(u.figure for u in measured if u is not None)) or "accuracy"
    cells_of = (
        Cell("not measured" if u is None else f"{num(u.unlearned)}, original {num(u.original)}") for u in measured
    )
    rows = [Row(f"{figure[:1].upper()}{figure[1:]} on never-seen rows", tuple(cells_of))]
    for name in dict.fromkeys(name for figures in found for name in figures):
        cells = []
        for figures in found:
            f = figures.get(name)
            if f is None:
                cells.append(Cell(ABSENT))
            else:
                text = f"{num(f.estimate)} {interval_text(f.difference)}, margin {num(f.margin)}"
                cells.append(Cell(text, "holds" if f.ok else "NOT MET", "good" if f.ok else "open"))
        rows.append(Row(f"Utility, difference: {name}", tuple(cells)))
    return tuple(rows)


def _notes(runs: Sequence[AuditResult]) -> tuple[str, ...]:
    notes = [
        "A comparison is no verdict: differences between columns are not tested. Overlapping intervals tell no order.",
        "Records hold no digest of personal data: that the forget set is the same is checked by its size alone.",
    ]
    if len({_sha256(r) for r in runs}) > 1:
        notes.append(
            "Picking the candidate that passes out of several is repeated testing: the error rate of a verdict holds "
            "for each run alone. A ledger (--ledger) shares alpha among the looks."
        )
    if len({r.tool_version for r in runs}) > 1:
        notes.append("The runs come from different versions of the tool: attacks and figures may differ.")
    return tuple(notes)
