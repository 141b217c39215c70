"""The equivalence side: figures with intervals that must lie inside the policy's margins for a PASS."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats
from audit.record.findings import Finding
from audit.statistics.intervals import Estimate, auc_interval, shift, tpr_at_fpr
from audit.statistics.model_level import crawford_howell

from .averaged import audited_first, more_of, validity
from .d2 import sees
from .equivalence import Context, Figure, finding_of
from .remainder import remainder
from .scored import Scored
from .settle import enough_rows, more_rows, more_tail_rows, to_see
from .share import share


def figures(scored: Scored, context: Context) -> list[Finding]:
    """All equivalence figures of one attack that this design supports."""
    families = context.families
    is_class = context.evidence.facts.claim.kind == "class"
    found: list[Finding] = []
    if scored in families.d2:
        auc = _auc(scored, context)
        instance = [auc, *(_tail(scored, context, auc, lower=lower) for lower in (False, True))]
        # within a class claim, instance membership is a second claim beside the class's own (statistics.md 1)
        found += [finding_of(scored, context, figure, may_be_mandatory=not is_class) for figure in instance]
        found += [] if is_class else remainder(scored, context, instance[1])
    if scored in families.d1 and scored.subject.statistic is not None and is_class:
        found.append(finding_of(scored, context, share(scored, context)))
    elif scored in families.d1 and scored not in families.d2 and scored.subject.examples is not None:
        auc = _auc_shift(scored, context)
        shifts = [auc, *(_tail_shift(scored, context, auc, lower=lower) for lower in (False, True))]
        found += [finding_of(scored, context, figure) for figure in shifts]
    return found


def _auc(scored: Scored, context: Context) -> Figure:
    """AUC of F against H; an honest retrain has .5 exactly."""
    policy, (forget, holdout) = context.policy, scored.require_sides()
    estimate = auc_interval(forget[0], holdout[0], context.level)
    margin, sizes = policy.auc_margin, scored.rows()
    on_original, seen = None, False
    unseen: tuple[str, tuple[str, ...]] = ("", ())
    control_sides = scored.sides(control=True)
    if control_sides is not None:
        on_original = auc_interval(control_sides[0][0], control_sides[1][0], context.level)
        # by its mean score, whatever else the policy gates: that is what an AUC speaks of
        p = sees(scored, context.evidence, policy)
        seen = p <= policy.alpha and on_original.low > 0.5 + margin
        unseen = to_see(_moved(on_original, -0.5), p, margin, policy)
    return Figure(
        metric="auc",
        title="AUC of forget against holdout examples",
        estimate=estimate,
        margin=(0.5 - margin, 0.5 + margin),
        control=on_original,
        seen=seen,
        unseen=unseen,
        null=_aucs((forget[1:], holdout[1:]), context).tolist(),
        settle=more_rows(estimate, sizes, margin, policy, scored.unit),
        invalid=scored.subject.invalid,
        remedy=scored.subject.remedy,
        few=enough_rows(sizes, policy, scored.unit, tail=False),
        min_forget=policy.min_forget,
        min_holdout=policy.min_holdout,
    )


def _tail(scored: Scored, context: Context, auc: Figure, *, lower: bool) -> Figure:
    """Share of F beyond the q-quantile of H. The attack is sighted as a whole, by its AUC on the original: a lower
    tail that leaks (over-unlearned examples) is empty in the original."""
    policy, sides = context.policy, scored.require_sides()
    sign = -1.0 if lower else 1.0

    def tpr(pair: tuple[Floats, Floats], row: int) -> Estimate:
        return tpr_at_fpr(sign * pair[0][row], sign * pair[1][row], policy.tpr_fpr, context.level)

    control = scored.sides(control=True)
    side = "below the lower" if lower else "above the upper"
    return Figure(
        metric="tpr_lower" if lower else "tpr_upper",
        title=f"Share of forget examples {side} {policy.tpr_fpr:.0%} tail of the holdout examples",
        estimate=tpr(sides, 0),
        margin=(0.0, policy.tpr_margin),
        control=None if control is None else tpr(control, 0),
        seen=auc.seen,
        unseen=auc.unseen,
        null=[tpr(sides, row).value for row in range(1, len(sides[0]))],
        settle=more_tail_rows(sign * sides[0][0], sign * sides[1][0], tpr(sides, 0).value, policy, scored.unit),
        invalid=scored.subject.invalid,
        remedy=scored.subject.remedy,
        few=enough_rows(scored.rows(), policy, scored.unit, tail=True),
        min_forget=policy.min_forget_tail,
        min_holdout=policy.min_holdout,
    )


def _auc_shift(scored: Scored, context: Context) -> Figure:
    """AUC of F against H minus the references' mean: where only models are exchangeable."""
    policy, runs = context.policy, context.families.runs
    values = audited_first(_aucs(scored.judged_sides(), context), scored, runs)
    estimate = shift(values, 0.0, context.level, runs)
    control, seen = None, False
    unseen: tuple[str, tuple[str, ...]] = ("", ())
    control_sides = scored.sides(control=True)
    if control_sides is not None:
        on_original = _aucs(control_sides, context)
        control = shift(on_original, 0.0, context.level)
        p = crawford_howell(on_original)[1]
        seen = p <= policy.alpha and control.low > policy.auc_margin
        unseen = to_see(control, p, policy.auc_margin, policy)
    return Figure(
        metric="auc",
        title="AUC of forget against holdout examples, minus the references' mean",
        estimate=estimate,
        margin=(-policy.auc_margin, policy.auc_margin),
        control=control,
        seen=seen,
        unseen=unseen,
        null=(values[runs:] - values[runs:].mean()).tolist(),
        settle=more_of(estimate, policy.auc_margin, context),
        **validity(scored, runs, float(values[0] - values[runs:].mean()), policy.auc_margin),
        few=enough_rows(scored.rows(), policy, scored.unit, tail=False),
        min_forget=policy.min_forget,
        min_holdout=policy.min_holdout,
    )


def _tail_shift(scored: Scored, context: Context, auc: Figure, *, lower: bool) -> Figure:
    """Tail share minus the references' mean; a share's spread is floored by its sampling error."""
    policy, q = context.policy, context.policy.tpr_fpr
    sign = -1.0 if lower else 1.0

    def shares(pair: tuple[Floats, Floats]) -> Floats:
        return np.array([tpr_at_fpr(sign * f, sign * h, q, context.level).value for f, h in zip(*pair, strict=True)])

    runs = context.families.runs
    values = audited_first(shares(scored.judged_sides()), scored, runs)
    floor = float(np.sqrt(q * (1 - q) / scored.rows()[0]))
    estimate = shift(values, floor, context.level, runs)
    control = scored.sides(control=True)
    on_original = None if control is None else shares(control)
    margin = policy.tpr_margin - q
    side = "below the lower" if lower else "above the upper"
    return Figure(
        metric="tpr_lower" if lower else "tpr_upper",
        title=f"Share of forget examples {side} {q:.0%} tail of the holdout examples, minus the references' mean",
        estimate=estimate,
        margin=(-margin, margin),
        control=None if on_original is None else shift(on_original, floor, context.level),
        seen=auc.seen,
        unseen=auc.unseen,
        null=(values[runs:] - values[runs:].mean()).tolist(),
        settle=more_of(estimate, margin, context),
        **validity(scored, runs, float(values[0] - values[runs:].mean()), margin),
        few=enough_rows(scored.rows(), policy, scored.unit, tail=True),
        min_forget=policy.min_forget_tail,
        min_holdout=policy.min_holdout,
    )


def _aucs(sides: tuple[Floats, Floats], context: Context) -> Floats:
    return np.array([auc_interval(f, h, context.level).value for f, h in zip(*sides, strict=True)])


def _moved(estimate: Estimate, by: float) -> Estimate:
    return Estimate(estimate.value + by, estimate.low + by, estimate.high + by, estimate.se)
