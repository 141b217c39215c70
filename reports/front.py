"""The first screen of the report: the answer, its size, the reason, the next step, and what was not tested."""

from __future__ import annotations

import re
from dataclasses import dataclass

from audit.record.attack_record import LEFT_OUT, NOTHING, AttackRecord
from audit.record.result import AuditResult

from .advice import Step, steps
from .checks import opening
from .effects import size
from .groups import Group, groups

#: the judge's own sentence on the remainder, which the size repeats with its interval
_REMAINDER = re.compile(r" The forget set is as visible as [^.]*\.(?=$|\s)")
_NAMED = 3


@dataclass(frozen=True)
class Front:
    """What stands on the first screen.

    Attributes:
        word: the verdict.
        size: how large the effect is, with its interval.
        why: the verdict's own sentence, without what the size says.
        next: what to do, the most useful first.
        untested: what the verdict does not extend to, in one line.
        groups: the groups of attacks that ran, the worst first.
    """

    word: str
    size: str
    why: str
    next: tuple[Step, ...]
    untested: str
    groups: tuple[Group, ...]


def front(result: AuditResult) -> Front:
    """The first screen of a run."""
    word, sentence = opening(result.verdict)
    measured = size(result)
    why = _REMAINDER.sub("", sentence) if "as visible as" in measured.lower() else sentence
    return Front(word, measured, why, steps(result), untested(result), groups(result))


def untested(result: AuditResult) -> str:
    """Attacks that broke, could not run or were left out, and the first thing that no attack of this suite covers."""
    skipped = [a for a in result.attacks if a.status == "skipped"]
    idle = [a for a in skipped if a.reason.startswith(LEFT_OUT + NOTHING)]
    kinds = {
        "broke": [a for a in result.attacks if a.status == "error"],
        "could not run": [a for a in skipped if not a.reason.startswith(LEFT_OUT)],
        "were left out": [a for a in skipped if a.reason.startswith(LEFT_OUT) and a not in idle],
        "decide nothing about this claim and did not run": idle,
    }
    parts = [_count(found, len(result.attacks), what) for what, found in kinds.items() if found]
    parts += [result.not_tested[0].rstrip(".")] if result.not_tested else []
    return ". ".join(parts) or "Nothing was recorded; stronger attacks may exist"


def _count(attacks: list[AttackRecord], of: int, what: str) -> str:
    names = [attack.name.replace("_", " ") for attack in attacks]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} of {of} attacks {what} ({', '.join(names[:_NAMED])}{more})"
