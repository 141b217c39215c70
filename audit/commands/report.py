"""The commands that render: ``audit report`` and ``audit compare``. `audit/cli.py` registers them.

Renderers are imported where they are used; none needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.errors import UsageError

if TYPE_CHECKING:
    from audit.record.result import AuditResult
    from audit.record.rundir import RunDir
    from reports.frameworks import Framework


class Format(StrEnum):
    """How to render a run."""

    HTML = "html"
    PDF = "pdf"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"
    JSON = "json"
    MODEL_CARD = "model-card"
    COMPLIANCE = "compliance"
    MLFLOW = "mlflow"
    TERMINAL = "terminal"


class Inconclusive(StrEnum):
    """What INCONCLUSIVE is in JUnit."""

    ERROR = "error"
    SKIPPED = "skipped"


_FILES = {Format.HTML: "report.html", Format.PDF: "report.pdf", Format.COMPLIANCE: "compliance.html"}


def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory (runs/<id>).")],
    format_: Annotated[Format, typer.Option("--format", "-f", help="What to render.")] = Format.HTML,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write. Default: pages go into the run, text to standard output."),
    ] = None,
    framework: Annotated[
        str, typer.Option(help="html, compliance: ids with commas between them, such as gdpr,eu-ai-act. Default: all.")
    ] = "",
    junit_inconclusive: Annotated[
        Inconclusive, typer.Option(help="junit: what INCONCLUSIVE becomes.")
    ] = Inconclusive.ERROR,
    sarif_location: Annotated[
        str, typer.Option(help="sarif: file that results point to, relative to the repository.")
    ] = "config.toml",
    max_bytes: Annotated[
        int, typer.Option(min=10_000, help="markdown: cut the summary here. A comment takes 65536.")
    ] = 1024 * 1024,
    experiment: Annotated[str, typer.Option(help="mlflow: name of the experiment.")] = "unlearning-audit",
) -> None:
    """Render a finished run again, without touching a model.

    html, pdf and compliance are written into the run directory (compliance as Markdown with -o FILE.md); markdown,
    junit, sarif, json, model-card and terminal go to standard output, or to -o FILE. mlflow exports to the store that
    MLFLOW_TRACKING_URI names and prints the id. The exit code says whether it was rendered, not the verdict.
    """
    from audit.certify.issue import check_bound
    from audit.record.result import read_result
    from audit.record.rundir import open_run

    run = open_run(run_dir)
    result = read_result(run.result)
    check_bound(run)
    if format_ is Format.MLFLOW:
        from reports.formats.mlflow import export_mlflow

        if output is not None:
            raise UsageError("mlflow writes no file: leave --output out and set MLFLOW_TRACKING_URI.")
        typer.echo(export_mlflow(result, run, experiment=experiment))
        return
    if format_ is Format.TERMINAL:
        _terminal(result, output)
        return
    renderers: dict[Format, Callable[[], str | bytes]] = {
        Format.HTML: lambda: html(result, run, framework),
        Format.PDF: lambda: _pdf(result),
        Format.MARKDOWN: lambda: _markdown(result, max_bytes),
        Format.JUNIT: lambda: _junit(result, junit_inconclusive),
        Format.SARIF: lambda: _sarif(result, sarif_location),
        Format.JSON: lambda: _json(result),
        Format.MODEL_CARD: lambda: _model_card(result),
        Format.COMPLIANCE: lambda: _compliance(result, framework, output),
    }
    _deliver(renderers[format_](), output, run, _FILES.get(format_))


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Two or more run directories.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write an HTML page here.")] = None,
) -> None:
    """Set runs side by side: candidate methods, or one model over time.

    Prints a table, or writes a page with -o FILE.html. Runs that answer different questions (claim, access, policy,
    forget set) are flagged. A comparison is no verdict: the exit code is 0 whatever the verdicts are.
    """
    from audit.certify.issue import check_bound
    from audit.record.result import read_result
    from audit.record.rundir import open_run, write_bytes
    from reports.comparison.compare import compare as compared
    from reports.comparison.compare import render_compare

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more: name another run directory.")
    opened = [open_run(path) for path in runs]
    records = [read_result(run.result) for run in opened]
    for run in opened:
        check_bound(run)
    comparison = compared(records)
    if output is None:
        from rich.console import Console

        from reports.comparison.terminal import print_comparison

        print_comparison(comparison, Console(highlight=False))
        return
    write_bytes(output, render_compare(comparison).encode("utf-8"))
    typer.echo(output)


def _deliver(content: str | bytes, output: Path | None, run: RunDir, name: str | None) -> None:
    """Write to the file that was named, into the run, or to standard output."""
    from audit.record.rundir import write_bytes

    target = output or (None if name is None else run.path / name)
    written = content.encode("utf-8") if isinstance(content, str) else content
    if target is None:
        typer.echo(written, nl=False)
        return
    write_bytes(target, written)
    typer.echo(target)


def html(result: AuditResult, run: RunDir, ids: str = "") -> str:
    """The HTML report of a run, with the clauses that its evidence bears on."""
    from audit.record.digest import sha256_file
    from reports.compliance import clauses
    from reports.formats.html import render_html

    return render_html(result, clauses=clauses(result, _chosen(ids)), run_sha256=sha256_file(run.result))


def _pdf(result: AuditResult) -> bytes:
    from reports.formats.pdf import render_pdf

    return render_pdf(result)


def _markdown(result: AuditResult, limit: int) -> str:
    from reports.formats.markdown import render_markdown

    return render_markdown(result, limit=limit)


def _junit(result: AuditResult, inconclusive: Inconclusive) -> str:
    from reports.formats.junit import render_junit

    return render_junit(result, inconclusive_skipped=inconclusive is Inconclusive.SKIPPED)


def _sarif(result: AuditResult, location: str) -> str:
    from reports.formats.sarif import render_sarif

    return render_sarif(result, location=location)


def _json(result: AuditResult) -> str:
    from audit.record.result import to_json

    return to_json(result)


def _model_card(result: AuditResult) -> str:
    from reports.formats.model_card import render_model_card

    return render_model_card(result)


def _compliance(result: AuditResult, ids: str, output: Path | None) -> str:
    from reports.formats.compliance import render_compliance_html, render_compliance_markdown

    chosen = _chosen(ids)
    markdown = output is not None and output.suffix.lower() in (".md", ".markdown")
    return (render_compliance_markdown if markdown else render_compliance_html)(result, chosen)


def _chosen(ids: str) -> tuple[Framework, ...]:
    from reports.frameworks import choose

    return choose(name.strip() for name in ids.split(",") if name.strip())


def _terminal(result: AuditResult, output: Path | None) -> None:
    from rich.console import Console

    from audit.record.rundir import replacing
    from reports.formats.terminal import render_terminal

    if output is None:
        render_terminal(result, Console(highlight=False))
        return
    from io import StringIO

    text = StringIO()
    render_terminal(result, Console(file=text, highlight=False, width=120))
    with replacing(output) as stream:
        stream.write(text.getvalue().encode("utf-8"))
    typer.echo(output)
