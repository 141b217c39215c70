"""Logs of several models joined by id: a row counts only where every model has every signal of it.

So nothing can be chosen by leaving rows out of one model: what one of them lacks is dropped in all, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from attacks.tasks.scores import VOCABULARY
from audit.errors import InputError
from audit.inputs.naming import shown

from .layout import Log, Rows

REQUIRED = ("forget", "retain")
NEVER_SEEN = ("holdout", "test")
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
    """

    ids: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def join(logs: Mapping[str, Log]) -> tuple[Joined, list[str]]:
    """The rows that all models have, of the signals that all sets of all models have.

    Args:
        logs: by model name.

    Returns:
        what can be audited, and what was left out, one line each.

    Raises:
        InputError: sets are missing, nothing is common, or more than ``MOST_LOST`` of a set falls out.
    """
    said = list(dict.fromkeys(line for log in logs.values() for line in log.said))
    sets = _sets(logs, said)
    names = _signals(logs, sets, said)
    own = {name: way for log in logs.values() for name, way in log.own.items()}
    found = Joined()
    found.signals = {name: own[name] if name in own else VOCABULARY[name].direction for name in names}
    problems: list[str] = []
    for role in sets:
        _join_set(role, {model: log.sets[role] for model, log in logs.items()}, names, found, problems)
    if problems:
        raise InputError(problems)
    return found, said


def _sets(logs: Mapping[str, Log], said: list[str]) -> list[str]:
    """Sets that every model has rows of."""
    every: Counter[str] = Counter(role for log in logs.values() for role, rows in log.sets.items() if rows.signals)
    found = [role for role in dict.fromkeys(r for log in logs.values() for r in log.sets) if every[role] == len(logs)]
    partly = sorted(role for role, count in every.items() if count < len(logs))
    if partly:
        lacking = [model for model, log in logs.items() if not all(role in log.sets for role in partly)]
        said.append(f"{', '.join(partly)}: not in the logs of {', '.join(lacking)}, left out")
    problems = [f"no model's log has a {role} set, or not all have: say which name it has, --set {role}=NAME"
                for role in REQUIRED if role not in found]  # fmt: skip
    if not set(NEVER_SEEN) & set(found):
        problems.append("the logs have no rows that no model saw: name them with --set holdout=NAME (best: from the "
                        "same source as the forget set) or --set test=NAME")  # fmt: skip
    if problems:
        raise InputError(problems)
    return found


def _signals(logs: Mapping[str, Log], sets: Iterable[str], said: list[str]) -> list[str]:
    """Signals of every set of every model, from one field of the log in all."""
    parts = {(model, role): log.sets[role] for model, log in logs.items() for role in sets}
    every = Counter(name for rows in parts.values() for name in rows.signals)
    kept = [name for name, count in every.items() if count == len(parts)]
    for name in [name for name in every if name not in kept]:
        where = sorted({role for (_, role), rows in parts.items() if name not in rows.signals})
        said.append(f"{name} is left out: not every log has it for {', '.join(where)}")
    for name in list(kept):
        differing = next((role for role in sets if len({parts[m, role].origin.get(name) for m in logs}) > 1), None)
        if differing:
            kept.remove(name)
            said.append(f"{name} is left out: the logs give it for {differing} in different fields")
    if not kept:
        have = "; ".join(
            f"{role}: {', '.join(sorted(set.union(*(set(parts[m, role].signals) for m in logs))))}" for role in sets
        )
        raise InputError(
            [f"no signal is there for every set of every model ({have}): leave a set out with --set NAME="]
        )
    return [name for name in VOCABULARY if name in kept] + [name for name in kept if name not in VOCABULARY]


def _join_set(role: str, models: Mapping[str, Rows], names: list[str], found: Joined, problems: list[str]) -> None:
    first = next(iter(models.values()))
    columns = {(model, name): rows.signals[name] for model, rows in models.items() for name in names}
    everything = dict.fromkeys(key for column in columns.values() for key in column)
    known = [key for key in everything if all(key in column for column in columns.values())]
    kept = [key for key in known if all(column[key] is not None for column in columns.values())]
    counts = {"rows": len(kept), "null": len(known) - len(kept), "missing": len(everything) - len(known)}
    found.counts[role] = counts
    lost = 1 - len(kept) / max(1, len(everything))
    if not kept or lost > MOST_LOST:
        problems.append(
            f"{role}: of {len(everything)} rows {counts['missing']} are missing, {counts['null']} null in some model "
            f"({_worst(models, names, everything)}), more than {MOST_LOST:.0%}: evaluate all models on the same rows"
        )
        return
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


def _worst(models: Mapping[str, Rows], names: list[str], everything: Mapping[str, None]) -> str:
    """The model that lacks most rows."""
    lacking = {
        m: sum(any(rows.signals[n].get(key) is None for n in names) for key in everything) for m, rows in models.items()
    }
    model = max(lacking, key=lambda name: lacking[name])
    return f"most of them, {lacking[model]}, in {model}"
