"""Judge one equivalence figure: PASS only where everything that a PASS needs is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.record.findings import Finding, FindingStatus, Interval, Null
from audit.statistics.intervals import Estimate

from .families import Families
from .scored import Scored
from .settle import INVALID
from .tied import SETTLE, hangs


@dataclass(frozen=True)
class Context:
    """What every figure needs besides the scores."""

    evidence: Evidence
    policy: Policy
    families: Families

    @property
    def level(self) -> float:
        """Two-sided level of the intervals: two one-sided tests at alpha each."""
        return 1 - 2 * self.policy.alpha


@dataclass(frozen=True)
class Figure:
    """One equivalence figure before it is judged.

    Attributes:
        metric: ``auc``, ``tpr_upper``, ``tpr_lower`` or ``share``.
        title: what it is, in words.
        estimate: on the unlearned model; None where no interval exists.
        margin: the whole interval must lie strictly inside. A lower margin of 0 on a rate does not bind.
        control: the same on the original, with its interval where there is one.
        seen: the attack sees the forget set in the original, clearly enough for its silence to mean something.
        null: the same on each reference.
        settle: what would settle it.
        unseen: why it is not covered, and what would help, where ``seen`` is false.
        invalid: "" or why the fit behind it supports no PASS.
        remedy: what to do where it is invalid.
        few: how many rows would do, where there are too few.
        min_forget, min_holdout: rows below which the figure is not judged.
    """

    metric: str
    title: str
    estimate: Estimate | None
    margin: tuple[float, float]
    control: Estimate | float | None
    seen: bool
    null: Sequence[float]
    settle: tuple[str, ...]
    unseen: tuple[str, tuple[str, ...]] = ("", ())
    invalid: str = ""
    remedy: tuple[str, ...] = ()
    few: tuple[str, ...] = ()
    min_forget: int = 1
    min_holdout: int = 1


def finding_of(scored: Scored, context: Context, figure: Figure, *, may_be_mandatory: bool = True) -> Finding:
    """Judge a figure: PASS only where everything that a PASS needs is there."""
    attack, facts = scored.attack, context.evidence.facts
    name = f"{attack.name}.{figure.metric}"
    listed = name in context.policy.figures(facts.claim.kind, facts.claim.access)
    role: Literal["mandatory", "supplementary"] = "mandatory" if listed and may_be_mandatory else "supplementary"
    n_forget, n_holdout = scored.sizes(context.evidence) if figure.metric == "share" else scored.rows()
    status, reason, settle = _judged(figure, n_forget, n_holdout, scored)
    if status is FindingStatus.PASS and figure.estimate is not None:
        hanging = hangs(scored, context.evidence, figure.metric, figure.estimate, _room(figure), context.policy.tpr_fpr)
        if hanging:
            status, reason, settle = FindingStatus.INCONCLUSIVE, hanging, SETTLE
    estimate, control = figure.estimate, figure.control
    level = context.level
    null = None
    if len(figure.null) > 1:
        spread = float(np.std(figure.null, ddof=1))
        null = Null(source="references", mean=float(np.mean(figure.null)), sd=spread, n=len(figure.null))
    return Finding(
        id=name,
        attack=attack.name,
        metric=figure.metric,
        title=figure.title,
        kind="equivalence",
        role=role,
        access=attack.access.name.lower(),
        estimate=None if estimate is None else estimate.value,
        interval=None if estimate is None else Interval(low=estimate.low, high=estimate.high, level=level),
        n_forget=n_forget,
        n_holdout=n_holdout,
        n_references=len(facts.references),
        counted="subjects" if scored.unit == "subjects" and figure.metric != "share" else "rows",
        control=control.value if isinstance(control, Estimate) else control,
        control_interval=Interval(low=control.low, high=control.high, level=level)
        if isinstance(control, Estimate)
        else None,
        null=null,
        margin=figure.margin,
        status=status,
        reason=reason,
        settle=settle,
    )


def _room(figure: Figure) -> float:
    """How far the interval of a figure that passes lies from the nearer end of its margin that binds."""
    assert figure.estimate is not None
    (low, high), found = figure.margin, figure.estimate
    return min(high - found.high, found.low - low if low != 0 else math.inf)


def _judged(
    figure: Figure, n_forget: int | None, n_holdout: int, scored: Scored
) -> tuple[FindingStatus, str, tuple[str, ...]]:
    estimate, (low, high) = figure.estimate, figure.margin
    if scored.control is None:
        reason = "no original model was given: nothing shows that this attack can see the forget set"
        return FindingStatus.INCONCLUSIVE, reason, ("give the original model",)
    if (n_forget is not None and n_forget < figure.min_forget) or n_holdout < figure.min_holdout:
        needed = f"{figure.min_forget} forget and {figure.min_holdout} holdout {scored.unit}"
        reason = f"needs at least {needed} to be judged at all; there are {n_forget} and {n_holdout}"
        return FindingStatus.INCONCLUSIVE, reason, figure.few
    if not figure.seen or estimate is None:
        return FindingStatus.NOT_COVERED, *figure.unseen
    if figure.invalid:
        return FindingStatus.INCONCLUSIVE, figure.invalid, figure.remedy or INVALID
    if (low == 0 or estimate.low > low) and estimate.high < high:
        return FindingStatus.PASS, "the whole interval lies inside the margin", ()
    outside = estimate.low > high or (low != 0 and estimate.high < low)
    reason = "the interval lies outside the margin" if outside else "the interval reaches beyond the margin"
    return FindingStatus.INCONCLUSIVE, reason, figure.settle
