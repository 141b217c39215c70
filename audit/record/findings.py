"""What an audit found: findings, gates and families of tests, as ``run.json`` holds them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from .attack_record import Record


class FindingStatus(StrEnum):
    """What one finding says.

    ``NOT_DETECTED`` is the outcome of a difference test that did not reject: never evidence of forgetting.
    ``NOT_COVERED`` marks an attack that does not see the forget set in the original either.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_DETECTED = "NOT DETECTED"
    NOT_COVERED = "NOT COVERED"
    SKIPPED = "SKIPPED"
    ERROR = "ERROR"
    NOTE = "NOTE"


class Interval(Record):
    """A confidence interval; ``level`` is its two-sided coverage in (0, 1)."""

    low: float
    high: float
    level: float


class Null(Record):
    """What the same figure is on the honest retrained models (or by permutation)."""

    source: str = Field(description="'references' or 'permutation'")
    mean: float
    sd: float
    n: int = Field(description="number of references, or of permutations")


class Finding(Record):
    """One line of evidence. ``estimate`` is the figure on the unlearned model, ``control`` the same figure on
    the original model (positive control)."""

    id: str = Field(description="'<attack>.<metric>', for example 'membership.auc'")
    attack: str
    metric: str
    title: str = Field(description="what the figure is, in words")
    kind: Literal["difference", "equivalence", "structural", "input", "execution", "exploratory"]
    family: Literal["D1", "D2"] | None = Field(default=None, description="null hypothesis family of a test")
    role: Literal["mandatory", "primary", "supplementary"]
    access: str = Field(description="what the attacker needs: labels, logits, features, gradients, weights")
    estimate: float | None = None
    interval: Interval | None = None
    unit: str = ""
    n_forget: int | None = None
    n_holdout: int | None = None
    n_references: int | None = None
    counted: Literal["rows", "subjects"] = Field(default="rows", description="what n_forget and n_holdout count")
    control: float | None = None
    control_interval: Interval | None = Field(default=None, description="of the control, where it can be had")
    null: Null | None = None
    margin: tuple[float, float] | None = Field(
        default=None, description="PASS needs the whole interval strictly inside"
    )
    p: float | None = None
    p_adjusted: float | None = Field(
        default=None, description="within its family (max-T or Bonferroni), before Holm between families"
    )
    status: FindingStatus
    reason: str
    settle: tuple[str, ...] = Field(default=(), description="what would settle it, cheapest first")


#: and the level: the gate of the families of a weaker access level, computed as if that had been claimed
WEAKER_ACCESS = "weaker access: "


class Gate(Record):
    """A validity check: it can block a PASS or invalidate a family, never make a verdict better."""

    name: str
    ok: bool
    effect: str = Field(description="what it blocks when it is not ok")
    reason: str


class Family(Record):
    """One family of difference tests (D2: forget/holdout labels permuted; D1: model against retrains)."""

    name: Literal["D1", "D2"]
    method: str
    admitted: bool
    reason: str
    p: float | None = None
    p_holm: float | None = None
    rejected: bool = False
