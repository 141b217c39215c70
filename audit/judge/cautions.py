"""Warnings beside every verdict: declarations that the data speak against, or that had no effect."""

from __future__ import annotations

import numpy as np

from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.statistics.permutation import permutation_max_t

from .d2 import strata_codes
from .families import Families

CONTRADICTED = 0.001  # our choice: chance that a true attestation is called contradicted


def cautions(evidence: Evidence, families: Families, policy: Policy) -> tuple[str, ...]:
    """Sentences that stand beside the verdict, whatever it is."""
    return (*_split(evidence, families, policy), *_runs(evidence, families))


def _split(evidence: Evidence, families: Families, policy: Policy) -> tuple[str, ...]:
    """An attested split whose rows a classifier tells apart without any model."""
    claim, blind = evidence.facts.claim, families.blind
    if claim.split not in ("attested", "coins") or blind is None or blind.value <= 0.5:
        return ()
    subjects = evidence.subjects()
    if subjects is not None and any(len(np.unique(side)) < len(side) for side in subjects):
        return ()  # rows of a subject give each other away: that is no shift
    forget, holdout = evidence.arrays["blind/forget"], evidence.arrays["blind/holdout"]
    scores = np.concatenate([forget, holdout])
    strata = strata_codes(evidence)
    if strata is not None and len(strata) != len(scores):
        return ()  # the classifier saw a part of the rows, of classes that are not known here
    rng = np.random.default_rng([evidence.facts.seed, 0xB1])
    p = permutation_max_t(scores[None], len(forget), policy.permutations, rng, strata).p
    if p > CONTRADICTED:
        return ()
    within = "" if strata is None else " within classes too"
    return (
        f"the split is {claim.split}, but the data speak against it: a classifier that sees no model tells forget from "
        f"holdout rows{within} (AUC {blind.value:.3f}, permutation p {p:.2g}). If they are no random companions, "
        "neither a PASS nor a FAIL of this audit holds",
    )


def _runs(evidence: Evidence, families: Families) -> tuple[str, ...]:
    """Further unlearned runs that the figures do not use."""
    given = len(evidence.facts.runs)
    if not given:
        return ()
    if families.runs == 1:
        return (
            f"{given} further unlearned runs were given and not used: family D1 has too few models to permute, or does "
            "not run. The verdict is about the audited model alone",
        )
    if families.d2 and evidence.facts.claim.kind != "class":
        names = ", ".join(item.attack.name for item in families.d2)
        return (
            f"the {given} further unlearned runs enter family D1 alone. Family D2 and its figures ({names}) judge the "
            "audited model alone, and the verdict is about that model",
        )
    return ()
