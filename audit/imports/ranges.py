"""Values that no signal of that name can have are refused as the logs are read, by the ranges that a run has."""

from __future__ import annotations

from attacks.tasks.scores import limits, limits_words
from audit.errors import brief
from audit.inputs.naming import shown

from .layout import Log


def out_of_range(log: Log) -> list[str]:
    """What is out of range, each with the set, the row and the field it was read from."""
    problems = []
    for role, rows in log.sets.items():
        for name, column in rows.signals.items():
            low, high = limits(name)
            wrong = [key for key, value in column.items() if value is not None and not low <= value <= high]
            if wrong:
                more = f" and {len(wrong) - 1} more rows" if len(wrong) > 1 else ""
                problems.append(
                    f"{role}, row {shown(wrong[0])}{more}: {name} is {brief(column[wrong[0]])}, not "
                    f"{limits_words(name)} ({rows.origin.get(name, name)}): evaluate such rows again"
                )
    return problems
