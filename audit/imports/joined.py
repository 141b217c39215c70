"""Logs of several models joined by id: a row counts only where every model has every signal of it.

What one of them lacks is dropped in all, counted by model and said in the record. The audited model's log does not
choose what is judged: a signal that it alone lacks is refused, many rows block a PASS (`common`, `dropped`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from attacks.tasks.scores import LACKED_WORDS, VOCABULARY
from audit.errors import InputError
from audit.inputs.naming import shown

from .common import common_sets, common_signals, named
from .dropped import counted, lacked_alone, lacking, sentence
from .layout import Log, Rows

MOST_LOST = 0.2  # our choice: share of a set's rows that may be dropped; what is left of it else says little


@dataclass
class Joined:
    """What can be audited.

    Attributes:
        ids: of each set, in the order of the first model's log.
        values: by model and key ``<set>.<signal>``, a number for each id.
        groups: of each set, one a row; "" where the logs know none.
        texts: of each set, one a row.
        signals: directions of signals by name, those of the vocabulary first.
        origin: of each key, what it was read from, in words.
        counts: of each set, rows kept and dropped, by reason.
        dropped: of each set, rows that each model lacks, by reason; a row can count for several models.
        left_out: sets, signals and rows that are not of all models, a sentence each; no row is named.
        lacked: rows that the unlearned model's log alone lacks, so many that they block a PASS, by set.
    """

    ids: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    lacked: list[str] = field(default_factory=list)


def join(logs: Mapping[str, Log]) -> tuple[Joined, list[str]]:
    """The rows that all models have, of the signals that all sets of all models have.

    Args:
        logs: by model name.

    Returns:
        what can be audited, and what was left out, one line each.

    Raises:
        InputError: sets are missing, nothing is common, more than ``MOST_LOST`` of a set falls out, or the log of the
            unlearned model alone lacks what others have.
    """
    found = Joined()
    sets = common_sets(logs, found.left_out)
    names = common_signals(logs, sets, found.left_out)
    own = {name: way for log in logs.values() for name, way in log.own.items()}
    found.signals = {name: own[name] if name in own else VOCABULARY[name].direction for name in names}
    problems: list[str] = []
    for role in sets:
        _join_set(role, {model: log.sets[role] for model, log in logs.items()}, names, found, problems)
    if problems:
        raise InputError(problems)
    alone = [f"{LACKED_WORDS}{', '.join(found.lacked)}: no PASS; evaluate the unlearned model on all rows"]
    return found, [*_said(logs), *found.left_out, *(alone if found.lacked else [])]


def _said(logs: Mapping[str, Log]) -> list[str]:
    """What was noticed as the logs were read; of some models alone with their names."""
    by_line: dict[str, list[str]] = {}
    for model, log in logs.items():
        for line in dict.fromkeys(log.said):
            by_line.setdefault(line, []).append(model)
    return [line if len(models) == len(logs) else f"{named(models)}: {line}" for line, models in by_line.items()]


def _join_set(role: str, models: Mapping[str, Rows], names: list[str], found: Joined, problems: list[str]) -> None:
    first = next(iter(models.values()))
    columns = {(model, name): rows.signals[name] for model, rows in models.items() for name in names}
    everything = dict.fromkeys(key for column in columns.values() for key in column)
    known = [key for key in everything if all(key in column for column in columns.values())]
    kept = [key for key in known if all(column[key] is not None for column in columns.values())]
    counts = {"rows": len(kept), "null": len(known) - len(kept), "missing": len(everything) - len(known)}
    found.counts[role] = counts
    lost = len(everything) - len(kept)
    lack = lacking(models, names, everything)
    if not kept or lost > MOST_LOST * len(everything):
        worst = max(lack, key=lambda model: len(lack[model]))
        problems.append(
            f"{role}: of {len(everything)} rows {counts['missing']} are missing, {counts['null']} null in some model "
            f"(most of them, {len(lack[worst])}, in {worst}), more than {MOST_LOST:.0%}: evaluate all models on the "
            "same rows"
        )
        return
    if alone := lacked_alone(role, len(everything), lack):
        found.lacked.append(alone)
    if lost:
        found.dropped[role] = counted(lack)
        found.left_out.append(sentence(role, lost, len(everything), found.dropped[role]))
    differing = [key for key in kept if len({rows.checks.get(key, "") for rows in models.values()}) > 1]
    if differing:
        problems.append(f"{role}, row {shown(differing[0])} and {len(differing) - 1} more are other documents, or "
                        "asked otherwise, in other models' logs: evaluate all models on the same data")  # fmt: skip
    found.ids[role] = kept
    found.texts[role] = [first.texts.get(key, "") for key in kept]
    found.groups[role] = [first.groups.get(key, "") for key in kept]
    for name in names:
        found.origin[f"{role}.{name}"] = first.origin.get(name, "")
    for (model, name), column in columns.items():
        found.values.setdefault(model, {})[f"{role}.{name}"] = [float(column[key] or 0.0) for key in kept]
