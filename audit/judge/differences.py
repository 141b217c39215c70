"""The difference tests as findings: D2, D1, and a supplementary t where an attack is no primary."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats
from audit.policy.policy import Policy
from audit.record.findings import Finding, FindingStatus, Interval, Null
from audit.statistics.contrast import contrast
from audit.statistics.intervals import shift
from audit.statistics.model_level import crawford_howell

from .d2 import FEATURE_TITLES, FEATURE_UNITS, D2Test, feature_row, strata_codes
from .equivalence import Context
from .families import Families
from .primaries import ModelTestOf
from .scored import Scored

COINCIDE = (
    0.01  # our choice: references whose statistics lie nearer than this share of its sampling error are one model
)
ROUNDING = 1e-9  # the same of a statistic without such an error, as a share of its size
ONE_MODEL = (
    "supplementary, without a p-value: the references coincide, since training leaves nothing to chance or all of them "
    "score alike; one model is no null"
)


def differences(item: Scored, context: Context) -> list[Finding]:
    """The difference tests of one attack: D2, D1, or a supplementary t where it is no primary."""
    families, found = context.families, []
    if item in families.d2 and families.d2_test is not None:
        found.append(_d2_finding(item, context, families.d2_test))
    adjusted = families.adjusted_d1(item.attack.name)
    if adjusted is not None:
        found.append(_d1_finding(item, context, adjusted, families))
    elif families.aware is not None and families.aware.aware:
        pass  # no number against references that know the forget set
    elif item not in families.d2 and len(context.evidence.facts.references) >= context.policy.references_t:
        found.append(_d1_finding(item, context, None, families))
    return found


def composites(context: Context) -> list[Finding]:
    """The composites of D1: what their members say together."""
    families = context.families
    tests = [test for test in families.listed.d1 if test.composite]
    return [_composite_finding(test, context, families) for test in tests if families.d1_test is not None]


def _composite_finding(test: ModelTestOf, context: Context, families: Families) -> Finding:
    statistic, floor = test.contrast()
    runs, most = families.runs, test.items[0].runs
    if runs < most:
        statistic = np.concatenate([statistic[:1], statistic[most:]])
    estimate, references = shift(statistic, floor, 0.95, runs), statistic[runs:]
    adjusted = families.adjusted_d1(test.name, composite=True)
    rejected = adjusted is not None and _rejected("D1", adjusted, families, context.policy)
    members = ", ".join(item.attack.name for item in test.items)
    return Finding(
        id=f"{test.name}.d1",
        attack=test.name,
        metric="d1",
        title=f"{members} together differ from retrained models",
        kind="difference",
        family="D1",
        role="primary",
        access=max(item.attack.access for item in test.items).name.lower(),
        estimate=estimate.value,
        interval=Interval(low=estimate.low, high=estimate.high, level=0.95),
        unit="standard deviations over all models",
        n_forget=test.items[0].sizes(context.evidence)[0],
        n_holdout=test.items[0].sizes(context.evidence)[1],
        n_references=len(references),
        null=Null(source="references", mean=0.0, sd=float(references.std(ddof=1)), n=len(references)),
        p=None,
        p_adjusted=adjusted,
        status=FindingStatus.FAIL if rejected else FindingStatus.NOT_DETECTED,
        reason=_direction(estimate.value, rejected),
    )


def _d2_finding(item: Scored, context: Context, test: D2Test) -> Finding:
    """The strongest gated feature of the attack: its difference, as the test sees it (within strata)."""
    adjusted, feature = test.adjusted[item.attack.name], test.feature[item.attack.name]
    strata = strata_codes(context.evidence)
    found = contrast(feature_row(item, feature), item.n_forget, strata)
    control = None
    if item.control is not None:
        control = contrast(feature_row(item, feature, control=True), item.n_forget, strata).value
    rejected = _rejected("D2", adjusted, context.families, context.policy)
    title = "Forget examples score differently from never-seen examples"
    if feature != "location":
        title = FEATURE_TITLES[feature]
    n_forget, n_holdout = item.rows()
    return Finding(
        id=f"{item.attack.name}.d2",
        attack=item.attack.name,
        metric="d2",
        title=title if strata is None else f"{title}, within classes",
        kind="difference",
        family="D2",
        role="primary",
        access=item.attack.access.name.lower(),
        estimate=found.value,
        interval=Interval(low=found.value - 1.96 * found.se, high=found.value + 1.96 * found.se, level=0.95),
        unit=FEATURE_UNITS[feature],
        n_forget=n_forget,
        n_holdout=n_holdout,
        n_references=len(context.evidence.facts.references),
        counted="subjects" if item.unit == "subjects" else "rows",
        control=control,
        null=Null(source="permutation", mean=0.0, sd=found.null_sd, n=test.permutations),
        p=None,
        p_adjusted=adjusted,
        status=FindingStatus.FAIL if rejected else FindingStatus.NOT_DETECTED,
        reason=_direction(found.value, rejected, feature),
    )


def _d1_finding(item: Scored, context: Context, adjusted: float | None, families: Families) -> Finding:
    """``adjusted`` None = supplementary: reported with its own p-value, never gated."""
    statistic, floor = item.contrast
    runs = families.runs if item in families.d1 else 1
    if runs < item.runs:
        statistic = np.concatenate([statistic[:1], statistic[item.runs :]])
    estimate = shift(statistic, floor, 0.95, runs)
    p = crawford_howell(statistic, floor)[1] if runs == 1 else None
    rejected = adjusted is not None and _rejected("D1", adjusted, families, context.policy)
    control = item.control_contrast
    references = statistic[runs:]
    is_class = item.subject.statistic is not None and context.evidence.facts.claim.kind == "class"
    what = (
        "More is left of the forgotten classes than in retrained models"
        if is_class
        else ("Forget minus holdout contrast differs from retrained models")
    )
    reason = _direction(estimate.value, rejected)
    alike = adjusted is None and coincide(references, floor)
    if alike:
        reason = ONE_MODEL
    elif adjusted is None:
        reason = "supplementary: not part of the verdict for this claim and access"
    return Finding(
        id=f"{item.attack.name}.d1",
        attack=item.attack.name,
        metric="d1",
        title=what,
        kind="difference",
        family="D1" if adjusted is not None else None,
        role="primary" if adjusted is not None else "supplementary",
        access=item.attack.access.name.lower(),
        estimate=estimate.value,
        interval=None if alike else Interval(low=estimate.low, high=estimate.high, level=0.95),
        unit=item.subject.unit or "score units",
        n_forget=item.sizes(context.evidence)[0],
        n_holdout=item.sizes(context.evidence)[1],
        n_references=len(references),
        counted="subjects" if item.unit == "subjects" and item.subject.statistic is None else "rows",
        control=None if control is None else float(control[0][0] - references.mean()),
        null=Null(source="references", mean=0.0, sd=float(references.std(ddof=1)), n=len(references)),
        p=None if alike else p,
        p_adjusted=adjusted,
        status=FindingStatus.NOTE
        if adjusted is None
        else (FindingStatus.FAIL if rejected else FindingStatus.NOT_DETECTED),
        reason=reason,
    )


def coincide(references: Floats, floor: float) -> bool:
    """Statistics of references (K,) that are one number to rounding: no spread between trainings can be read off.

    Args:
        references: K >= 2 of them.
        floor: the statistic's sampling error over the rows, >= 0.
    """
    return float(np.ptp(references)) <= max(COINCIDE * floor, ROUNDING * float(np.abs(references).max()))


def _rejected(family: str, adjusted: float, families: Families, policy: Policy) -> bool:
    """Attack-level attribution: its adjusted p, times Holm's factor, within a family that was rejected."""
    return families.record(family).rejected and adjusted * families.multiplier[family] <= policy.alpha


def _direction(estimate: float, rejected: bool, feature: str = "location") -> str:
    if not rejected:
        return "no difference detected; this alone is no evidence of forgetting"
    if feature == "spread" and estimate > 0:
        return "the forget set's scores scatter more than never-seen ones: some retained, some over-unlearned"
    if (estimate > 0) is (feature != "lower"):
        return "residual information: the forget set is treated more like training data than an honest retrain would"
    return "over-unlearned: the forget set is recognisable as the deleted set, which reveals it as well"
