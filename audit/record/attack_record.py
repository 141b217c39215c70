"""The part of ``run.json`` that records attacks and their charts; drawn by ``reports``."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attacks.base import ChartKind


class Record(BaseModel):
    """Frozen model that refuses unknown keys and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Series(Record):
    """One line, histogram, row, picture or set of dots of a chart."""

    name: str
    role: Literal["unlearned", "original", "reference", "chance"]
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = Field(default=(), description="lower end of a band around y; empty: no band")
    high: tuple[float, ...] = ()
    side: Literal["", "forget", "holdout"] = Field(default="", description="of a histogram: whose scores")
    width: int = Field(default=0, ge=0, le=64, description="of a picture: pixels in a row")
    pixels: str = Field(
        default="",
        pattern="^([0-9a-f]{2})*$",
        max_length=2 * 64 * 64,
        description="of a picture: grey levels row by row, two hex digits each",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """A picture fills its rows, a band has two ends; a histogram is checked by its chart."""
        if self.pixels and (not self.width or len(self.pixels) % (2 * self.width)):
            raise ValueError("the pixels of a picture must fill its rows")
        if len(self.low) != len(self.high) or len(self.low) not in (0, len(self.x)):
            raise ValueError("a band needs both ends at every point")
        return self


class Chart(Record):
    """Chart data.

    ``lines``: y over x. ``roc``: the same on log-log axes, both in (0, 1]. ``dots``: one value per model, in x (y
    empty), all series on one axis. ``histogram``: densities y between the edges x (one more than y), one series a
    model and side. ``heatmap``: values y over the columns ``ticks``, one series a model and row. ``grid``: a small
    picture a series.
    """

    kind: ChartKind
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    ticks: tuple[str, ...] = Field(default=(), description="names of the positions x (layers, depths); empty: numbers")
    note: str = Field(default="", description="what bands and bins are, and by which method")

    @model_validator(mode="after")
    def _bins(self) -> Self:
        """Bins have two edges that go upwards."""
        if self.kind == "histogram":
            for one in self.series:
                edges = list(one.x)
                if len(edges) != len(one.y) + 1 or len(edges) < 2 or edges != sorted(set(edges)) or min(one.y) < 0:
                    raise ValueError("a histogram needs edges that go upwards, one more than densities")
        return self


LEFT_OUT = "left out: "  #: how the reason of an attack begins that was not to run
#: why an attack was left out for want of time
BUDGET = "the budget (--max-minutes) ended before it ran; the same command with a larger one goes on"
NOTHING = "it decides nothing about this claim"  #: the commonest such reason


class AttackRecord(Record):
    """One attack of the plan: what it is, whether it ran, and its charts."""

    name: str
    title: str
    version: str
    access: str
    symmetric: bool
    source: str
    parameters: dict[str, float | int | str | bool]
    distribution: str = Field(default="", description="package and version of a plug-in; empty for our own")
    status: Literal["ok", "skipped", "error"]
    reason: str = ""
    details: tuple[str, ...] = Field(default=(), description="fit sets, subsampling, validity of fits")
    charts: tuple[Chart, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_chart(cls, document: Any) -> Any:
        """Schemas 1.0 and 1.1 had one ``chart`` an attack, or null."""
        if not isinstance(document, dict) or "chart" not in document or "charts" in document:
            return document
        rest = {key: value for key, value in document.items() if key != "chart"}
        return {**rest, "charts": [] if document["chart"] is None else [document["chart"]]}
