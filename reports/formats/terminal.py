"""The verdict and its evidence on a terminal, down to 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome
from reports.advice import steps
from reports.effects import size
from reports.numbers import ABSENT, interval_text, margin_text, num, p_text, visible
from reports.render import Options
from reports.words import SHORT, decides, headline, sizes

_STYLES = {
    Outcome.PASS: "bold green",
    Outcome.FAIL: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    FindingStatus.PASS: "green",
    FindingStatus.FAIL: "bold red",
    FindingStatus.ERROR: "bold red",
    FindingStatus.INCONCLUSIVE: "yellow",
}
_HEADS = ("Check", "Status", "Value [interval]", "Margin", "Original", "p adj.")


def render(result: AuditResult, options: Options) -> str:
    """What `render_terminal` prints, as text; see `reports.render.render`."""
    text = StringIO()
    render_terminal(result, Console(file=text, highlight=False, width=options.width))
    return text.getvalue()


def render_terminal(result: AuditResult, console: Console) -> None:
    """Print the verdict, the findings that decide it, the reasons, and what would settle it.

    Names are untrusted: they are printed as plain text, never as markup; control characters are spelled out.

    Args:
        result: the run record.
        console: where to print; colours and width are its business.
    """
    verdict = result.verdict
    word, sentence = headline(verdict)
    line = Text(f"{word}: ", style=_STYLES[verdict.outcome])
    console.print(line.append_text(plain(sentence, console, "default not bold")))
    for warning in verdict.warnings:
        console.print(plain(f"WARNING: {warning}.", console, "bold red"))
    console.print(plain(f"Scope: {verdict.scope}", console, "dim"))
    shown = [f for f in result.findings if decides(f) or f.status is FindingStatus.ERROR]
    if shown:
        console.print()
        _print_table(shown, console)
        _print_notes(result, shown, console)
    _list("Why", verdict.reasons, console)
    _list("What would settle it", verdict.settle, console)


def render_answer(result: AuditResult, console: Console) -> None:
    """Print what stands last on the screen: what to do next, then the verdict with the size of the effect."""
    console.print()
    for step in steps(result):
        console.print(plain(f"next: {step.text}", console))
        if step.command:
            console.print(plain(f"      {step.command}", console), soft_wrap=True)
    line = Text(f"{headline(result.verdict)[0]}: ", style=_STYLES[result.verdict.outcome])
    console.print(line.append_text(plain(size(result), console, "default not bold")))


def plain(text: str, console: Console, style: str = "") -> Text:
    """Plain text without control characters, in an encoding that the console can write."""
    safe = visible(text).replace("\n", " ")
    if not console.encoding.lower().startswith("utf"):
        safe = safe.replace(ABSENT, "-").replace("±", "+-")
    return Text(safe.encode(console.encoding, "backslashreplace").decode(console.encoding), style=style)


def _print_table(findings: Sequence[Finding], console: Console) -> None:
    """One line per finding where that fits, else the interval below the value, else a list."""
    flat, stacked = [_cells(f, " ") for f in findings], [_cells(f, "\n") for f in findings]
    for cells, gap in ((flat, 2), (flat, 1), (stacked, 2), (stacked, 1)):
        if _width(cells, gap) <= console.width:
            console.print(_table(findings, cells, gap, console))
            return
    for f, figures in zip(findings, flat, strict=True):
        console.print(plain(f"{SHORT[f.status][0]}  {f.id}", console, _STYLES.get(f.status, "")))
        for head, figure in zip(_HEADS[2:], figures[2:], strict=True):
            console.print(plain(f"    {head}: {figure}", console))


def _cells(f: Finding, between: str) -> tuple[str, ...]:
    value = num(f.estimate)
    if f.interval is not None:
        value += between + interval_text(f.interval, f.margin)
    p = p_text(f.p if f.p_adjusted is None else f.p_adjusted)
    return visible(f.id), SHORT[f.status][0], value, margin_text(f.margin, short=True), num(f.control), p


def _width(rows: Sequence[tuple[str, ...]], gap: int) -> int:
    """Columns that the table needs without wrapping anything."""
    lines = [[part for row in (_HEADS, *rows) for part in _split(row[i])] for i in range(len(_HEADS))]
    return sum(max(Text(part).cell_len for part in column) for column in lines) + gap * (len(_HEADS) - 1)


def _split(cell: str) -> list[str]:
    return cell.replace(" [", "\n[").split("\n") if cell == _HEADS[2] else cell.split("\n")


def _table(findings: Sequence[Finding], rows: Sequence[tuple[str, ...]], gap: int, console: Console) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    stacked = any("\n" in row[2] for row in rows)
    for position, head in enumerate(_HEADS):
        name = head.replace(" [", "\n[") if stacked and position == 2 else head
        table.add_column(Text(name), justify="left" if position < 2 else "right", no_wrap=True, vertical="top")
    for f, cells in zip(findings, rows, strict=True):
        value = Text("\n").join(plain(part, console) for part in cells[2].split("\n"))
        table.add_row(
            plain(cells[0], console),
            Text(cells[1], style=_STYLES.get(f.status, "")),
            value,
            *(plain(cell, console) for cell in cells[3:]),
        )
    return table


def _print_notes(result: AuditResult, shown: Sequence[Finding], console: Console) -> None:
    """What the short words mean, how many examples there are, and what the table leaves out."""
    meanings = dict.fromkeys(SHORT[f.status] for f in shown)
    notes = [f"{word}: {meaning}" for word, meaning in meanings if meaning]
    if counts := sizes(shown):
        notes.append(f"n: {counts}")
    if hidden := len(result.findings) - len(shown):
        notes.append(f"{hidden} supplementary {'finding is' if hidden == 1 else 'findings are'} in the report.")
    if result.not_tested:
        count = len(result.not_tested)
        notes.append(f"What was not tested stands in the report ({count} {'point' if count == 1 else 'points'}).")
    console.print()
    for note in notes:
        console.print(plain(note, console, "dim"))


def _list(head: str, lines: Sequence[str], console: Console) -> None:
    if not lines:
        return
    console.print(Text(head, style="bold"))
    for number, line in enumerate(lines, 1):
        for row, part in enumerate(plain(line, console).wrap(console, max(20, console.width - 5))):
            part.rstrip()
            console.print(Text(f"{number:>3}. " if row == 0 else " " * 5).append_text(part))
