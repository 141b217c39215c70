"""The equivalence side: figures with intervals that must lie inside the policy's margins for a PASS."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats

from .d2 import LOCATION, d2_test
from .equivalence import Context, Figure, finding_of
from .result import Finding
from .scored import Scored
from .statistics.intervals import Estimate, auc_delong, retained_share, shift, tpr_at_fpr
from .statistics.model_level import crawford_howell
from .statistics.sample_size import (
    forget_rows_to_pass,
    holdout_rows_to_pass,
    references_to_pass,
    runs_to_pass,
    tail_rows_to_pass,
)


def figures(scored: Scored, context: Context) -> list[Finding]:
    """All equivalence figures of one attack that this design supports."""
    families = context.families
    is_class = context.evidence.facts.claim.kind == "class"
    found: list[Finding] = []
    if scored in families.d2:
        auc = _auc(scored, context)
        instance = [auc, *(_tail(scored, context, auc.seen, lower=lower) for lower in (False, True))]
        # within a class claim, instance membership is a second claim beside the class's own (statistics.md 1)
        found += [finding_of(scored, context, figure, may_be_mandatory=not is_class) for figure in instance]
    if scored in families.d1 and scored.subject.statistic is not None and is_class:
        found.append(finding_of(scored, context, _share(scored, context)))
    elif scored in families.d1 and scored not in families.d2:
        auc = _auc_shift(scored, context)
        shifts = [auc, *(_tail_shift(scored, context, auc.seen, lower=lower) for lower in (False, True))]
        found += [finding_of(scored, context, figure) for figure in shifts]
    return found


def _auc(scored: Scored, context: Context) -> Figure:
    """AUC of F against H; an honest retrain has .5 exactly."""
    policy, (forget, holdout) = context.policy, scored.require_sides()
    estimate = auc_delong(forget[0], holdout[0], context.level)
    margin = policy.auc_margin
    control, seen = None, False
    control_sides = scored.sides(control=True)
    if control_sides is not None:
        on_original = auc_delong(control_sides[0][0], control_sides[1][0], context.level)
        control = on_original.value
        # by its mean score, whatever else the policy gates: that is what an AUC speaks of
        p = d2_test([scored], context.evidence, policy, control=True, names=LOCATION).p
        seen = p <= policy.alpha and on_original.low > 0.5 + margin
    return Figure(
        metric="auc",
        title="AUC of forget against holdout examples",
        estimate=estimate,
        margin=(0.5 - margin, 0.5 + margin),
        control=control,
        seen=seen,
        null=_aucs((forget[1:], holdout[1:]), context).tolist(),
        settle=_more_rows(estimate, (forget.shape[1], holdout.shape[1]), margin, context),
        invalid=scored.subject.invalid,
        min_forget=policy.min_forget,
        min_holdout=policy.min_holdout,
    )


def _tail(scored: Scored, context: Context, seen: bool, *, lower: bool) -> Figure:
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
        control=None if control is None else tpr(control, 0).value,
        seen=seen,
        null=[tpr(sides, row).value for row in range(1, len(sides[0]))],
        settle=_more_tail_rows(tpr(sides, 0).value, scored.rows(), context),
        invalid=scored.subject.invalid,
        min_forget=policy.min_forget_tail,
        min_holdout=policy.min_holdout,
    )


def _auc_shift(scored: Scored, context: Context) -> Figure:
    """AUC of F against H minus the references' mean: where only models are exchangeable."""
    policy, runs = context.policy, context.families.runs
    values = _audited_first(_aucs(scored.judged_sides(), context), scored, runs)
    estimate = shift(values, 0.0, context.level, runs)
    control, seen = None, False
    control_sides = scored.sides(control=True)
    if control_sides is not None:
        on_original = _aucs(control_sides, context)
        interval = shift(on_original, 0.0, context.level)
        control = interval.value
        seen = crawford_howell(on_original)[1] <= policy.alpha and interval.low > policy.auc_margin
    return Figure(
        metric="auc",
        title="AUC of forget against holdout examples, minus the references' mean",
        estimate=estimate,
        margin=(-policy.auc_margin, policy.auc_margin),
        control=control,
        seen=seen,
        null=(values[runs:] - values[runs:].mean()).tolist(),
        settle=_more_models(estimate, policy.auc_margin, context),
        invalid=_alone(scored, runs, float(values[0] - values[runs:].mean()), policy.auc_margin),
        min_forget=policy.min_forget,
        min_holdout=policy.min_holdout,
    )


def _tail_shift(scored: Scored, context: Context, seen: bool, *, lower: bool) -> Figure:
    """Tail share minus the references' mean; a share's spread is floored by its sampling error."""
    policy, q = context.policy, context.policy.tpr_fpr
    sign = -1.0 if lower else 1.0

    def shares(pair: tuple[Floats, Floats]) -> Floats:
        return np.array([tpr_at_fpr(sign * f, sign * h, q, context.level).value for f, h in zip(*pair, strict=True)])

    runs = context.families.runs
    values = _audited_first(shares(scored.judged_sides()), scored, runs)
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
        control=None if on_original is None else float(on_original[0] - on_original[1:].mean()),
        seen=seen,
        null=(values[runs:] - values[runs:].mean()).tolist(),
        settle=_more_models(estimate, margin, context),
        invalid=_alone(scored, runs, float(values[0] - values[runs:].mean()), margin),
        min_forget=policy.min_forget_tail,
        min_holdout=policy.min_holdout,
    )


def _share(scored: Scored, context: Context) -> Figure:
    """Share of the original's excess over the retrains that is left."""
    policy = context.policy
    statistic, floor = scored.contrast
    runs = context.families.runs
    statistic = _audited_first(statistic, scored, runs)
    control = scored.control_contrast
    estimate, seen, null, own = None, False, [], 0.0
    settle: tuple[str, ...] = ()
    if control is not None:
        original = float(control[0][0])
        estimate = retained_share(statistic, original, floor, context.level, runs)
        t, p = crawford_howell(*control)
        seen = estimate is not None and p <= policy.alpha and t > 0
    if estimate is not None and control is not None:
        references = statistic[runs:]
        own = float((statistic[0] - references.mean()) / (control[0][0] - references.mean()))
        null = ((references - references.mean()) / (control[0][0] - references.mean())).tolist()
        settle = _more_models(estimate, policy.share_margin, context)
    return Figure(
        metric="share",
        title="Share of the original's knowledge of the forgotten classes that is left",
        estimate=estimate,
        margin=(-policy.share_margin, policy.share_margin),
        control=None if control is None else 1.0,
        seen=seen,
        null=null,
        settle=settle,
        invalid=_alone(scored, runs, own, policy.share_margin),
    )


def _aucs(sides: tuple[Floats, Floats], context: Context) -> Floats:
    return np.array([auc_delong(f, h, context.level).value for f, h in zip(*sides, strict=True)])


def _alone(scored: Scored, runs: int, own: float, margin: float) -> str:
    """Why the runs' mean supports no PASS: the audited run itself lies outside the margin, or a fit is bad."""
    if runs > 1 and not abs(own) < margin:
        return f"the audited run itself lies outside the margin ({own:+.3f}): the other runs do not speak for it"
    return scored.subject.invalid


def _audited_first(values: Floats, scored: Scored, runs: int) -> Floats:
    """The audited models that the figure averages, then the references: all runs, or the audited model alone."""
    return values if runs == scored.runs else np.concatenate([values[:1], values[scored.runs :]])


def _more_tail_rows(rate: float, sizes: tuple[int, int], context: Context) -> tuple[str, ...]:
    policy = context.policy
    if rate >= policy.tpr_margin:
        return ("no number of rows: the estimate itself is outside the margin; unlearn further",)
    rows = tail_rows_to_pass(*sizes, rate, policy.tpr_fpr, policy.tpr_margin, policy.alpha)
    if rows is None:
        return ("more forget and holdout rows than could be counted: the rate is close to the margin",)
    return (f"about {rows} forget rows with {round(rows * sizes[1] / sizes[0])} holdout rows",)


def _more_rows(estimate: Estimate, sizes: tuple[int, int], margin: float, context: Context) -> tuple[str, ...]:
    """Rows that would settle an AUC: holdout rows alone where that is enough (they cost no deletion), else both."""
    n_forget, n_holdout = sizes
    deviation, alpha = estimate.value - 0.5, context.policy.alpha
    if abs(deviation) >= margin:
        return ("no number of rows: the estimate itself is outside the margin; unlearn further",)
    ways = []
    holdout = holdout_rows_to_pass(n_forget, n_holdout, deviation, margin, alpha)
    if holdout is not None:
        ways.append(f"about {holdout} holdout rows with the same forget rows")
    rows = forget_rows_to_pass(n_forget, deviation, estimate.se, margin, alpha)
    if rows is not None:
        ways.append(f"about {rows} forget rows with {round(rows * n_holdout / n_forget)} holdout rows")
    return tuple(ways)


def _more_models(estimate: Estimate, margin: float, context: Context) -> tuple[str, ...]:
    """References or unlearned runs that would settle a figure against references, each alone."""
    k, runs, alpha = len(context.evidence.facts.references), context.families.runs, context.policy.alpha
    if abs(estimate.value) >= margin:
        return ("no number of models: the estimate itself is outside the margin; unlearn further",)
    spread = estimate.se / float(np.sqrt(1 / runs + 1 / k))
    ways = []
    references = references_to_pass(estimate.value, spread, margin, alpha)
    if references is not None:
        ways.append(f"about {max(references, k + 1)} retrained references")
    needed = runs_to_pass(estimate.value, spread, k, margin, alpha)
    if needed is not None:
        ways.append(f"about {max(needed, runs + 1)} unlearned runs of the procedure (--runs), with these references")
    return tuple(ways) or ("no number of references or runs: the spread between seeds exceeds the margin",)
