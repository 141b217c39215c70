"""Exploratory findings: reported with their intervals, never gated. No PASS and no FAIL rests on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audit.record.findings import Finding, FindingStatus, Interval, Null
from audit.statistics.clustered import auc_clustered
from audit.statistics.conformal import benjamini_yekutieli, conformal_p, needed_discoveries
from audit.statistics.epsilon import Bounds, split_bounds
from audit.statistics.features import FEATURES, features
from audit.statistics.one_run import one_run_epsilon
from audit.statistics.permutation import max_t
from audit.statistics.subjects import worst_subject

from .d2 import FEATURE_TITLES, permutations, relabellings
from .equivalence import Context
from .primaries import features_of
from .scored import Scored

FALSE_DISCOVERY_RATE = 0.1  # our choice (statistics.md 2.5)


def exploratory(scored: Scored, context: Context) -> list[Finding]:
    """What the scores of a symmetric attack say besides the gated figures; nothing for attacks outside D2."""
    if scored not in context.families.d2:
        return []
    found = [*_features(scored, context), *_privacy_loss(scored, context)]
    if context.evidence.facts.claim.split == "coins":
        found.append(_one_run(scored, context))
    if context.evidence.facts.references:
        found.append(_records(scored, context))
    if context.evidence.subjects() is not None and len(context.evidence.facts.references) >= 2:
        found.append(_worst_subject(scored, context))
    if scored.by_row is not None:
        found.append(_auc_by_row(scored, context))
    return found


def _finding(scored: Scored, context: Context, metric: str, title: str, reason: str, **fields: Any) -> Finding:
    n_forget, n_holdout = scored.rows()
    return Finding(
        id=f"{scored.attack.name}.{metric}",
        attack=scored.attack.name,
        metric=metric,
        title=title,
        kind="exploratory",
        role="supplementary",
        access=scored.attack.access.name.lower(),
        n_forget=n_forget,
        n_holdout=n_holdout,
        n_references=len(context.evidence.facts.references),
        counted="subjects" if scored.unit == "subjects" else "rows",
        status=FindingStatus.NOTE,
        reason=f"exploratory: {reason}",
        **fields,
    )


def _features(scored: Scored, context: Context) -> list[Finding]:
    """The features of the scores that the policy does not gate, max-T over all of them for this attack."""
    gated = features_of(context.policy, context.evidence.facts.claim, scored.attack.name)
    extra = [name for name in FEATURES if name not in gated]
    if not extra or scored.subject.examples is None:
        return []
    rows = features(scored.subject.examples[0])
    count = permutations(context.policy)
    shared = relabellings(context.evidence, context.policy, scored.n_forget, rows.shape[1])
    test = max_t(rows[[FEATURES.index(name) for name in extra]], shared)
    return [
        _finding(
            scored,
            context,
            f"feature_{name}",
            FEATURE_TITLES[name],
            f"permutation test over {len(extra)} further features of the scores",
            estimate=float(test.statistic[i]),
            unit="standard errors",
            p_adjusted=float(test.adjusted[i]),
            null=Null(source="permutation", mean=0.0, sd=1.0, n=count),
        )
        for i, name in enumerate(extra)
    ]


def _privacy_loss(scored: Scored, context: Context) -> list[Finding]:
    """epsilon and mu of this attack at one threshold, chosen on one half of the rows and measured on the other."""
    forget, holdout = (side[0] for side in scored.require_sides())
    if min(len(forget), len(holdout)) < 2 * context.policy.min_forget:
        return []
    rng = np.random.default_rng([context.evidence.facts.seed, 0xE5])
    alpha = 2 * context.policy.alpha
    split = split_bounds(forget, holdout, alpha, rng)
    what = (
        f"of this attack at one threshold, chosen on one half of the rows, measured on {split.n_forget} forget and "
        f"{split.n_holdout} holdout rows of the other. Not a bound of the algorithm"
    )
    return [
        _bounds(scored, context, "epsilon", "Privacy loss epsilon that the attack shows", split.epsilon, what, alpha),
        _bounds(scored, context, "mu", "Gaussian privacy loss mu that the attack shows", split.mu, what, alpha),
    ]


def _bounds(
    scored: Scored, context: Context, metric: str, title: str, bounds: Bounds, what: str, alpha: float
) -> Finding:
    if math.isfinite(bounds.high):
        interval = Interval(low=bounds.low, high=bounds.high, level=1 - alpha)
        return _finding(scored, context, metric, title, what, interval=interval)
    reason = f"{what}. No finite upper bound at this number of rows; lower bound {bounds.low:.3g}"
    return _finding(scored, context, metric, title, reason)


def _one_run(scored: Scored, context: Context) -> Finding:
    """Steinke et al. 2023: every row was included by a fair coin; the half that scores higher is guessed included."""
    forget, holdout = (side[0] for side in scored.require_sides())
    scores = np.concatenate([forget, holdout])
    n = len(scores)
    member = np.arange(n) < len(forget)
    order = np.argsort(scores, kind="stable")
    guessed = np.zeros(n, dtype=bool)
    guessed[order[n // 2 :]] = True
    correct = int((guessed == member).sum())
    # ties across the cut are broken by position, forget rows first: count them as wrong guesses
    cut = scores[order[n // 2]]
    correct -= int(((scores == cut) & (guessed == member)).sum()) if (scores == cut).sum() > 1 else 0
    low = one_run_epsilon(n, n, max(correct, 0), 0.0, context.policy.alpha)
    return _finding(
        scored,
        context,
        "epsilon_one_run",
        "Lower bound of the procedure's epsilon from one run",
        f"{correct} of {n} fair coins guessed; holds for training and unlearning together, at delta 0",
        estimate=low,
    )


def _records(scored: Scored, context: Context) -> Finding:
    """Single rows that stand out from the references: a count, with the false discovery rate controlled."""
    forget, _ = scored.require_sides()
    p = conformal_p(forget)
    flagged = int((benjamini_yekutieli(p) <= FALSE_DISCOVERY_RATE).sum())
    references = len(context.evidence.facts.references)
    needed = needed_discoveries(forget.shape[1], references, FALSE_DISCOVERY_RATE)
    power = "no number of rows could be flagged" if needed is None else f"at least {needed} at once could be flagged"
    return _finding(
        scored,
        context,
        "records",
        "Single rows that score higher than with every retrain",
        f"{flagged} of {forget.shape[1]} rows at a false discovery rate of {FALSE_DISCOVERY_RATE:g} (conformal p, "
        f"Benjamini-Yekutieli); with {references} references {power}",
        estimate=float(flagged),
        unit="rows",
    )


def _auc_by_row(scored: Scored, context: Context) -> Finding:
    """AUC of single rows; its interval counts subjects, for rows of one subject are not independent."""
    subjects = context.evidence.subjects()
    assert subjects is not None
    assert scored.by_row is not None
    assert scored.by_row.examples is not None
    cut = len(subjects[0])
    rows = scored.by_row.examples[0]
    estimate = auc_clustered(rows[:cut], rows[cut:], *subjects, context.level)
    return _finding(
        scored,
        context,
        "auc_rows",
        "AUC of single forget against holdout rows",
        f"{cut} forget and {len(rows) - cut} holdout rows in clusters, one for each subject (Obuchowski 1997)",
        estimate=estimate.value,
        interval=Interval(low=estimate.low, high=estimate.high, level=context.level),
    )


def _worst_subject(scored: Scored, context: Context) -> Finding:
    """The data subject that stands out most, corrected for the choice among all subjects of the forget set."""
    forget, _ = scored.require_sides()
    worst = worst_subject(forget, np.arange(forget.shape[1]), context.policy.alpha)
    return _finding(
        scored,
        context,
        "worst_subject",
        "The data subject of the forget set that stands out most from the retrains",
        f"largest of {worst.subjects} subjects, Bonferroni; a bound above 0 says that this subject is remembered",
        estimate=worst.estimate,
        interval=Interval(low=worst.low, high=worst.high, level=1 - 2 * context.policy.alpha),
        unit="score units",
        p_adjusted=worst.p,
    )
