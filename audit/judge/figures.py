"""The equivalence side: figures with intervals that must lie inside the policy's margins for a PASS."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from attacks.base import Floats
from audit.record.findings import Finding
from audit.statistics.intervals import Estimate, auc_interval, retained_share, shift, tpr_at_fpr
from audit.statistics.model_level import crawford_howell

from .d2 import sees
from .equivalence import Context, Figure, finding_of
from .families import least_runs
from .remainder import remainder
from .scored import Scored
from .settle import enough_rows, more_models, more_rows, more_runs, more_tail_rows, to_see

# our choice, measured (attacks.md, feature_mapping): together they let 5 % of planted doses of a quarter PASS
LIGHT_MARGIN, LIGHT_ERRORS = 0.75, 1.2
MORE_REFERENCES = ("more references: the spread between seeds is too wide",)
OTHER_RUN = "where another run takes the place of this one, declare both looks (--ledger)"
OWN_REMEDY = ("unlearn this run further", OTHER_RUN)


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
        found.append(finding_of(scored, context, _share(scored, context)))
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
    values = _audited_first(_aucs(scored.judged_sides(), context), scored, runs)
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
        settle=_models(estimate, policy.auc_margin, context),
        **_validity(scored, runs, float(values[0] - values[runs:].mean()), policy.auc_margin),
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
        control=None if on_original is None else shift(on_original, floor, context.level),
        seen=auc.seen,
        unseen=auc.unseen,
        null=(values[runs:] - values[runs:].mean()).tolist(),
        settle=_models(estimate, margin, context),
        **_validity(scored, runs, float(values[0] - values[runs:].mean()), margin),
        few=enough_rows(scored.rows(), policy, scored.unit, tail=True),
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
        settle = _models(estimate, policy.share_margin, context)
    validity = _validity(scored, runs, own, policy.share_margin)
    if not validity["invalid"]:
        validity = _lighter(scored, context)
    return Figure(
        metric="share",
        title="Share of the original's knowledge of the forgotten classes that is left",
        estimate=estimate,
        margin=(-policy.share_margin, policy.share_margin),
        control=None if control is None else 1.0,
        seen=seen,
        unseen=to_see(None, 1.0, policy.share_margin, policy),
        null=null,
        settle=settle,
        **validity,
    )


def _lighter(scored: Scored, context: Context) -> _Validity:
    """Why a share supports no PASS: what the penalty of its fit may have hidden shows where the fit shrinks less.

    That is the noisier reading, so it has a bound of its own instead of a second interval: ``LIGHT_ERRORS`` standard
    errors above the mean of the runs must stay below ``LIGHT_MARGIN`` of the margin. More runs bring it down.
    """
    policy, runs = context.policy, context.families.runs
    if scored.lighter is None:
        return {"invalid": "", "remedy": ()}
    statistic, floor, original = scored.lighter
    moved = shift(_audited_first(statistic, scored, runs), floor, context.level, runs)
    mean = float(statistic[scored.runs :].mean())
    whole = original - mean
    if not whole > 0:
        return {"invalid": "with less shrinkage the original itself does not stand out", "remedy": MORE_REFERENCES}
    own, value, error = (float(statistic[0]) - mean) / whole, moved.value / whole, moved.se / whole
    margin = policy.share_margin
    if runs > 1 and own >= margin:
        reason = f"with less shrinkage the audited run itself lies outside the margin ({own:+.3f})"
        return {"invalid": reason, "remedy": OWN_REMEDY}
    most = LIGHT_MARGIN * margin - LIGHT_ERRORS * error
    if value < most:
        return {"invalid": "", "remedy": ()}
    reason = f"with less shrinkage the share is {value:+.2f}, and a PASS needs less than {most:.2f}"
    references = len(context.evidence.facts.references)
    spread = error / math.sqrt(1 / runs + 1 / references)
    least = least_runs(context.families, context.evidence, policy)
    ways = more_runs(value, spread, LIGHT_MARGIN * margin, LIGHT_ERRORS, runs, references, least)
    return {"invalid": reason, "remedy": ways}


def _aucs(sides: tuple[Floats, Floats], context: Context) -> Floats:
    return np.array([auc_interval(f, h, context.level).value for f, h in zip(*sides, strict=True)])


def _moved(estimate: Estimate, by: float) -> Estimate:
    return Estimate(estimate.value + by, estimate.low + by, estimate.high + by, estimate.se)


def _models(estimate: Estimate, margin: float, context: Context) -> tuple[str, ...]:
    families, policy = context.families, context.policy
    least = least_runs(families, context.evidence, policy)
    references = len(context.evidence.facts.references)
    return more_models(estimate, margin, families.runs, references, policy.alpha, least)


class _Validity(TypedDict):
    invalid: str
    remedy: tuple[str, ...]


def _validity(scored: Scored, runs: int, own: float, margin: float) -> _Validity:
    """Why the runs' mean supports no PASS: the audited run itself lies outside the margin, or a fit is bad."""
    if runs > 1 and not abs(own) < margin:
        reason = f"the audited run itself lies outside the margin ({own:+.3f}): the other runs do not speak for it"
        return {"invalid": reason, "remedy": OWN_REMEDY if own > 0 else (OTHER_RUN,)}
    return {"invalid": scored.subject.invalid, "remedy": scored.subject.remedy}


def _audited_first(values: Floats, scored: Scored, runs: int) -> Floats:
    """The audited models that the figure averages, then the references: all runs, or the audited model alone."""
    return values if runs == scored.runs else np.concatenate([values[:1], values[scored.runs :]])
