"""What a table counts: one cell, and the pool of fresh worlds that it is read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .audits import Audit
from .worlds import Setting

Bound = Literal["at most", "at least", "p-value", "shown"]
ALPHA = 0.05


@dataclass(frozen=True)
class Cell:
    """One measured rate.

    Attributes:
        table: the table it belongs to.
        name: what it is, in words.
        audit: the audit that is counted, one in each world.
        event: what is counted: a verdict, ``<family> rejects``, ``<family> admitted`` or ``<figure> PASS``; for
            ``p-value`` cells the family whose p-values must not be too small.
        nominal: the rate that the bar belongs to.
        bound: whether the count must stay at most at the bar, at least at it, or is only shown.
    """

    table: str
    name: str
    audit: Audit
    event: str = "FAIL"
    nominal: float = ALPHA
    bound: Bound = "at most"


@dataclass(frozen=True)
class Pool:
    """Fresh worlds of one setting; each world serves one audit of every cell.

    Attributes:
        name: names it and seeds its worlds.
        words: the same for people.
        setting: what kind of worlds.
        worlds: how many; ``short`` in the short form (0 = left out).
        cells: what is read off them.
        shadows: shadow models of each world.
    """

    name: str
    words: str
    setting: Setting
    cells: tuple[Cell, ...]
    worlds: int = 200
    short: int = 0
    shadows: int = 0

    def audits(self) -> dict[str, Audit]:
        """Every audit once, by its key."""
        return {cell.audit.key: cell.audit for cell in self.cells}

    def attacks(self) -> list[str]:
        """Attacks that some audit needs."""
        return sorted({name for audit in self.audits().values() for name in audit.attacks})

    def models(self) -> list[str]:
        """Networks that some audit needs; the original always, as it costs one network and feeds the others."""
        audits = self.audits().values()
        needed = dict.fromkeys(["original", *(audit.model for audit in audits)])
        if any(audit.change.startswith("share") for audit in audits):
            needed |= dict.fromkeys(["original/2", "honest/2"])
        references = max(audit.references for audit in audits)
        return [
            *needed,
            *(f"retrained/{k}" for k in range(references)),
            *(f"shadow/{k}" for k in range(self.shadows)),
        ]
