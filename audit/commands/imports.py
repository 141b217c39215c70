"""``audit import``: evaluation logs of other tools become scores files that can be audited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from audit.errors import UsageError


class ImportCommand(typer.core.TyperCommand):
    """A command whose help shows examples and the layouts."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Examples and layouts, then the options."""
        from audit.imports.importing import LAYOUTS

        with formatter.section("Examples"):
            for line in EXAMPLES:
                formatter.write_text(line)
        with formatter.section("Layouts"):
            formatter.write_dl(
                [(name, f"{kind.words}. NAME: {kind.meaning}{_defaults(kind.sets)}") for name, kind in LAYOUTS.items()]
            )
        super().format_options(ctx, formatter)


EXAMPLES = (
    "audit import open-unlearning --original saves/full --unlearned saves/npo --retrained saves/retain90 --out case",
    "audit import tofu --original full --unlearned npo --retrained retain90 --group-size 20 --out case",
    "audit import hf --original full/ --unlearned npo/ --retrained r0/ --group-key author --out case",
    "audit import lm-eval --unlearned npo --retrained r0 --set forget=wmdp_bio --set retain=mmlu --set holdout=held",
    "audit import privacy-meter --unlearned s.npy#1 --retrained s.npy#2 --set forget=f.npy --set retain=r.npy",
)


def _defaults(sets: Mapping[str, str]) -> str:
    named = {role: name for role, name in sets.items() if name}
    return f" (default: {', '.join(f'{role}={name}' for role, name in named.items())})" if named else ""


def import_command(
    layout: Annotated[str, typer.Argument(help="What wrote the logs; see Layouts.")],
    unlearned: Annotated[str, typer.Option(metavar="PATH", help="Log of the model to audit.")],
    original: Annotated[
        str | None, typer.Option(metavar="PATH", help="Of the model before unlearning. Without it there is no PASS.")
    ] = None,
    retrained: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Of an honest retrain; repeat. The null distribution.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SET=NAME", help="Which part of the logs a set is; repeat. SET= leaves it out."),
    ] = None,
    group_size: Annotated[
        int | None, typer.Option(min=1, help="So many rows in a row are of one author or document (TOFU: 20).")
    ] = None,
    group_key: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Field of a row's doc or metadata that names its author.")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON: {set: {id: author}}, ids as in the logs.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Of a model that saw neither forget nor held-out rows; calibrates losses."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where hf asks the models: auto, cpu, cuda, cuda:0, ... Default: cpu.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; it must not exist, or be empty.")] = Path(
        "case"
    ),
) -> None:
    """Turn evaluation logs of other tools into scores files, and print the command that audits them.

    Language models (hf) and log-probabilities of tokens (tokens) are read in the same way: texts in, scores out.

    Rows are joined by id. A row that is null or missing in one model is dropped in all, counted by model and said in
    the record; where the log of the unlearned model alone lacks a signal it is refused, where it lacks many rows there
    is no PASS. Signals that tell members by low values there and high values here are turned, and that is said. Nothing
    is unpickled or run. The folder is readable by you alone; ids, authors and texts stand in its private/ only, and the
    digests of all logs in import.json.
    """
    from audit.imports.importing import Order, import_logs, models_of

    from .ending import human

    order = Order(
        layout,
        models_of(original, unlearned, retrained or []),
        _pairs(sets or []),
        group_size,
        group_key,
        groups,
        reference,
        device,
    )
    found, said = import_logs(order, out)
    console = human()
    for role, ids in found.ids.items():
        by = f", {len(set(found.groups[role]))} groups" if all(found.groups[role]) else ""
        console.print(f"{role}: {len(ids)} rows{by}", soft_wrap=True)
    for key, origin in found.origin.items():
        way = found.signals[key.partition(".")[2]]
        console.print(f"{key} ({way} = more like a member): {origin}", soft_wrap=True)
    for line in said:
        console.print(line, soft_wrap=True)
    console.print("audit it with:", soft_wrap=True)
    typer.echo(f"audit run --config {out / 'audit.toml'}")


def _pairs(given: list[str]) -> dict[str, str]:
    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise UsageError(f"--set {wrong[0]}: write SET=NAME, as in --set forget=forget10.")
    return {role: name for role, _, name in (text.partition("=") for text in given)}
