"""Judge one equivalence figure: PASS only where everything that a PASS needs is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .evidence import Evidence
from .families import Families
from .policy import Policy
from .result import Finding, FindingStatus, Interval, Null
from .scored import Scored
from .statistics.intervals import Estimate


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
        control: the same on the original.
        seen: the attack sees the forget set in the original, clearly enough for its silence to mean something.
        null: the same on each reference.
        settle: what would settle it.
        invalid: "" or why the fit behind it supports no PASS.
        min_forget, min_holdout: rows below which the figure is not judged.
    """

    metric: str
    title: str
    estimate: Estimate | None
    margin: tuple[float, float]
    control: float | None
    seen: bool
    null: Sequence[float]
    settle: tuple[str, ...]
    invalid: str = ""
    min_forget: int = 1
    min_holdout: int = 1


def finding_of(scored: Scored, context: Context, figure: Figure, *, may_be_mandatory: bool = True) -> Finding:
    """Judge a figure: PASS only where everything that a PASS needs is there."""
    attack, facts = scored.attack, context.evidence.facts
    name = f"{attack.name}.{figure.metric}"
    listed = any(name in names for names in context.policy.mandatory.get(facts.claim.kind, {}).values())
    role: Literal["mandatory", "supplementary"] = "mandatory" if listed and may_be_mandatory else "supplementary"
    n_forget, n_holdout = scored.sizes(context.evidence) if figure.metric == "share" else scored.rows()
    status, reason, settle = _judged(figure, n_forget, n_holdout, has_control=scored.control is not None)
    estimate = figure.estimate
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
        interval=None if estimate is None else Interval(low=estimate.low, high=estimate.high, level=context.level),
        n_forget=n_forget,
        n_holdout=n_holdout,
        n_references=len(facts.references),
        control=figure.control,
        null=null,
        margin=figure.margin,
        status=status,
        reason=reason,
        settle=settle,
    )


def _judged(
    figure: Figure, n_forget: int | None, n_holdout: int, *, has_control: bool
) -> tuple[FindingStatus, str, tuple[str, ...]]:
    estimate, (low, high) = figure.estimate, figure.margin
    needed = f"{figure.min_forget} forget and {figure.min_holdout} holdout rows"
    if not has_control:
        reason = "no original model was given: nothing shows that this attack can see the forget set"
        return FindingStatus.INCONCLUSIVE, reason, ("give the original model",)
    if (n_forget is not None and n_forget < figure.min_forget) or n_holdout < figure.min_holdout:
        reason = f"needs at least {needed}; there are {n_forget} and {n_holdout}"
        return FindingStatus.INCONCLUSIVE, reason, (f"at least {needed}",)
    if not figure.seen or estimate is None:
        reason = "the attack does not see the forget set in the original clearly enough: its silence proves nothing"
        return FindingStatus.NOT_COVERED, reason, ()
    if figure.invalid:
        return FindingStatus.INCONCLUSIVE, figure.invalid, figure.settle
    if (low == 0 or estimate.low > low) and estimate.high < high:
        return FindingStatus.PASS, "the whole interval lies inside the margin", ()
    outside = estimate.low > high or (low != 0 and estimate.high < low)
    reason = "the interval lies outside the margin" if outside else "the interval reaches beyond the margin"
    return FindingStatus.INCONCLUSIVE, reason, figure.settle
