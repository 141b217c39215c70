"""Parts of ``run.json``: which look at the forget set this is, and what the audit trained."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .attack_record import Record


class LookRecord(Record):
    """Which look at this forget set this is, under a declared ledger (statistics.md 3.5)."""

    number: int = Field(ge=1)
    alpha: float = Field(description="what this look may spend: alpha / (l (l + 1))")
    ledger_head: str = Field(description="SHA-256 of the ledger's entry of this look")


class TaskRecord(Record):
    """What outputs mean, where they are no logits of classes (`attacks.tasks`)."""

    name: str
    signals: dict[str, str] = Field(
        default={}, description="of scores alone: 'lower' or 'higher' = more like a member, the leading signal first"
    )


class TrainingRecord(Record):
    """What the audit trained itself, and by which recipe."""

    recipe: dict[str, Any]
    mode: str = Field(description="vectorised (many models in one program) or pool (one in a unit, wherever units run)")
    references_asked: int
    references: int
    shadows_asked: int
    shadows: int
    pipelines_asked: int
    pipelines: int

    @property
    def missing(self) -> str:
        """What a budget kept from being trained, in words; "" where nothing."""
        counts = {
            "references": (self.references, self.references_asked),
            "shadow models": (self.shadows, self.shadows_asked),
            "pipelines": (self.pipelines, self.pipelines_asked),
        }
        return ", ".join(f"{got} of {asked} {what}" for what, (got, asked) in counts.items() if got < asked)
