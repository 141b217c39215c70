"""``audit policy``: show a policy, check one of your own, compare two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from audit.errors import UsageError

from .ending import listing

if TYPE_CHECKING:
    from audit.policy.policy import Policy

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show, check and compare policies.")

Name = Annotated[
    str, typer.Argument(metavar="POLICY", help="screening, standard, strict (@1 to @4: that version), or a file.")
]
_TABLES = ("mandatory", "primary", "composites")


@app.command()
def show(policy: Name = "standard") -> None:
    """Print a policy: its thresholds, what it gates with which weight, and what a PASS needs, by claim and access."""
    from audit.policy.policy import load_policy
    from audit.policy.primaries import KINDS, LEVELS

    found, digest = load_policy(policy)
    typer.echo(f"{found.name}, version {found.version}, sha256 {digest}\n")
    values = Table("threshold", "value", box=None)
    for name, value in found.model_dump(mode="json").items():
        if name not in (*_TABLES, "name", "version"):
            values.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    out = listing(160)
    out.print(values)
    table = Table("claim", "access", "statistics that decide FAIL (weight)", "figures that a PASS needs", box=None)
    for kind in KINDS:
        for level in LEVELS:
            primaries = found.primaries(kind, level)
            weighted = ", ".join(f"{name} {weight:.3g}" for name, weight in primaries.items())
            figures = ", ".join(found.mandatory.get(kind, {}).get(level, ()))
            table.add_row(kind, level, weighted or "none: cannot FAIL by statistics", figures or "none: cannot PASS")
    out.print()
    out.print(table)
    for name, members in found.composites.items():
        typer.echo(f"{name}.composite: the average of {', '.join(members)}")


@app.command()
def check(
    policy: Name,
    against: Annotated[str, typer.Option(help="The policy that it must be at least as strict as.")] = "standard",
) -> None:
    """Say whether a policy file is in order, and whether a PASS under it would count under another one."""
    from attacks.base import GRANTS, discover
    from audit.policy.policy import load_policy
    from audit.policy.primaries import KINDS, LEVELS

    found, digest = load_policy(policy)
    known, problems = discover(), []
    for kind in KINDS:
        for level in LEVELS:
            for name in sorted(found.attacks(kind, level)):
                if name not in known:
                    problems.append(f"primary.{kind}.{level}: no attack {name!r} is installed")
                elif known[name].access > GRANTS[level]:
                    needed = known[name].access.name.lower()
                    problems.append(f"primary.{kind}.{level}: {name} needs {needed} access")
    if problems:
        raise UsageError(f"policy {policy!r}:\n  " + "\n  ".join(problems) + "\nCorrect the file.")
    typer.echo(f"{found.name}, version {found.version}, sha256 {digest}: in order")
    _strictness(found, load_policy(against)[0])


@app.command()
def diff(first: Name, second: Name) -> None:
    """Print what differs between two policies, and whether the first is at least as strict as the second."""
    from audit.policy.policy import load_policy

    mine, theirs = load_policy(first)[0], load_policy(second)[0]
    values = [_flat(policy.model_dump(mode="json") | _gated(policy)) for policy in (mine, theirs)]
    table = Table("value", first, second, box=None)
    for name in dict.fromkeys([*values[0], *values[1]]):
        cells = [str(side.get(name, "")) for side in values]
        if cells[0] != cells[1]:
            table.add_row(name, *cells)
    if table.row_count:
        listing(160).print(table)
    else:
        typer.echo("no difference")
    _strictness(mine, theirs)


def _strictness(policy: Policy, wanted: Policy) -> None:
    """Would a PASS under the first count where the second is asked for? By kind of claim, at each access."""
    from audit.certify.strictness import weaker
    from audit.policy.policy import COVERED
    from audit.policy.primaries import KINDS

    values, mine, theirs = policy.model_dump(mode="json"), _named(policy), _named(wanted)
    for kind in KINDS:
        gaps: dict[str, list[str]] = {}
        for access, levels in COVERED.items():
            gaps.setdefault(weaker(values, wanted, kind, levels), []).append(access)
        for gap, accesses in gaps.items():
            said = f"weaker than {theirs}: {gap}" if gap else f"at least as strict as {theirs}"
            at = "" if len(gaps) == 1 else f" at {', '.join(accesses)} access"
            typer.echo(f"{kind} claims{at}: {mine}, is {said}")


def _named(policy: Policy) -> str:
    """A policy and its version: those of one name differ by it."""
    return f"{policy.name}, version {policy.version}"


def _gated(policy: Policy) -> dict[str, Any]:
    """What it gates, where it lists that itself or not."""
    from audit.policy.primaries import KINDS, LEVELS

    return {"primary": {kind: {level: policy.primaries(kind, level) for level in LEVELS} for kind in KINDS}}


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested tables as ``a.b.c`` -> value."""
    if not isinstance(values, dict):
        return {name: values}
    return {k: v for key, part in values.items() for k, v in _flat(part, f"{name}.{key}" if name else key).items()}
