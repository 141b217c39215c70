"""Family D2 on scores: which features it tests, on which strata, and what it shows of the strongest one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.base import Floats, Ints
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.statistics.features import FEATURES, features
from audit.statistics.permutation import permutation_max_t

from .scored import Scored

LOCATION = ("location",)
FEATURE_TITLES = {
    "location": "Mean score of forget against holdout examples",
    "upper": "Forget examples in the upper 5 % of all scores (few examples fully retained)",
    "lower": "Forget examples in the lower 5 % of all scores (over-unlearned examples)",
    "spread": "Spread of the forget examples' scores (part retained, part over-unlearned)",
}
FEATURE_UNITS = {
    "location": "score units",
    "upper": "difference of shares",
    "lower": "difference of shares",
    "spread": "squared score units",
}


@dataclass(frozen=True)
class D2Test:
    """Result of D2 over A attacks.

    Attributes:
        p: p-value of the global null.
        adjusted: (A,) adjusted p of each attack's strongest feature.
        feature: name of that feature, one an attack.
        permutations: how many were drawn.
    """

    p: float
    adjusted: Floats
    feature: tuple[str, ...]
    permutations: int


def strata_codes(evidence: Evidence) -> Ints | None:
    """Labels of forget and holdout rows where they were drawn class by class, else None."""
    if evidence.facts.claim.strata != "label":
        return None
    return np.concatenate([evidence.labels("forget"), evidence.labels("holdout")])


def permutations(policy: Policy) -> int:
    """Enough for the smallest alpha that a ledger leaves (statistics.md 2.2)."""
    return max(policy.permutations, math.ceil(20 / policy.alpha) - 1)


def feature_row(item: Scored, name: str, *, control: bool = False) -> Floats:
    """One feature of the scores of the audited model, or of the original in its place; (n,), forget rows first."""
    scores = item.control if control else item.subject
    if scores is None or scores.examples is None:
        raise ValueError(f"{item.attack.name} has no example scores")
    return np.asarray(features(scores.examples[0])[FEATURES.index(name)])


def d2_test(
    scored: Sequence[Scored],
    evidence: Evidence,
    policy: Policy,
    *,
    control: bool = False,
    names: Sequence[str] | None = None,
) -> D2Test:
    """Permutation max-T over the given attacks, on the audited model or on the original in its place.

    Args:
        scored: the attacks.
        evidence: for labels and seed.
        policy: for the number of permutations and the gated features.
        control: test the original.
        names: features that enter; the policy's where silent.
    """
    names = policy.d2_features if names is None else names
    rows = np.stack([feature_row(item, name, control=control) for item in scored for name in names])
    rng = np.random.default_rng([evidence.facts.seed, 0xD2])
    count = permutations(policy)
    test = permutation_max_t(rows, scored[0].n_forget, count, rng, strata_codes(evidence))
    shape = (len(scored), len(names))
    best = np.abs(test.statistic).reshape(shape).argmax(axis=1)
    adjusted = test.adjusted.reshape(shape)[np.arange(len(scored)), best]
    return D2Test(test.p, adjusted, tuple(names[i] for i in best), count)
