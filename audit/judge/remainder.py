"""The visible remainder: how visible the forget set still is, as a share of what it was in the original."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audit.record.findings import Finding, FindingStatus
from audit.record.result import Verdict
from audit.statistics.intervals import Estimate
from audit.statistics.remainder import visible_remainder
from audit.statistics.sample_size import remainder_rows

from .equivalence import Context, Figure, finding_of
from .scored import Scored

METRIC = "remainder"
NOT_A_COUNT = "it counts no rows: all of them at a quarter of their strength, or some of them in full, may read alike"


def remainder(scored: Scored, context: Context, tail: Figure) -> list[Finding]:
    """The remainder in the scores of a symmetric attack; nothing without the original.

    Args:
        scored: an attack of family D2.
        context: evidence, policy and families.
        tail: its figure of the upper tail, with the same on the original.
    """
    control = scored.sides(control=True)
    if control is None or not isinstance(tail.control, Estimate):
        return []
    policy, audited = context.policy, scored.require_sides()
    rng = np.random.default_rng([context.evidence.facts.seed, 0x4E])
    mine, theirs = ((forget[0], holdout[0]) for forget, holdout in (audited, control))
    estimate = visible_remainder(mine, theirs, policy.tpr_fpr, context.level, rng)
    clears = tail.control.low > policy.tpr_fpr and math.isfinite(estimate.high)
    unclear = (
        f"undefined: the upper tail of the original ({tail.control.value:.3f}, {tail.control.low:.3f} to "
        f"{tail.control.high:.3f}) does not clear the {policy.tpr_fpr:.0%} that never-seen rows have"
    )
    figure = replace(
        tail,
        metric=METRIC,
        title=f"Visible remainder: upper {policy.tpr_fpr:.0%} tail beyond that of never-seen rows, original = 1",
        estimate=estimate if clears else None,
        margin=(0.0, policy.remainder_margin or 1.0),
        control=1.0,
        seen=tail.seen and clears,
        null=(),
        settle=_settle(scored, context, tail.control.value),
        unseen=tail.unseen if clears else (unclear, ()),
    )
    found = finding_of(scored, context, figure)
    if policy.remainder_margin:
        return [found]
    said = f"{_said(found)}; {NOT_A_COUNT}" if clears else unclear
    return [_unbounded(found, said)]


def _unbounded(finding: Finding, said: str) -> Finding:
    """Reported, not judged: the policy sets no bound."""
    return finding.model_copy(
        update={
            "kind": "exploratory",
            "role": "supplementary",
            "margin": None,
            "status": FindingStatus.NOTE,
            "reason": f"exploratory: {said}",
            "settle": (),
        }
    )


def _settle(scored: Scored, context: Context, original: float) -> tuple[str, ...]:
    """Rows with which an honest model would stay below the bound."""
    policy = context.policy
    if not policy.remainder_margin:
        return ()
    rows = remainder_rows(*scored.rows(), original, policy.tpr_fpr, policy.remainder_margin, policy.alpha)
    return () if rows is None else (f"about {rows} forget {scored.unit}, with holdout {scored.unit} in proportion",)


def sized(verdict: Verdict, findings: Sequence[Finding], figures: Sequence[str]) -> Verdict:
    """The verdict, with the largest remainder of the gated attacks in its sentence where one is defined.

    Args:
        verdict: as decided.
        findings: of the audit.
        figures: mandatory ones, which say what attacks are gated.
    """
    gated = {name.partition(".")[0] for name in figures}
    found = [f for f in findings if f.metric == METRIC and f.attack in gated and f.estimate is not None]
    if not found:
        return verdict
    most = max(found, key=lambda f: f.estimate or 0.0)
    size = f" The forget set is {_said(most)}, by {most.attack.replace('_', ' ')}."
    return verdict.model_copy(update={"sentence": verdict.sentence + size})


def _said(finding: Finding) -> str:
    share, interval = finding.estimate, finding.interval
    assert share is not None
    assert interval is not None
    return (
        f"as visible as {max(share, 0):.0%} of the {finding.counted} fully retained ({max(interval.low, 0):.0%} to "
        f"{max(interval.high, 0):.0%}, {interval.level:.0%} interval)"
    )
