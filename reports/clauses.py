"""Evidence by clause: which part of a run bears on which clause, how strongly, and what is missing.

What bears on a clause is named in ``frameworks/*.toml``; how it is judged stands in `reports.clause_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from audit.record.result import AuditResult

from .clause_rules import RULES, Level
from .frameworks import ClauseEntry, Framework, frameworks


@dataclass(frozen=True)
class Clause:
    """One clause with the evidence of a run; ``ids`` are the findings behind it, for the margin."""

    framework: str
    clause: str
    title: str
    asks: str
    evidence: str
    ids: str
    level: Level
    strength: str
    missing: str
    actor: str
    certainty: str
    source: str
    checked_on: str
    caveat: str


def clauses(result: AuditResult, chosen: Sequence[Framework] = ()) -> tuple[Clause, ...]:
    """The clauses of frameworks with the evidence that a run gives.

    Args:
        result: the run record.
        chosen: the frameworks, from ``frameworks.choose``; all where none is given.
    """
    return tuple(
        _clause(result, framework, entry)
        for framework in (chosen or tuple(frameworks().values()))
        for entry in framework.clauses
    )


def by_framework(found: Sequence[Clause]) -> tuple[tuple[Framework, tuple[Clause, ...]], ...]:
    """Clauses in the order given, with the framework of each group."""
    known = frameworks()
    return tuple((known[name], tuple(members)) for name, members in groupby(found, key=lambda c: c.framework))


def _clause(result: AuditResult, framework: Framework, entry: ClauseEntry) -> Clause:
    said, level, strength = RULES[entry.evidence](result)
    evidence, _, ids = said.partition("\n")
    return Clause(
        framework=framework.id,
        clause=entry.clause,
        title=entry.title,
        asks=entry.asks,
        evidence=evidence,
        ids=ids,
        level=level,
        strength=strength,
        missing=entry.missing,
        actor=entry.actor,
        certainty=entry.certainty,
        source=entry.source or framework.source,
        checked_on="" if entry.checked_on is None else entry.checked_on.isoformat(),
        caveat=entry.caveat,
    )
