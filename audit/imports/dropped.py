"""Rows that some model's log lacks: counted by model; many that the audited model's log alone lacks block a PASS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .common import MOST_NAMED, UNLEARNED
from .layout import Rows

#: our choice: share of a set's rows that the log of the unlearned model alone may lack. An evaluation that fails on a
#: row now and then stays below it; leaking rows that are taken out on purpose are more, or too few to hide a trace
MOST_ALONE = 0.01


def lacking(models: Mapping[str, Rows], names: Iterable[str], keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Which ids each model lacks, and how: ``null``, or ``missing`` where its log does not have the row at all."""
    found: dict[str, dict[str, str]] = {}
    every = list(keys)
    for model, rows in models.items():
        columns = [rows.signals[name] for name in names]
        found[model] = {
            key: "missing" if any(key not in column for column in columns) else "null"
            for key in every
            if any(column.get(key) is None for column in columns)
        }
    return found


def counted(lack: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Rows that each model lacks, by how; models that lack none do not stand there."""
    ways = ("null", "missing")
    return {model: {way: list(keys.values()).count(way) for way in ways} for model, keys in lack.items() if keys}


def sentence(role: str, lost: int, total: int, counts: Mapping[str, Mapping[str, int]]) -> str:
    """What was left out of a set, by model, most first; no row is named."""
    order = sorted(counts, key=lambda model: -sum(counts[model].values()))
    parts = [
        f"{count} {way} in {model}" for model in order[:MOST_NAMED] for way, count in counts[model].items() if count
    ]
    parts += [f"some in {len(order) - MOST_NAMED} more models"] if len(order) > MOST_NAMED else []
    return f"{lost} of {total} {role} rows are left out in all models: {', '.join(parts)}"


def lacked_alone(role: str, total: int, lack: Mapping[str, Mapping[str, str]]) -> str:
    """How many rows the unlearned model's log alone lacks, where that blocks a PASS; "" = it does not.

    Where it is the only log there is nothing to compare it with: rows could be absent and nobody would see it.
    """
    others = {key for model, keys in lack.items() if model != UNLEARNED for key in keys}
    alone = len(set(lack.get(UNLEARNED, ())) - others)
    if len(lack) < 2 or alone <= MOST_ALONE * total:
        return ""
    return f"{alone} of {total} {role} rows"
