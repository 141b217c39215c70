"""``audit requests``: each deletion request, every model it concerns, and what an audit says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from .ending import listing

if TYPE_CHECKING:
    from audit.certify.requests import Line


def requests(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="FORGET...", help="Forget sets with a `request` a row, or folders of forget* files."),
    ],
    runs: Annotated[list[Path] | None, typer.Option(help="Folder of run directories; repeat. [default: runs]")] = None,
    model: Annotated[list[Path] | None, typer.Option(exists=True, help="A model that they concern; repeat.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the table here, as CSV.")] = None,
) -> None:
    """List each deletion request, every model it concerns, and the verdict or "not audited".

    A run counts for a forget set only where its certificate commits to exactly this data: private/commitment.key of
    the run opens it. After `audit purge` nothing can. Certificates are quoted, not verified: see `audit verify`. The
    exit code is 0 whatever the verdicts are.
    """
    from audit.certify.requests import audits, forget_files, lines_of, table
    from audit.record.digest import sha256_path
    from audit.record.files import write_output

    found, closed = audits(runs or [Path("runs")])
    named = [(path.name, sha256_path(path)) for path in model or ()]
    lines = [line for path in forget_files(data) for line in lines_of(path, found, named)]
    if output is not None:
        write_output(output, table(lines).encode("utf-8"))
        typer.echo(output)
    else:
        _print(lines)
    for path in closed:
        typer.echo(f"{path}: the key of its commitment is gone, so that it counts for no request", err=True)


def _print(lines: Sequence[Line]) -> None:
    from audit.certify.requests import Line
    from audit.inputs.naming import shown

    grid = Table(box=None, pad_edge=False)
    for field in fields(Line):
        grid.add_column(field.name, overflow="fold")
    for line in lines:
        grid.add_row(*(shown(str(value)) for value in astuple(line)))
    listing(160).print(grid)
