"""Do the references know the forget set? Scores are calibrated on them, so then no test against them is valid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks.base import Attack
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.statistics.permutation import max_t

from .d2 import relabellings
from .scored import by_subject

AWARE = 0.01  # our choice: chance that honest references are taken for contaminated ones
ASKED = ("membership", "probe", "label_only")  # most telling first; their scores mean something for one model alone


@dataclass(frozen=True)
class Awareness:
    """What the references' own scores say.

    Attributes:
        aware: they treat the forget set like data that they were trained on.
        reason: in words.
        remedy: what to do about it; empty where there is nothing to do.
    """

    aware: bool
    reason: str
    remedy: tuple[str, ...] = ()


def references_aware(attack: Attack, n_forget: int, evidence: Evidence, policy: Policy) -> Awareness:
    """Compare the references' uncalibrated scores, averaged over them, on forget and holdout rows by permutation.

    Exact where the split holds, for an honest reference saw neither side. Where they saw the forget set, scores
    calibrated on them are too low on it: an honest model looks over-unlearned, and a leaking one honest.

    Args:
        attack: gives the scores.
        n_forget: forget rows, or subjects where rows are averaged.
        evidence: all signals.
        policy: for the number of permutations.
    """
    case, subjects = evidence.case(), evidence.subjects()
    scores = [attack.score([evidence.signals[attack.name, name]], case) for name in evidence.facts.references]
    if subjects is not None:
        scores = [by_subject(score, *subjects)[0] for score in scores]
    rows = np.mean(
        [score.examples[0] / (score.examples[0].std() or 1.0) for score in scores if score.examples is not None], axis=0
    )
    test = max_t(rows[None], relabellings(evidence, policy, n_forget, len(rows)))
    reason = f"scores of {attack.name} on forget against holdout rows, mean of the references: p {test.p:.3g}"
    if not (test.p <= AWARE and test.statistic[0] > 0):
        return Awareness(False, reason)
    reason += "; they treat the forget set like data that they were trained on"
    remedy = ["retrain the references without the forget set"]
    if evidence.facts.claim.split == "assumed":
        reason += ", or the holdout set is no companion of it"
        remedy.append("or draw the holdout set at random from the pool of the forget set, and attest that")
    return Awareness(True, reason, tuple(remedy))
