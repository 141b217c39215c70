"""Commands around the audit: attacks, schema, ledger, selftest, purge."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from audit.errors import CouldNotRun, UsageError

from .ending import listing

if TYPE_CHECKING:
    from attacks.base import Attack
    from audit.policy.policy import Policy


def attacks(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One attack: what it does, needs, costs.")] = "",
) -> None:
    """List the attacks: the access that each needs, and where `standard` gates it."""
    from attacks.base import discover
    from audit.policy.policy import load_policy
    from audit.policy.primaries import KINDS

    policy = load_policy("standard")[0]
    if name:
        _describe(name, discover(), policy)
        return
    table = Table("attack", "access", "needs original", "gated for claims", "what it does", box=None)
    for listed, attack in discover().items():
        doc = (attack.__doc__ or "").strip().splitlines()[0]
        gated = policy.kinds(listed)
        claims = "all" if len(gated) == len(KINDS) else ", ".join(gated)
        original = "yes" if attack.needs_original else "no"
        table.add_row(listed, attack.access.name.lower(), original, claims or "on request", doc)
    listing(160).print(table)


def _describe(name: str, found: Mapping[str, type[Attack]], policy: Policy) -> None:
    """All that is known of one attack without a case."""
    from inspect import cleandoc

    from attacks.tasks import serving
    from reports.groups import GROUPS, group_of

    if name not in found:
        near = difflib.get_close_matches(name, found, 3)
        hint = f"do you mean {' or '.join(near)}?" if near else "`audit attacks` lists them."
        raise UsageError(f"no attack {name!r}: {hint}")
    attack = found[name]()
    asks = next((text for key, _, text, _ in GROUPS if key == group_of(name)), "")
    facts = {
        "group": f"{group_of(name)}: {asks}" if asks else group_of(name),
        "access": attack.access.name.lower(),
        "needs the original": "yes" if attack.needs_original else "no",
        "tasks": ", ".join(serving(attack.signal)),
        "gated for claims": ", ".join(policy.kinds(name)) or "none (supplementary)",
        "by default": "runs where it is gated" if policy.kinds(name) else f"left out: --attacks gated,{name}",
        "parameters": ", ".join(f"{key} = {value}" for key, value in attack.parameters.items()) or "none",
        "version": attack.version,
        "source": attack.source,
    }
    out = listing()
    out.print(f"{name}: {attack.title}\n")
    out.print(cleandoc(attack.__doc__ or ""))
    out.print()
    for key, fact in facts.items():
        out.print(f"{key:<20}{fact}")


def schema() -> None:
    """Print the JSON schema of run.json."""
    from audit.record.result import AuditResult

    typer.echo(json.dumps(AuditResult.model_json_schema(), indent=1, sort_keys=True))


def ledger(
    path: Annotated[Path, typer.Argument(metavar="LEDGER", help="The file named by --ledger.")],
) -> None:
    """Show the looks of a re-audit ledger and check its chain."""
    from audit.certify.ledger import read_ledger

    if not path.exists():
        raise UsageError(f"no ledger at {path}: `audit run --ledger {path}` begins one.")
    entries = read_ledger(path).entries
    if not entries:
        typer.echo(f"{path} holds no look. A ledger that held some before was cut: restore it from a copy.")
        return
    table = Table("forget set", "look", "may spend", "time", "run", "policy", "model", box=None)
    for entry in entries:
        cells = (entry.forget[:8], str(entry.look), f"alpha x {entry.share:.4g}", entry.time, entry.run_id)
        table.add_row(*cells, entry.policy, entry.unlearned[:12])
    listing(160).print(table)
    typer.echo(
        f"{len(entries)} looks, chain of digests unbroken; last entry {entries[-1].digest}\n"
        "The chain cannot show looks that were cut off at its end, nor a file that was written anew: compare with the "
        "ledger_head in the certificates."
    )


def selftest(
    seed: Annotated[int, typer.Option(help="Seed of the toy models.")] = 0,
) -> None:
    """Prove in under a minute that this installation fails a leaking model and not an honest one."""
    from audit.selftest import run_selftest

    checks = run_selftest(seed)
    table = Table("check", "result", "measured", box=None)
    for check in checks:
        table.add_row(check.name, "ok" if check.ok else "FAILED", check.measured)
    listing(160).print(table)
    failed = [check.name for check in checks if not check.ok]
    if failed:
        raise CouldNotRun(f"this installation does not work as it should ({', '.join(failed)}): do not trust it.")
    typer.echo(f"{len(checks)} checks hold")


def purge(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory (runs/<id>).")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Close a case: destroy what the forget set left behind, and the key of its commitments."""
    from audit.record.rundir import open_run
    from audit.training.shadow_list import destroy_shadows, read_shadows

    run_ = open_run(run_dir)
    if not any(path.exists() for path in (run_.config, run_.events, run_.result)):
        raise UsageError(f"{run_dir} holds no run: nothing was purged. Name a run directory (runs/<id>).")
    if not yes and not _confirmed(f"destroy {run_.private} for good?"):
        raise UsageError("not confirmed, nothing was destroyed: answer y or pass --yes.")
    listed = read_shadows(run_)
    try:
        shadows = destroy_shadows(listed)
    finally:  # whatever the list of shadow models is like
        destroyed = run_.purge()
    if not destroyed:
        typer.echo(f"{run_.path}: nothing to purge")
        return
    run_.log("purged")
    typer.echo(
        f"{run_.path}: private part and commitment key destroyed. Report and certificate stay valid; `audit score` can "
        "no longer judge this run, and nobody can test a guess of the forget set against the certificate."
    )
    if shadows:
        typer.echo(f"{shadows} shadow models, trained on forget rows, removed from the store")


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # no terminal to answer on
        return False
