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
) -> None:
    """Judge a finished run again under another policy, without touching a model.

    Another policy is another look: it is counted where the run declares a ledger. The earlier record, report and
    certificate are kept in the run, in earlier/.
    """
    from audit.certify.issue import signer_of
    from audit.record.rundir import open_run
    from audit.run import score_run

    run = open_run(run_dir)
    signer = signer_of(run, sign_key)
    console = human()
    before = set(run.earlier.glob("*"))
    finished = score_run(run, policy, signer, ledger)
    for kept in set(run.earlier.glob("*")) - before:
        console.print(f"earlier record, report and certificate: {kept}", markup=False, soft_wrap=True)
    if signer.sign_key is not None:
        whose = "the run's own key" if sign_key is None else "the given key"
        console.print(f"signing the new certificate with {whose}: {signer.sign_key}", markup=False, soft_wrap=True)
    finish(console, finished)
