"""How a command that judged ends: the verdict for people, one line of JSON for machines, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from audit.errors import ExitCode

from . import channel

if TYPE_CHECKING:
    from audit.run import Finished

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory (runs/<id>).")]
SignKey = Annotated[Path | None, typer.Option(help="Ed25519 private key that signs the certificate.")]
Timeout = Annotated[
    float | None,
    typer.Option(min=0.001, envvar="AUDIT_TIMEOUT", help="Seconds that one call of your code may take: else exit 4."),
]
VERDICT_EXIT = {"PASS": ExitCode.PASS, "FAIL": ExitCode.FAIL, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}


def human() -> Console:
    """Human output goes to standard error; standard output is for machines."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def listing(columns: int | None = None) -> Console:
    """Lists and plans on standard output. On both, text is text: neither ``[recipe]`` nor ``:key:`` is markup.

    Args:
        columns: width where no terminal has one; without it lines are as long as they are.
    """
    width = None if sys.stdout.isatty() else columns
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=columns is None, width=width)


def told(console: Console) -> Callable[[str], None]:
    """What `resolve` found, for people: a line each."""
    return lambda line: console.print(line, soft_wrap=True)


def finish(console: Console, finished: Finished) -> None:
    """Print the verdict and where its evidence is, and exit with its code."""
    from reports.formats.terminal import render_answer, render_terminal

    from .proof import digests_of, line_of

    result, run, certificate = finished.result, finished.run, finished.certificate
    render_terminal(result, console)
    if run.errors.is_file():
        console.print(f"errors of attacks and of your code, in full: {run.errors}", soft_wrap=True)
    console.print(f"report: {run.report}", soft_wrap=True)
    note = "" if certificate == run.certificate else " (unsigned: make a key with `audit keygen` and pass --sign-key)"
    console.print(f"certificate: {certificate}{note}", soft_wrap=True)
    render_answer(result, console)
    code = int(VERDICT_EXIT[result.verdict.outcome.value])
    line = line_of(finished, code)
    if channel.current is None:
        typer.echo(json.dumps(line, sort_keys=True))
    else:  # the process that watches this one says it, once it has seen the record
        channel.current.record(line, digests_of(run, certificate))
    raise typer.Exit(code)
