"""Sets and signals that all logs have, and what that leaves out.

The log of the audited model must not choose what is judged: what it alone lacks is refused. What another model lacks is
left out in all, named by model, and said in the record; where it would have decided, that is said as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attacks.tasks.scores import VOCABULARY
from audit.errors import InputError

from .layout import Log, Rows

UNLEARNED = "unlearned"
REQUIRED = ("forget", "retain")
NEVER_SEEN = ("holdout", "test")
MOST_NAMED = 4  # models by name in one sentence
SAME = "evaluate the unlearned model with the same metrics as the others"


def common_sets(logs: Mapping[str, Log], left_out: list[str]) -> list[str]:
    """Sets that every model has values of.

    Args:
        logs: by model name.
        left_out: takes a sentence for each set that is not.

    Raises:
        InputError: the log of the unlearned model lacks one that others have, or a set that is needed is missing.
    """
    found, problems = [], []
    for role in dict.fromkeys(role for log in logs.values() for role in log.sets):
        lacking = [model for model, log in logs.items() if not log.sets.get(role, Rows()).signals]
        if not lacking:
            found.append(role)
        elif UNLEARNED in lacking and len(lacking) < len(logs):
            have = named([model for model in logs if model not in lacking])
            problems.append(f"{UNLEARNED}: its log has no values for the {role} set, and those of {have} have: {SAME}")
        elif len(lacking) < len(logs):
            left_out.append(f"the {role} set is left out: not in the log of {named(lacking)}")
    if problems:
        raise InputError(problems)
    problems += [f"no model's log has a {role} set, or not all have: say which name it has, --set {role}=NAME"
                 for role in REQUIRED if role not in found]  # fmt: skip
    if not set(NEVER_SEEN) & set(found):
        problems.append("the logs have no rows that no model saw: name them with --set holdout=NAME (best: from the "
                        "same source as the forget set) or --set test=NAME")  # fmt: skip
    if problems:
        raise InputError(problems)
    return found


def common_signals(logs: Mapping[str, Log], sets: Sequence[str], left_out: list[str]) -> list[str]:
    """Signals of every set of every model, from one field of the log in all; the leading one first.

    Args:
        logs: by model name.
        sets: what all of them have.
        left_out: takes a sentence for each signal that is not of all.

    Raises:
        InputError: the log of the unlearned model lacks one that others have, or none is left.
    """
    seen = dict.fromkeys(name for role in sets for log in logs.values() for name in log.sets[role].signals)
    order = [name for name in VOCABULARY if name in seen] + [name for name in seen if name not in VOCABULARY]
    why: dict[str, list[str]] = {}
    problems: list[str] = []
    for name in order:
        for role in sets:
            reason = _lack(name, role, {model: log.sets[role] for model, log in logs.items()}, problems)
            if reason:
                why.setdefault(name, []).append(reason)
    if problems:
        read = "; ".join(line for line in logs[UNLEARNED].said if "left out" in line)
        raise InputError([*problems, *([f"{UNLEARNED}: {read}"] if read else [])])
    kept = [name for name in order if name not in why]
    if not kept:
        have = "; ".join(
            f"{role}: {', '.join(sorted({n for log in logs.values() for n in log.sets[role].signals}))}"
            for role in sets
        )
        raise InputError(
            [f"no signal is there for every set of every model ({have}): leave a set out with --set NAME="]
        )
    for name, reasons in why.items():
        instead = f"; ATTENTION: {name} would have decided, now {kept[0]} does" if name == order[0] else ""
        left_out.append(f"{name} is left out: {', '.join(reasons)}{instead}")
    return kept


def _lack(name: str, role: str, rows: Mapping[str, Rows], problems: list[str]) -> str:
    """Why a signal of a set is not of all models; "" = it is. What the unlearned model lacks is a problem."""
    having = [model for model in rows if name in rows[model].signals]
    lacking = [model for model in rows if model not in having]
    if not having:
        return f"no log has it for {role}"
    if UNLEARNED in lacking:
        problems.append(f"{UNLEARNED}: its log has no {name} for the {role} set, and {named(having)} have it: {SAME}")
    if lacking:
        return f"not in the log of {named(lacking)} for {role}"
    fields = {model: rows[model].origin.get(name, "") for model in rows}
    if len(set(fields.values())) == 1:
        return ""
    own = fields.get(UNLEARNED)
    if own is not None and list(fields.values()).count(own) == 1:
        other = next(text for text in fields.values() if text != own)
        problems.append(
            f"{UNLEARNED}: {name} of the {role} set is from {own!r}, and from {other!r} in other logs: {SAME}"
        )
    odd = [model for model, text in fields.items() if text != own]
    return f"in different fields for {role}, as in the log of {named(odd)}"


def named(models: Sequence[str]) -> str:
    """Models in a sentence: the first ones, and how many more."""
    more = f" and {len(models) - MOST_NAMED} more" if len(models) > MOST_NAMED else ""
    return ", ".join(models[:MOST_NAMED]) + more
