"""The help of `audit run`: examples first, then its options in groups."""

from __future__ import annotations

from typing import Any

import typer.core

EXAMPLES = (
    ("audit run --forget forget.npz --arch nets:make --dry-run", "the plan, its cost, the smallest leak it could see"),
    ("audit run --forget forget.npz --arch nets:make", "the audit; the same command continues an interrupted one"),
    ("audit run --forget forget.npz --arch nets:make --train-references 8", "without retrains of your own"),
    ("audit run --config audit.toml --sign-key audit.key", "all from a file, with a signed certificate"),
)
#: the options by what they are about; one that is not named here stands under the last heading
GROUPS: dict[str, tuple[str, ...]] = {
    "Data": ("forget", "retain", "holdout", "test", "auxiliary", "concepts"),
    "Models": (
        "task",
        "original",
        "unlearned",
        "retrained",
        "provenance",
        "runs",
        "arch",
        "head",
        "layers",
        "trust_pickle",
    ),
    "Claim and policy": ("claim", "split", "access", "release", "strata", "ledger", "policy"),
    "Training": (*("train_references", "train_shadows", "train_pipelines", "max_minutes", "max_references", "store"),),
    "Budget": ("attacks", "skip", "effort", "timeout", "executor", "workers", "device", "batch_size", "seed"),
    "Output and others": (),
}


class GroupedCommand(typer.core.TyperCommand):
    """A command whose help shows `EXAMPLES` first, and its options by `GROUPS`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Examples, then the options by group."""
        with formatter.section("Examples"):
            for command, what in EXAMPLES:
                formatter.write_text(command)
                formatter.write_text(f"    {what}")
        group_of = {name: title for title, names in GROUPS.items() for name in names}
        records: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None:
                records[group_of.get(option.name or "", list(GROUPS)[-1])].append(record)
        for title, lines in records.items():
            with formatter.section(title):
                formatter.write_dl(lines)
