"""Family D2 on scores: which features it tests, on which strata, and what it shows of the strongest one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from attacks.base import Floats, Ints
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.statistics.features import FEATURES, features
from audit.statistics.permutation import Relabellings, max_t
from audit.statistics.weights import relative_size

from .primaries import RowTest
from .scored import Scored

LOCATION = "location"
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
    """Result of D2.

    Attributes:
        p: p-value of the global null.
        adjusted: adjusted p of each attack's strongest feature, by the attack's name.
        feature: name of that feature.
        permutations: how many were drawn.
    """

    p: float
    adjusted: Mapping[str, float]
    feature: Mapping[str, str]
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


def d2_test(tests: Sequence[RowTest], evidence: Evidence, policy: Policy, *, control: bool = False) -> D2Test:
    """Weighted permutation max-T, on the audited model or on the original in its place.

    Args:
        tests: features of the attacks' scores, with weights.
        evidence: for labels and seed.
        policy: for the number of permutations.
        control: test the original.
    """
    rows = np.stack([feature_row(test.item, test.feature, control=control) for test in tests])
    weights = np.array([test.weight for test in tests])
    test = max_t(rows, relabellings(evidence, policy, tests[0].item.n_forget, rows.shape[1]), weights)
    adjusted: dict[str, float] = {}
    feature: dict[str, str] = {}
    order = np.argsort(-relative_size(test.statistic, weights), kind="stable")
    for i in order:  # the strongest feature of an attack stands for it
        name = tests[i].item.attack.name
        adjusted.setdefault(name, float(test.adjusted[i]))
        feature.setdefault(name, tests[i].feature)
    return D2Test(test.p, adjusted, feature, permutations(policy))


def relabellings(evidence: Evidence, policy: Policy, n_forget: int, n: int) -> Relabellings:
    """The permutations that all tests of one audit's forget against holdout rows share.

    Args:
        evidence: for strata and seed.
        policy: for their number.
        n_forget: forget rows, or subjects.
        n: rows of both sides.
    """
    codes = strata_codes(evidence)
    strata = None if codes is None else tuple(codes.tolist())
    return _relabellings(evidence.facts.seed, n, n_forget, permutations(policy), strata)


@lru_cache(maxsize=1)  # the tests of one audit follow one another; KEPT_BYTES at most stay until the next one
def _relabellings(seed: int, n: int, n_forget: int, count: int, strata: tuple[int, ...] | None) -> Relabellings:
    codes = None if strata is None else np.array(strata)
    return Relabellings(n, n_forget, count, np.random.default_rng([seed, 0xD2]), codes)


def sees(item: Scored, evidence: Evidence, policy: Policy) -> float:
    """p of the original's mean score alone: does the attack see the forget set in it?"""
    return d2_test([RowTest(item, LOCATION, 1.0)], evidence, policy, control=True).p
