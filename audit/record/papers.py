"""What a paper would print of the audited model, as `run.json` holds it."""

from __future__ import annotations

from pydantic import Field

from .attack_record import Record


class PaperFigure(Record):
    """One figure as papers print it, beside what honest retrains have: no test, no gate."""

    name: str
    value: float | None = Field(description="None where it has no meaning; `note` says why")
    null: tuple[float, float] | None = Field(
        default=None, description="lowest and highest of the references, each against the others"
    )
    alike: str = Field(description="what a model like a retrain has")
    note: str = ""
