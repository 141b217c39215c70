"""Utility: is the unlearned model still good for the task that is left? Non-inferiority, never a trade against leaks.

Every figure is "unlearned minus baseline" with a normal interval; the baseline is the mean of the retrained models,
or the original where there is none. Higher is better, so only the lower bound is judged. A broken model is no
evidence of forgetting: it blocks PASS.
"""

from __future__ import annotations

import math

import numpy as np

from attacks.base import Floats, Ints
from attacks.laws import normal_ppf
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.record.findings import Interval
from audit.record.result import UtilityFigure, UtilityRecord

MIN_PART = 20  # our choice: classes and groups with fewer rows are too small to name the worst one


def utility(evidence: Evidence, policy: Policy) -> UtilityRecord:
    """Accuracy on never-seen rows of the task that is left, and the other sides of utility.

    Rows: the test set, with the holdout set where both belong to the task that is left.
    """
    models, references, baseline = evidence.facts.models, evidence.facts.references, evidence.baseline
    if not evidence.knows_quality:
        return _unknown(evidence.task.no_figure, policy)
    words = evidence.task.figure
    mine = evidence.correct("unlearned")
    margin = policy.utility_margin
    original = float(evidence.correct("original").mean()) if "original" in models else None
    if not baseline:
        return UtilityRecord(
            unlearned=float(mine.mean()),
            original=None,
            references=(),
            difference=None,
            margin=margin,
            ok=False,
            reason="no original and no reference to compare with",
            figure=words,
        )
    difference = mine - np.mean([evidence.correct(name) for name in baseline], axis=0)
    against = f"that of {len(references)} retrained models" if references else "the original's"
    test = _figure("test", difference, margin, policy.alpha, f"{words} on {len(mine)} never-seen rows", against)
    figures = [test, *_retain(evidence, baseline, policy, against)]
    figures += _parts(evidence, difference, policy, against)
    figures += _negative_flips(evidence, references, policy)
    failed = [figure for figure in figures if not figure.ok]
    return UtilityRecord(
        unlearned=float(mine.mean()),
        original=original,
        references=tuple(float(evidence.correct(name).mean()) for name in references),
        difference=test.difference,
        margin=margin,
        ok=not failed,
        reason="; ".join(figure.reason for figure in failed or figures[:1]),
        figures=tuple(figures),
        figure=words,
    )


def _unknown(why: str, policy: Policy) -> UtilityRecord:
    """Nothing says how good the models are."""
    return UtilityRecord(
        unlearned=None,
        original=None,
        references=(),
        difference=None,
        margin=policy.utility_margin,
        ok=False,
        reason=f"not measured: {why}",
    )


def _figure(name: str, difference: Floats, margin: float, alpha: float, what: str, against: str) -> UtilityFigure:
    """Non-inferiority of a mean difference: its one-sided lower bound must lie above -margin."""
    bounds = interval(difference, alpha)
    ok = bounds.low > -margin
    reason = f"{what} is not worse than {against} by {margin:g} or more"
    if not ok:
        seen = f"{float(difference.mean()):+.3f} ({bounds.low:+.3f} to {bounds.high:+.3f})"
        reason = (
            f"{what} is worse than {against} by over {margin:g}: {seen}; a broken model is no evidence of forgetting"
            if bounds.high < -margin
            else f"{what} is not shown to lie less than {margin:g} below {against}: {seen}"
        )
    return UtilityFigure(
        name=name,
        rows=len(difference),
        difference=bounds,
        estimate=float(difference.mean()),
        margin=margin,
        ok=ok,
        reason=reason,
    )


def interval(difference: Floats, alpha: float) -> Interval:
    """Normal interval of a mean: each bound errs with probability ``alpha``."""
    mean, n = float(difference.mean()), len(difference)
    half = float(normal_ppf(1 - alpha)) * float(difference.std(ddof=1)) / math.sqrt(n) if n > 1 else 1.0
    return Interval(low=mean - half, high=mean + half, level=1 - 2 * alpha)


def _retain(evidence: Evidence, baseline: tuple[str, ...], policy: Policy, against: str) -> list[UtilityFigure]:
    mine = evidence.correct_retain("unlearned")
    others = [evidence.correct_retain(name) for name in baseline]
    known = [other for other in others if other is not None]
    if mine is None or len(known) < len(others):
        return []  # a run of an older version
    what = f"{evidence.task.figure} on {len(mine)} retain rows"
    return [_figure("retain", mine - np.mean(known, axis=0), policy.utility_margin, policy.alpha, what, against)]


def _parts(evidence: Evidence, difference: Floats, policy: Policy, against: str) -> list[UtilityFigure]:
    """The worst class and the worst group. Small parts cannot show non-inferiority: only a shown loss blocks PASS."""
    found = []
    for name, key in (("worst class", "task/labels"), ("worst group", "task/group")):
        if key in evidence.arrays:
            worst = _worst(difference, np.asarray(evidence.arrays[key]), policy)
            if worst is not None:
                found.append(_part(name, worst, policy, against, evidence.task.figure))
    return found


def _worst(difference: Floats, codes: Ints, policy: Policy) -> tuple[int, Floats, Interval] | None:
    """The part with the lowest difference; its interval is Bonferroni-corrected for the choice among the parts."""
    parts = [code for code in np.unique(codes).tolist() if (codes == code).sum() >= MIN_PART]
    if len(parts) < 2:
        return None
    worst = min(parts, key=lambda code: (float(difference[codes == code].mean()), code))
    rows = difference[codes == worst]
    return int(worst), rows, interval(rows, policy.alpha / len(parts))


def _part(name: str, worst: tuple[int, Floats, Interval], policy: Policy, against: str, words: str) -> UtilityFigure:
    code, rows, bounds = worst
    margin = policy.utility_part_margin
    ok = bounds.high >= -margin
    which = f"class {code}" if name == "worst class" else "a group"
    what = f"{words} on the {len(rows)} rows of the {name} ({which})"
    reason = f"{what} is not shown to be worse than {against} by {margin:g} or more"
    if not ok:
        reason = f"{what} is worse than {against} by more than {margin:g}: a part of the task was broken"
    return UtilityFigure(
        name=name,
        rows=len(rows),
        difference=bounds,
        estimate=float(rows.mean()),
        margin=margin,
        ok=ok,
        reason=reason,
    )


def _negative_flips(evidence: Evidence, references: tuple[str, ...], policy: Policy) -> list[UtilityFigure]:
    """Rows that the original had right and the model has wrong, against the same rate of honest retrains.

    Negative-flip rate: Yan et al., Positive-Congruent Training, CVPR 2021. The sign is turned: higher is better.
    """
    if "original" not in evidence.facts.models or not references or not evidence.task.class_logits:
        return []
    before = evidence.correct("original")
    flips = np.mean([before * (1 - evidence.correct(name)) for name in references], axis=0)
    difference = flips - before * (1 - evidence.correct("unlearned"))
    what = f"the negative-flip rate on {len(before)} never-seen rows"
    return [
        _figure(
            "negative flips",
            difference,
            policy.utility_margin,
            policy.alpha,
            what,
            f"that of {len(references)} retrained models",
        )
    ]
