"""The command line: every command by name. Each parses, calls one function and ends with an exit code.

Torch and the renderers are imported where they are needed: ``audit --help``, ``verify`` and ``report`` never import
torch.
"""

from __future__ import annotations

from typing import Annotated

import typer

from audit.record.version import VERSION

from . import certificate, policy, references, upkeep
from .compare import compare
from .demo import demo
from .grouped import GroupedCommand
from .imports import ImportCommand, import_command
from .look import init, inspect
from .new import new
from .report import report
from .requests import requests
from .run import run
from .score import score

app = typer.Typer(
    name="audit",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Audit a model that is said to have unlearned data: attack it as an adversary would, and issue a verdict "
    "with a known error rate.\n\nExit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 could not run, 130 "
    "interrupted.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"unlearn-audit {VERSION}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Audit machine unlearning."""


app.command(cls=GroupedCommand)(run)
for command in (
    init,
    inspect,
    upkeep.attacks,
    score,
    report,
    compare,
    requests,
    upkeep.schema,
    certificate.keygen,
    certificate.verify,
    certificate.gate,
    upkeep.ledger,
    new,
    upkeep.selftest,
    upkeep.purge,
    demo,
):
    app.command()(command)
app.command("import", cls=ImportCommand)(import_command)
app.add_typer(references.app, name="references")
app.add_typer(policy.app, name="policy")
app.add_typer(certificate.commit, name="commit")
