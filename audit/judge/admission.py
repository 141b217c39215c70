"""Which family of difference tests a design admits: fixed by the claim and the data, never by the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.statistics.intervals import Estimate, auc_interval


@dataclass(frozen=True)
class Admission:
    """Whether a family may test, why, and what would let it."""

    admitted: bool
    reason: str
    remedy: tuple[str, ...] = ()


def admit_d2(evidence: Evidence, policy: Policy, blind: Estimate | None) -> Admission:
    """D2 needs a holdout set that is a random companion of the forget set (statistics.md 9.4)."""
    claim = evidence.facts.claim
    references = len(evidence.facts.references)
    least = policy.references_t_class if claim.kind == "class" else policy.references_t
    coincide = evidence.facts.coinciding is not None  # then more references say no more than one
    enough = () if coincide else (f"at least {least} retrained references",)
    companion = "a holdout set drawn at random from the pool of the forget set (--split attested)"
    if claim.split == "unknown":
        reason = "the relation of the holdout set to the forget set is declared unknown"
        return Admission(False, reason, (*enough, companion))
    if "group/forget" in evidence.arrays and evidence.subjects() is None:
        codes = evidence.arrays["group/forget"]
        if len(np.unique(codes)) < len(codes):
            reason = "the forget set has subjects with several rows, the holdout set has no group column"
            return Admission(False, reason, ("give the holdout set a group column: the data subject of each row",))
    subjects = evidence.subjects()
    if subjects is not None and claim.strata == "label" and len(np.unique(subjects[0])) < len(subjects[0]):
        reason = "subjects with several rows have no one class to be drawn by: declare no strata"
        return Admission(False, reason, ("declare no strata, where subjects were drawn whatever their classes",))
    if subjects is not None and min(len(np.unique(side)) for side in subjects) < 2:
        reason = "fewer than two data subjects on a side: rows of one subject are not independent"
        return Admission(False, reason, ("rows of more data subjects in the forget and the holdout set", *enough))
    if claim.split in ("attested", "coins"):
        return Admission(True, "the split is attested to be a random companion split")
    if coincide:
        reason = "the split is only assumed, and references that coincide take out no common shift"
        return Admission(False, reason, (companion,))
    if references < policy.references_assumed_split:
        return Admission(
            False,
            f"the split is only assumed, which needs {policy.references_assumed_split} references to take out a "
            f"common shift; there are {references}. Attest the split or add references",
            (
                f"at least {policy.references_assumed_split} retrained references",
                "or declare --split attested, if the holdout set was drawn at random from the pool of the forget set",
            ),
        )
    if blind is None:
        return Admission(
            False,
            "the split is only assumed and the shift check could not run (no inputs, or too few rows)",
            (*enough, companion),
        )
    shown = f"a classifier that sees no model tells forget from holdout rows with AUC {blind.value:.3f}"
    bounds = f"90 % interval {blind.low:.3f} to {blind.high:.3f}"
    if blind.low > 0.5 or blind.high >= 0.5 + policy.auc_margin:
        reason = f"the shift check does not admit the holdout set: {shown} ({bounds})"
        return Admission(False, reason, (*enough, companion))
    return Admission(True, f"exchangeability assumed, not proven; {shown} ({bounds})")


def admit_d1(evidence: Evidence, policy: Policy) -> Admission:
    """D1 needs enough honest retrains."""
    references = len(evidence.facts.references)
    coincide = evidence.facts.coinciding
    if coincide is not None:
        return Admission(False, f"the recipe leaves nothing to chance: {coincide.references} retrains have no spread")
    needed = policy.references_t_class if evidence.facts.claim.kind == "class" else policy.references_t
    if references < needed:
        reason = f"needs {needed} retrained references, there are {references}"
        return Admission(False, reason, (f"at least {needed} retrained references",))
    return Admission(True, f"{references} retrained references")


def blind_estimate(evidence: Evidence) -> Estimate | None:
    """AUC of the classifier that sees no model, with its 90 % interval."""
    if "blind/forget" not in evidence.arrays:
        return None
    return auc_interval(evidence.arrays["blind/forget"], evidence.arrays["blind/holdout"], 0.9)
