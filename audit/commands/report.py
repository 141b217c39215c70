"""``audit report``: render a finished run. What formats there are, `reports.render` knows; none needs torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.errors import UsageError
from reports.render import DEFAULTS, FORMATS, Inconclusive, Options, default_file, render_bytes

if TYPE_CHECKING:
    Format = str
else:  # the names come from a folder: the command line library takes them as an enum alone
    Format = StrEnum("Format", {name: name for name in FORMATS})


def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory (runs/<id>).")],
    format_: Annotated[Format, typer.Option("--format", "-f", help="What to render.")] = "html",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write. Default: pages go into the run, text to standard output."),
    ] = None,
    framework: Annotated[
        str, typer.Option(help="html, compliance: ids with commas between them, such as gdpr,eu-ai-act. Default: all.")
    ] = "",
    junit_inconclusive: Annotated[
        Inconclusive, typer.Option(help="junit: what INCONCLUSIVE becomes.")
    ] = DEFAULTS.junit_inconclusive,
    sarif_location: Annotated[
        str, typer.Option(help="sarif: file that results point to, relative to the repository.")
    ] = DEFAULTS.sarif_location,
    sarif_category: Annotated[
        str, typer.Option(help="sarif: what code scanning keeps apart. Default: the digest of the model.")
    ] = DEFAULTS.sarif_category,
    sarif_all: Annotated[
        bool, typer.Option("--sarif-all", help="sarif: also what speaks neither way or did not run.")
    ] = DEFAULTS.sarif_all,
    max_bytes: Annotated[
        int, typer.Option(min=10_000, help="markdown: cut the summary here. A comment takes 65536.")
    ] = DEFAULTS.max_bytes,
    experiment: Annotated[str, typer.Option(help="mlflow: name of the experiment.")] = DEFAULTS.experiment,
) -> None:
    """Render a finished run again, without touching a model.

    html, pdf and compliance are written into the run directory (compliance as Markdown with -o FILE.md); markdown,
    junit, sarif, json, model-card and terminal go to standard output, or to -o FILE. mlflow exports to the store that
    MLFLOW_TRACKING_URI names and prints the id. The exit code says whether it was rendered, not the verdict.
    """
    from audit.certify.issue import read_bound
    from audit.record.files import write_bytes, write_output
    from audit.record.rundir import open_run

    run = open_run(run_dir)
    result, run_json = read_bound(run)
    if format_ == "mlflow" and output is not None:
        raise UsageError("mlflow writes no file: leave --output out and set MLFLOW_TRACKING_URI.")
    if format_ == "terminal" and output is None:  # in the colours, width and encoding of this terminal
        from rich.console import Console

        from reports.formats.terminal import render_terminal

        render_terminal(result, Console(highlight=False))
        return
    options = Options(
        run=run,
        run_json=run_json,
        frameworks=tuple(name.strip() for name in framework.split(",") if name.strip()),
        markdown=output is not None and output.suffix.lower() in (".md", ".markdown"),
        junit_inconclusive=junit_inconclusive,
        sarif_location=sarif_location,
        sarif_category=sarif_category,
        sarif_all=sarif_all,
        max_bytes=max_bytes,
        experiment=experiment,
    )
    content = render_bytes(result, format_, options)
    name = default_file(format_)
    target = output or (None if name is None else run.path / name)
    if target is None:
        typer.echo(content, nl=False)
        return
    (write_bytes if output is None else write_output)(target, content, private=result.shows_rows)
    typer.echo(target)
