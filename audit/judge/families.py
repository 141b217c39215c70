"""From signals to the two families of difference tests, D2 and D1, with Holm between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.record.findings import Family
from audit.statistics.intervals import Estimate
from audit.statistics.model_level import ModelTest, holm, rank_family, t_family
from audit.statistics.two_sample import smallest_p, two_sample_family

from .admission import Admission, admit_d1, admit_d2, blind_estimate
from .awareness import ASKED, Awareness, references_aware
from .d2 import D2Test, d2_test, permutations, strata_codes
from .scored import Scored, in_reach
from .shams import Shams, sham_d1, sham_d2

NAMES: tuple[Literal["D2", "D1"], ...] = ("D2", "D1")
SHAM_REMEDY = ("another holdout set: scores inside this one do not behave like a random sample of never-seen rows",)


@dataclass(frozen=True)
class Families:
    """Both families after Holm, with their attacks in the order of their tests.

    Attributes:
        records: what is reported of each.
        d2, d1: their attacks.
        d2_test, d1_test: their tests, None where the family may not test.
        blind: AUC of the classifier that sees no model.
        multiplier: Holm's factor of each family that tested.
        shams: sham audits of each family.
        runs: unlearned models that D1 judges together.
        design: what the design admits, before shams and references were looked at.
        aware: do the references know the forget set; None where that could not be asked.
        remedies: what would let a family test that does not.
    """

    records: tuple[Family, ...]
    d2: tuple[Scored, ...]
    d1: tuple[Scored, ...]
    d2_test: D2Test | None
    d1_test: ModelTest | None
    blind: Estimate | None
    multiplier: dict[str, float]
    shams: dict[str, Shams]
    runs: int
    design: dict[str, Admission]
    aware: Awareness | None
    remedies: dict[str, tuple[str, ...]]

    @property
    def tested(self) -> bool:
        """Some family was admitted and tested."""
        return self.d2_test is not None or self.d1_test is not None

    @property
    def members(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the attacks of D2 and of D1."""
        return tuple(s.attack.name for s in self.d2), tuple(s.attack.name for s in self.d1)

    def record(self, name: str) -> Family:
        """One family's record."""
        return next(family for family in self.records if family.name == name)


def run_families(scored: Sequence[Scored], evidence: Evidence, policy: Policy) -> Families:
    """Run D2 and D1 where admitted on the primary attacks of the claim, Holm between them."""
    blind = blind_estimate(evidence)
    admission, members = _members(scored, evidence, policy, blind)
    design = dict(admission)
    aware = _awareness(members["D2"], evidence, policy)
    shams = {name: _shams(name, taken, evidence, policy) for name, taken in members.items() if taken}
    _withdraw(admission, members, shams, aware)
    d2, d1 = members["D2"], members["D1"]
    count = bool(d2) + bool(d1)
    d2_found = d2_test(d2, evidence, policy) if d2 else None
    runs = _usable_runs(d1, evidence, policy, count)
    d1_found, d1_method = _d1_test(d1, runs, evidence, policy, count) if d1 else (None, "")
    p = {name: test.p for name, test in (("D2", d2_found), ("D1", d1_found)) if test is not None}
    methods = {"D2": _d2_method(d2, evidence, policy), "D1": f"{d1_method}, {_attacks(d1)}"}
    order = sorted(p, key=lambda name: p[name])
    return Families(
        records=_records(p, methods, admission, policy),
        d2=tuple(d2),
        d1=tuple(d1),
        d2_test=d2_found,
        d1_test=d1_found,
        blind=blind,
        multiplier={name: float(len(p) - rank) for rank, name in enumerate(order)},
        shams=shams,
        runs=runs,
        design=design,
        aware=aware,
        remedies={name: found.remedy for name, found in admission.items() if not found.admitted},
    )


def _awareness(d2: Sequence[Scored], evidence: Evidence, policy: Policy) -> Awareness | None:
    """Do the references know the forget set? None where no attack can ask."""
    asked = next((s for name in ASKED for s in d2 if s.attack.name == name), None)
    if asked is None or not evidence.facts.references:
        return None
    return references_aware(asked.attack, asked.n_forget, evidence, policy)


def _withdraw(
    admission: dict[str, Admission], members: dict[str, list[Scored]], shams: dict[str, Shams], aware: Awareness | None
) -> None:
    """Take back the admission of families whose shams reject, and of both where the references know the forget set."""
    for name, sham in shams.items():
        if not sham.ok:
            reason = (
                f"a sham audit of honest models inside the holdout set rejects (p = {sham.smallest:.4f}): the test is "
                "invalid here"
            )
            admission[name], members[name] = Admission(False, reason, SHAM_REMEDY), []
    if aware is not None and aware.aware:  # both families lean on the references
        for name in members:
            if admission[name].admitted:
                admission[name] = Admission(False, f"the references are no valid null: {aware.reason}", aware.remedy)
            members[name] = []


def _records(
    p: dict[str, float], methods: dict[str, str], admission: dict[str, Admission], policy: Policy
) -> tuple[Family, ...]:
    adjusted = holm(p)
    return tuple(
        Family(
            name=name,
            method=methods[name] if name in p else "not run",
            admitted=admission[name].admitted,
            reason=admission[name].reason,
            p=p.get(name),
            p_holm=adjusted.get(name),
            rejected=name in adjusted and adjusted[name] <= policy.alpha,
        )
        for name in NAMES
    )


def _d2_method(d2: Sequence[Scored], evidence: Evidence, policy: Policy) -> str:
    strata = ", within classes" if evidence.facts.claim.strata == "label" else ""
    return f"permutation max-T over {_attacks(d2)}, {permutations(policy)} permutations{strata}"


def _attacks(members: Sequence[Scored]) -> str:
    return f"{len(members)} attack{'s' * (len(members) != 1)}"


def _members(
    scored: Sequence[Scored], evidence: Evidence, policy: Policy, blind: Estimate | None
) -> tuple[dict[str, Admission], dict[str, list[Scored]]]:
    """Which attacks each family takes, fixed by the claim and the design alone."""
    kind = evidence.facts.claim.kind
    primaries = [s for s in scored if kind in s.attack.primary_for and in_reach(s.attack, evidence)]
    admission = {"D2": admit_d2(evidence, policy, blind), "D1": admit_d1(evidence, policy)}
    d2 = [s for s in primaries if s.attack.symmetric and "D2" in s.attack.families and s.sides() is not None]
    primaries = [s for s in primaries if "D1" in s.attack.families]
    if kind == "class":
        d1 = [s for s in primaries if s.subject.statistic is not None]
    else:
        d1 = [s for s in primaries if not (admission["D2"].admitted and s.attack.symmetric)]
    members = {"D2": d2, "D1": d1}
    for name, taken in members.items():
        if admission[name].admitted and not taken:
            admission[name] = Admission(False, "no primary attack of this claim and access ran")
        if not admission[name].admitted:
            members[name] = []
    return admission, members


def _usable_runs(d1: Sequence[Scored], evidence: Evidence, policy: Policy, families: int) -> int:
    """All runs of the procedure, where enough models are there for their labels to be permuted; else one."""
    runs = d1[0].runs if d1 else 1
    # twice: the t of the audited run alone has its half
    if runs > 1 and 2 * smallest_p(runs, len(evidence.facts.references)) <= policy.alpha / families:
        return runs
    return 1


def _d1_test(
    d1: Sequence[Scored], runs: int, evidence: Evidence, policy: Policy, families: int
) -> tuple[ModelTest, str]:
    """The strongest test that the design admits: several runs, many references, or the t."""
    statistics = np.stack([s.contrast[0] for s in d1])
    floors = np.array([s.contrast[1] for s in d1])
    single = np.column_stack([statistics[:, 0], statistics[:, d1[0].runs :]])
    if runs > 1:
        # honest runs must not hide an audited model that leaks: both tests, Bonferroni between them
        rng = np.random.default_rng([evidence.facts.seed, 0xD1])
        tests = two_sample_family(statistics, floors, runs, rng), t_family(single, floors)
        best = min(tests, key=lambda test: test.p)
        doubled = ModelTest(min(1.0, 2 * best.p), np.minimum(1.0, 2 * best.adjusted), best.statistic)
        words = f"permutation max-T of {runs} unlearned runs and {statistics.shape[1] - runs} retrains"
        return doubled, f"{words}, and t of the audited run alone (Bonferroni)"
    if _use_rank(evidence, policy, families):
        return rank_family(single, floors), "exact rank max-T"
    return t_family(single, floors), "Crawford-Howell t, normal seed noise assumed"


def _shams(name: str, members: Sequence[Scored], evidence: Evidence, policy: Policy) -> Shams:
    """On honest models, which alone decide whether the family is valid, and on the audited one."""
    seed = [evidence.facts.seed, 0x5A, len(name)]
    with_rows = [s for s in members if s.sides() is not None]
    if not with_rows or (name == "D1" and evidence.facts.claim.kind == "class"):
        return Shams(1.0, 0)  # statistics per model of a class: no part of the holdout set can stand in for it
    honest = np.stack([s.honest_holdout() for s in with_rows])
    models = honest.shape[1]
    if name == "D1":
        audited = np.stack([s.require_sides()[1] for s in with_rows])
        own = sham_d1(audited, policy.shams, np.random.default_rng(seed), [0])
        found = sham_d1(honest, policy.shams, np.random.default_rng(seed), range(models)) if models > 2 else None
        return replace(found or Shams(1.0, own.count, 0), own=own.smallest)
    if not models:
        return Shams(1.0, 0)  # the audited model's own: a random part is exchangeable with the rest whatever the scores
    labels = strata_codes(evidence)
    codes = None if labels is None else labels[len(evidence.labels("forget")) :]
    return sham_d2(honest, policy.shams, policy.permutations, np.random.default_rng(seed), codes)


def _use_rank(evidence: Evidence, policy: Policy, families: int) -> bool:
    """The exact test once its smallest p-value 1/(K + 1) can reject under Holm."""
    needed = max(policy.references_rank, math.ceil(families / policy.alpha) - 1)
    return len(evidence.facts.references) >= needed
