"""The verdict and its evidence on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.result import AuditResult, Finding, FindingStatus, Outcome

from .charts import ABSENT, interval_text, margin_text, num, p_text, visible

_STYLES = {
    Outcome.PASS: "bold green",
    Outcome.FAIL: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    FindingStatus.PASS: "green",
    FindingStatus.FAIL: "bold red",
    FindingStatus.ERROR: "bold red",
    FindingStatus.INCONCLUSIVE: "yellow",
}


def render_terminal(result: AuditResult, console: Console) -> None:
    """Print the verdict, the findings that decide it, the reasons, and what would settle it.

    Names are untrusted: they are printed as plain text, never as markup; control characters are spelled out.

    Args:
        result: the run record.
        console: where to print; colours and width are its business.
    """
    verdict = result.verdict
    line = Text(verdict.outcome.value, style=_STYLES[verdict.outcome])
    console.print(line.append_text(_text(f"  {verdict.sentence}", console, "default not bold")))
    console.print(_text(f"Scope: {verdict.scope}", console, "dim"))
    shown = [f for f in result.findings if _decides(f)]
    if shown:
        console.print(_table(shown, console))
    if hidden := len(result.findings) - len(shown):
        noun = "finding is" if hidden == 1 else "findings are"
        console.print(Text(f"{hidden} supplementary {noun} in the report.", style="dim"))
    _list("Why", verdict.reasons, console)
    _list("What would settle it", verdict.settle, console)


def _decides(finding: Finding) -> bool:
    important = finding.kind == "structural" or finding.status is FindingStatus.ERROR
    return important or finding.role != "supplementary"


def _text(text: str, console: Console, style: str = "") -> Text:
    """Plain text without control characters, in an encoding that the console can write."""
    safe = visible(text).replace("\n", " ")
    if not console.encoding.lower().startswith("utf"):
        safe = safe.replace(ABSENT, "-")
    return Text(safe.encode(console.encoding, "backslashreplace").decode(console.encoding), style=style)


def _table(findings: list[Finding], console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Status", no_wrap=True)
    table.add_column("Check", overflow="fold", ratio=1)
    for head in ("Value", "Interval", "Margin", "Original", "p (adj.)"):
        table.add_column(head, overflow="fold", justify="right")
    for f in findings:
        figures = (
            num(f.estimate),
            interval_text(f.interval, f.margin),
            margin_text(f.margin),
            num(f.control),
            p_text(f.p if f.p_adjusted is None else f.p_adjusted),
        )
        table.add_row(
            Text(f.status.value, style=_STYLES.get(f.status, "")),
            _text(f.title, console),
            *(_text(figure, console) for figure in figures),
        )
    return table


def _list(head: str, lines: tuple[str, ...], console: Console) -> None:
    if not lines:
        return
    console.print(Text(head, style="bold"))
    for number, line in enumerate(lines, 1):
        console.print(_text(f"  {number}. {line}", console))
