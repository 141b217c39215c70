"""``audit score``: judge a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .ending import RunArgument, SignKey, finish, human


def score(
    run_dir: RunArgument,
    policy: Annotated[str, typer.Option(help="screening, standard, strict, or a policy file.")],
    sign_key: SignKey = None,
    ledger: Annotated[Path | None, typer.Option(help="The run's ledger, where it was moved.")] = None,
    project: Annotated[
        Path | None, typer.Option(help="Folder whose .audit/ holds the project key, where it was moved.")
    ] = None,
) -> None:
    """Judge a finished run again under another policy, without touching a model.

    Another policy is another look: it is counted where the run declares a ledger. The earlier record, report and
    certificate are kept in the run, in earlier/. The evidence is authenticated under the project key, which lies in
    .audit/ beside the forget set. Signed only with --sign-key, whatever the run was configured with.
    """
    from audit.certify.kept import find_key
    from audit.record.rundir import open_run
    from audit.run import score_run

    run = open_run(run_dir)
    console = human()
    before = set(run.earlier.glob("*"))
    finished = score_run(run, policy, sign_key, ledger, project)
    console.print(f"evidence authenticated under the project key of {find_key(run, project)[1]}", soft_wrap=True)
    for kept in set(run.earlier.glob("*")) - before:
        console.print(f"earlier record, report and certificate: {kept}", soft_wrap=True)
    finish(console, finished)
