"""``audit compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.errors import UsageError


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Two or more run directories.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write an HTML page here.")] = None,
) -> None:
    """Set runs side by side: candidate methods, or one model over time.

    Prints a table, or writes a page with -o FILE.html. Runs that answer different questions (claim, access, policy,
    forget set) are flagged. A comparison is no verdict: the exit code is 0 whatever the verdicts are.
    """
    from audit.certify.issue import read_bound
    from audit.certify.issued import issued_of
    from audit.record.files import write_output
    from audit.record.rundir import open_run
    from reports.comparison.compare import compare as compared

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more: name another run directory.")
    records, dates = [], []
    for path in runs:
        opened = open_run(path)
        record, content = read_bound(opened)
        issued = issued_of(opened, content)
        records.append(record)
        dates.append("" if issued is None else issued.on)
    comparison = compared(records, dates)
    if output is None:
        from rich.console import Console

        from reports.comparison.terminal import print_comparison

        print_comparison(comparison, Console(highlight=False))
        return
    from reports.comparison.page import render_compare

    write_output(output, render_compare(comparison).encode("utf-8"))
    typer.echo(output)
