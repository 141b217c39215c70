"""From signals to the two families of difference tests, D2 and D1, with Holm between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from attacks.base import Access, Attack, Floats, Ints, Scores

from .evidence import Evidence
from .policy import Policy
from .result import Family
from .statistics.intervals import Estimate, auc_delong
from .statistics.model_level import ModelTest, holm, rank_family, t_family
from .statistics.permutation import MaxT, permutation_max_t

#: what each claimed access level lets an adversary do: activations come with their gradients
GRANTS = {
    "labels": Access.LABELS,
    "logits": Access.LOGITS,
    "features": Access.GRADIENTS,
    "weights": Access.TRAIN,
}


@dataclass(frozen=True, eq=False)
class Scored:
    """One attack's scores on the audited model and, as positive control, on the original in its place.

    ``subject`` and ``control`` hold (J, ...) arrays whose row 0 is the unlearned model or the original, rows 1..K
    the references. ``n_forget`` counts rows, or subjects where rows were averaged per subject.
    """

    attack: Attack
    subject: Scores
    control: Scores | None
    n_forget: int

    @cached_property
    def contrast(self) -> tuple[Floats, float]:
        """Model-level statistic (J,) and the floor of its spread."""
        return _statistic(self.subject, self.n_forget)

    @cached_property
    def control_contrast(self) -> tuple[Floats, float] | None:
        """The same with the original in place of the audited model."""
        return None if self.control is None else _statistic(self.control, self.n_forget)

    def sides(self, *, control: bool = False) -> tuple[Floats, Floats] | None:
        """Per-example scores (J, n_F) and (J, n_H), or None."""
        scores = self.control if control else self.subject
        if scores is None or scores.examples is None:
            return None
        return scores.examples[:, : self.n_forget], scores.examples[:, self.n_forget :]

    def require_sides(self) -> tuple[Floats, Floats]:
        """``sides`` of an attack that has example scores; ValueError where it has none."""
        sides = self.sides()
        if sides is None:
            raise ValueError(f"{self.attack.name} has no example scores")
        return sides

    def rows(self) -> tuple[int, int]:
        """Forget and holdout rows (or subjects) behind the per-example figures."""
        forget, holdout = self.require_sides()
        return forget.shape[1], holdout.shape[1]

    def sizes(self, evidence: Evidence) -> tuple[int | None, int]:
        """The same behind the model-level statistic; class claims use never-seen rows alone, no forget row."""
        if self.subject.examples is None or self.subject.statistic is not None:
            forget = None if evidence.facts.claim.kind == "class" else len(evidence.labels("forget"))
            return forget, len(evidence.labels("holdout"))
        return self.rows()


def _statistic(scores: Scores, n_forget: int) -> tuple[Floats, float]:
    if scores.statistic is not None:
        error = scores.sampling_error
        return scores.statistic, 0.0 if error is None else float(error[1:].mean()) if len(error) > 1 else 0.0
    if scores.examples is None:
        raise ValueError("an attack must return examples or a statistic")
    forget, holdout = scores.examples[:, :n_forget], scores.examples[:, n_forget:]
    error = np.sqrt(forget.var(axis=1) / forget.shape[1] + holdout.var(axis=1) / holdout.shape[1])
    return forget.mean(axis=1) - holdout.mean(axis=1), float(error[1:].mean()) if len(error) > 1 else 0.0


def by_subject(scores: Scores, forget: Ints, holdout: Ints) -> tuple[Scores, int]:
    """Average per-example scores within each data subject: rows of one subject are not independent.

    Returns:
        the scores with one column per subject, forget subjects first, and the number of forget subjects.
    """
    if scores.examples is None:
        return scores, len(np.unique(forget))
    columns = []
    start = 0
    for codes in (forget, holdout):
        side = scores.examples[:, start : start + len(codes)]
        start += len(codes)
        columns += [side[:, codes == code].mean(axis=1) for code in np.unique(codes)]
    return replace(scores, examples=np.stack(columns, axis=1)), len(np.unique(forget))


@dataclass(frozen=True)
class Admission:
    """Whether a family may test, and why."""

    admitted: bool
    reason: str


@dataclass(frozen=True)
class Families:
    """Both families after Holm, with their attacks in the order of their tests."""

    records: tuple[Family, ...]
    d2: tuple[Scored, ...]
    d1: tuple[Scored, ...]
    d2_test: MaxT | None
    d1_test: ModelTest | None
    blind: Estimate | None
    multiplier: dict[str, float]

    def record(self, name: str) -> Family:
        """One family's record."""
        return next(family for family in self.records if family.name == name)


def admit_d2(evidence: Evidence, policy: Policy, blind: Estimate | None) -> Admission:
    """D2 needs a holdout set that is a random companion of the forget set (statistics.md 9.4)."""
    claim = evidence.facts.claim
    references = len(evidence.facts.references)
    if claim.split == "unknown":
        return Admission(False, "the relation of the holdout set to the forget set is declared unknown")
    if "group/forget" in evidence.arrays and evidence.subjects() is None:
        codes = evidence.arrays["group/forget"]
        if len(np.unique(codes)) < len(codes):
            return Admission(
                False, "the forget set has subjects with several rows, the holdout set has no group column"
            )
    subjects = evidence.subjects()
    if subjects is not None and min(len(np.unique(side)) for side in subjects) < 2:
        return Admission(False, "fewer than two data subjects on a side: rows of one subject are not independent")
    if claim.split == "attested":
        return Admission(True, "the split is attested to be a random companion split")
    if references < policy.references_assumed_split:
        return Admission(
            False,
            f"the split is only assumed, which needs {policy.references_assumed_split} references to take out a "
            f"common shift; there are {references}. Attest the split or add references",
        )
    if blind is None:
        return Admission(
            False, "the split is only assumed and the shift check could not run (no inputs, or too few rows)"
        )
    shown = f"a classifier that sees no model tells forget from holdout rows with AUC {blind.value:.3f}"
    bounds = f"90 % interval {blind.low:.3f} to {blind.high:.3f}"
    if blind.low > 0.5 or blind.high >= 0.5 + policy.auc_margin:
        return Admission(False, f"the shift check does not admit the holdout set: {shown} ({bounds})")
    return Admission(True, f"exchangeability assumed, not proven; {shown} ({bounds})")


def admit_d1(evidence: Evidence, policy: Policy) -> Admission:
    """D1 needs enough honest retrains."""
    references = len(evidence.facts.references)
    needed = policy.references_t_class if evidence.facts.claim.kind == "class" else policy.references_t
    if references < needed:
        return Admission(False, f"needs {needed} retrained references, there are {references}")
    return Admission(True, f"{references} retrained references")


def blind_estimate(evidence: Evidence) -> Estimate | None:
    """AUC of the classifier that sees no model, with its 90 % interval."""
    if "blind/forget" not in evidence.arrays:
        return None
    return auc_delong(evidence.arrays["blind/forget"], evidence.arrays["blind/holdout"], 0.9)


def in_reach(attack: Attack, evidence: Evidence) -> bool:
    """The claimed adversary may run this attack."""
    return attack.access <= GRANTS[evidence.facts.claim.access]


def run_families(scored: Sequence[Scored], evidence: Evidence, policy: Policy) -> Families:
    """Run D2 and D1 where admitted on the primary attacks of the claim, Holm between them."""
    kind = evidence.facts.claim.kind
    blind = blind_estimate(evidence)
    primaries = [s for s in scored if kind in s.attack.primary_for and in_reach(s.attack, evidence)]
    admission = {"D2": admit_d2(evidence, policy, blind), "D1": admit_d1(evidence, policy)}
    d2 = [s for s in primaries if s.attack.symmetric and s.sides() is not None]
    if kind == "class":
        d1 = [s for s in primaries if s.subject.statistic is not None]
    else:
        d1 = [s for s in primaries if not (admission["D2"].admitted and s.attack.symmetric)]
    for name, members in (("D2", d2), ("D1", d1)):
        if admission[name].admitted and not members:
            admission[name] = Admission(False, "no primary attack of this claim and access ran")
    d2, d1 = (m if admission[n].admitted else [] for n, m in (("D2", d2), ("D1", d1)))
    count = bool(d2) + bool(d1)
    d2_test = d1_test = None
    p: dict[str, float] = {}
    if d2:
        d2_test = p_d2(d2, evidence, policy)
        p["D2"] = d2_test.p
    if d1:
        statistics = np.stack([s.contrast[0] for s in d1])
        floors = np.array([s.contrast[1] for s in d1])
        d1_test = (rank_family if _use_rank(evidence, policy, count) else t_family)(statistics, floors)
        p["D1"] = d1_test.p
    adjusted = holm(p)
    order = sorted(p, key=lambda name: p[name])
    methods = {
        "D2": f"permutation max-T over {len(d2)} attack{'s' * (len(d2) != 1)}, {policy.permutations} permutations",
        "D1": (
            "exact rank max-T" if _use_rank(evidence, policy, count) else "Crawford-Howell t, normal seed noise assumed"
        )
        + f", {len(d1)} attack{'s' * (len(d1) != 1)}",
    }
    records = tuple(
        Family(
            name=name,
            method=methods[name] if name in p else "not run",
            admitted=admission[name].admitted,
            reason=admission[name].reason,
            p=p.get(name),
            p_holm=adjusted.get(name),
            rejected=name in adjusted and adjusted[name] <= policy.alpha,
        )
        for name in ("D2", "D1")
    )
    multiplier = {name: float(len(p) - rank) for rank, name in enumerate(order)}
    return Families(records, tuple(d2), tuple(d1), d2_test, d1_test, blind, multiplier)


def p_d2(scored: Sequence[Scored], evidence: Evidence, policy: Policy, *, control: bool = False) -> MaxT:
    """Permutation max-T over the given attacks, on the audited model or on the original in its place."""
    rows = []
    for item in scored:
        scores = item.control if control else item.subject
        if scores is None or scores.examples is None:
            raise ValueError(f"{item.attack.name} has no example scores")
        rows.append(scores.examples[0])
    rng = np.random.default_rng([evidence.facts.seed, 0xD2])
    return permutation_max_t(np.stack(rows), scored[0].n_forget, policy.permutations, rng)


def _use_rank(evidence: Evidence, policy: Policy, families: int) -> bool:
    """The exact test once its smallest p-value 1/(K + 1) can reject under Holm."""
    needed = max(policy.references_rank, math.ceil(families / policy.alpha) - 1)
    return len(evidence.facts.references) >= needed
