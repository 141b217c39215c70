"""The equivalence side: figures with intervals that must lie inside the policy's margins for a PASS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks.base import Floats

from .evidence import Evidence
from .families import Families, Scored, p_d2
from .policy import Policy
from .result import Finding, FindingStatus, Interval, Null
from .statistics.intervals import Estimate, auc_delong, retained_share, shift, tpr_at_fpr
from .statistics.model_level import crawford_howell
from .statistics.sample_size import forget_rows_to_pass, references_to_pass

TITLES = {
    "auc": "AUC of forget against holdout examples",
    "auc_shift": "AUC of forget against holdout examples, minus the references' mean",
    "tpr_upper": "Share of forget examples above the holdout set's upper tail",
    "tpr_lower": "Share of forget examples below the holdout set's lower tail",
    "share": "Share of the original's knowledge of the forgotten classes that is left",
}


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


def figures(scored: Scored, context: Context) -> list[Finding]:
    """All equivalence figures of one attack that this design supports."""
    families = context.families
    if scored in families.d2:
        found = [_auc(scored, context)]
        found += [_tail(scored, context, lower=lower) for lower in (False, True)]
        if context.evidence.facts.claim.kind == "class":
            # instance membership inside the class: a second claim beside the class's own (statistics.md 1)
            found = [f.model_copy(update={"role": "supplementary"}) for f in found]
            if scored in families.d1:
                found.append(_share(scored, context))
        return found
    if scored in families.d1:
        return [_share(scored, context)] if scored.subject.statistic is not None else [_auc_shift(scored, context)]
    return []


def _role(scored: Scored, metric: str, context: Context) -> str:
    name = f"{scored.attack.name}.{metric}"
    levels = context.policy.mandatory.get(context.evidence.facts.claim.kind, {})
    return "mandatory" if any(name in names for names in levels.values()) else "supplementary"


def _auc(scored: Scored, context: Context) -> Finding:
    policy, sides = context.policy, scored.sides()
    assert sides is not None  # noqa: S101 - a member of D2 has example scores
    forget, holdout = sides
    estimate = auc_delong(forget[0], holdout[0], context.level)
    margin = policy.auc_margin
    control = _control_auc(scored, context)
    seen = False
    if control is not None:
        p = p_d2([scored], context.evidence, policy, control=True).p
        seen = p <= policy.alpha and control.low > 0.5 + margin
    slack = abs(estimate.value - 0.5)
    more = forget_rows_to_pass(len(forget[0]), slack, estimate.se, margin, policy.alpha)
    settle = (
        (f"about {more} forget rows with {round(more * holdout.shape[1] / forget.shape[1])} holdout rows",)
        if more is not None
        else ("no number of rows: the estimate itself is outside the margin; unlearn further",)
    )
    return _equivalence(
        scored, "auc", context, estimate, (0.5 - margin, 0.5 + margin), control and control.value, seen,
        _null([auc_delong(f, h, context.level).value for f, h in zip(forget[1:], holdout[1:], strict=True)]),
        settle, "", policy.min_forget,
    )


def _control_auc(scored: Scored, context: Context) -> Estimate | None:
    sides = scored.sides(control=True)
    return None if sides is None else auc_delong(sides[0][0], sides[1][0], context.level)


def _tail(scored: Scored, context: Context, *, lower: bool) -> Finding:
    policy, sides = context.policy, scored.sides()
    assert sides is not None  # noqa: S101 - a member of D2 has example scores
    sign = -1.0 if lower else 1.0
    metric = "tpr_lower" if lower else "tpr_upper"

    def tpr(pair: tuple[Floats, Floats], row: int) -> Estimate | None:
        return tpr_at_fpr(sign * pair[0][row], sign * pair[1][row], policy.tpr_fpr, context.level)

    estimate = tpr(sides, 0)
    control_sides = scored.sides(control=True)
    control = tpr(control_sides, 0) if control_sides else None
    # an attack is sighted as a whole: its AUC on the original says whether its tails mean anything
    seen = _auc(scored, context).status is not FindingStatus.NOT_COVERED
    null = [e.value for e in (tpr(sides, row) for row in range(1, len(sides[0]))) if e is not None]
    finding = _equivalence(
        scored, metric, context, estimate, (0.0, policy.tpr_margin), control.value if control else None, seen,
        _null(null), (f"more forget and holdout rows (at least {policy.min_forget_tail} forget rows)",), "",
        policy.min_forget_tail,
    )
    return finding.model_copy(update={"title": f"{finding.title} (at a false positive rate of {policy.tpr_fpr:g})"})


def _auc_shift(scored: Scored, context: Context) -> Finding:
    policy, sides = context.policy, scored.sides()
    assert sides is not None  # noqa: S101 - without a statistic an attack has example scores
    values = _aucs(sides, context)
    estimate = shift(values, 0.0, context.level)
    control_sides = scored.sides(control=True)
    control = None
    seen = False
    if control_sides is not None:
        control_values = _aucs(control_sides, context)
        found = shift(control_values, 0.0, context.level)
        control = found.value
        seen = crawford_howell(control_values)[1] <= policy.alpha and found.low > policy.auc_margin
    finding = _equivalence(
        scored, "auc", context, estimate, (-policy.auc_margin, policy.auc_margin), control, seen,
        _null(list(values[1:] - values[1:].mean())),
        _more_references(scored, estimate, policy.auc_margin, context), "", policy.min_forget,
    )
    return finding.model_copy(update={"title": TITLES["auc_shift"]})


def _aucs(sides: tuple[Floats, Floats], context: Context) -> Floats:
    return np.array([auc_delong(f, h, context.level).value for f, h in zip(*sides, strict=True)])


def _share(scored: Scored, context: Context) -> Finding:
    policy = context.policy
    statistic, floor = scored.contrast
    control = scored.control_contrast
    estimate, seen, control_value = None, False, None
    settle: tuple[str, ...] = ("give the original model: without it there is no positive control",)
    if control is not None:
        estimate = retained_share(statistic, float(control[0][0]), floor, context.level)
        seen = estimate is not None and crawford_howell(control[0], control[1])[1] <= policy.alpha
        control_value = 1.0
    null = None
    if estimate is not None and control is not None:
        span = float(control[0][0]) - statistic[1:].mean()
        null = _null(list((statistic[1:] - statistic[1:].mean()) / span))
        settle = _more_references(scored, estimate, policy.share_margin, context)
    return _equivalence(
        scored, "share", context, estimate, (-policy.share_margin, policy.share_margin), control_value, seen, null,
        settle, scored.subject.invalid, 1,
    )


def _more_references(scored: Scored, estimate: Estimate, margin: float, context: Context) -> tuple[str, ...]:
    k = len(context.evidence.facts.references)
    seed_sd = estimate.se / float(np.sqrt(1 + 1 / k))
    needed = references_to_pass(estimate.value, seed_sd, margin, context.policy.alpha)
    if needed is None:
        if abs(estimate.value) >= margin:
            return ("no number of references: the estimate itself is outside the margin; unlearn further",)
        return ("no number of references: seed noise exceeds the margin; average several unlearned runs",)
    return (f"about {max(needed, k + 1)} retrained references",)


def _null(values: list[float]) -> Null | None:
    if len(values) < 2:
        return None
    return Null(source="references", mean=float(np.mean(values)), sd=float(np.std(values, ddof=1)), n=len(values))


def _equivalence(
    scored: Scored, metric: str, context: Context, estimate: Estimate | None, margin: tuple[float, float],
    control: float | None, seen: bool, null: Null | None, settle: tuple[str, ...], invalid: str, minimum: int,
) -> Finding:
    """Turn an estimate into a finding: PASS only where everything that a PASS needs is there."""
    policy = context.policy
    n_forget = scored.n_forget if scored.subject.examples is not None else len(context.evidence.labels("forget"))
    n_holdout = (
        scored.subject.examples.shape[1] - scored.n_forget
        if scored.subject.examples is not None
        else len(context.evidence.labels("holdout"))
    )
    status, reason = FindingStatus.INCONCLUSIVE, ""
    few = n_forget < minimum or (metric != "share" and n_holdout < policy.min_holdout)
    if scored.control is None:
        reason = "no original model was given, so nothing shows that this attack can see the forget set"
        settle = ("give the original model",)
    elif few:
        reason = f"needs at least {minimum} forget and {policy.min_holdout} holdout rows; there are {n_forget} and {n_holdout}"
        settle = (f"at least {minimum} forget and {policy.min_holdout} holdout rows",)
    elif not seen:
        status = FindingStatus.NOT_COVERED
        reason = "the attack does not see the forget set in the original clearly enough: its silence proves nothing"
    elif estimate is None:
        reason = "the interval cannot be computed at this size"
    elif invalid:
        reason = invalid
    elif margin[0] < estimate.low and estimate.high < margin[1] or (margin[0] == 0 and estimate.high < margin[1]):
        status, reason, settle = FindingStatus.PASS, "the whole interval lies inside the margin", ()
    else:
        outside = estimate.low > margin[1] or estimate.high < margin[0]
        reason = "the interval lies outside the margin" if outside else "the interval reaches beyond the margin"
    return Finding(
        id=f"{scored.attack.name}.{metric}",
        attack=scored.attack.name,
        metric=metric,
        title=TITLES[metric],
        kind="equivalence",
        role="mandatory" if _role(scored, metric, context) == "mandatory" else "supplementary",
        access=scored.attack.access.name.lower(),
        estimate=None if estimate is None else estimate.value,
        interval=None if estimate is None else Interval(low=estimate.low, high=estimate.high, level=context.level),
        n_forget=n_forget,
        n_holdout=n_holdout,
        n_references=len(context.evidence.facts.references),
        control=control,
        null=null,
        margin=margin,
        status=status,
        reason=reason,
        settle=settle if status is not FindingStatus.PASS else (),
    )
