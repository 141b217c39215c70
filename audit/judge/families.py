"""From signals to the two families of difference tests, D2 and D1, with Holm between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
from .d2 import D2Test, d2_test, permutations
from .primaries import Listed, ModelTestOf, RowTest, attacks_of, listed
from .scored import Scored, in_reach
from .shams import Shams, family_shams

NAMES: tuple[Literal["D2", "D1"], ...] = ("D2", "D1")
MOST_RUNS = 20  # our choice: where so many would not do for a test, the references are too few
SHAM_REMEDY = ("another holdout set: scores inside this one do not behave like a random sample of never-seen rows",)


@dataclass(frozen=True, eq=False)
class Families:
    """Both families after Holm.

    Attributes:
        records: what is reported of each.
        listed: the statistics that they test.
        d2_test, d1_test: their tests, None where the family may not test; that of D1 in the order of ``listed``.
        blind: AUC of the classifier that sees no model.
        multiplier: Holm's factor of each family that tested.
        shams: sham audits of each family.
        runs: unlearned models that D1 judges together.
        design: what the design admits, before shams and references were looked at.
        aware: do the references know the forget set; None where that could not be asked.
        remedies: what would let a family test that does not.
    """

    records: tuple[Family, ...]
    listed: Listed
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

    @cached_property
    def d2(self) -> tuple[Scored, ...]:
        """The attacks of D2."""
        return attacks_of(self.listed.d2)

    @cached_property
    def d1(self) -> tuple[Scored, ...]:
        """The attacks of D1, those in a composite included."""
        return tuple(dict.fromkeys(item for test in self.listed.d1 for item in test.items))

    def adjusted_d1(self, name: str, *, composite: bool = False) -> float | None:
        """Adjusted p of an attack's contrast or of a composite in D1; None where it is not tested on its own."""
        keys = [(test.name, test.composite) for test in self.listed.d1]
        known = self.d1_test is not None and (name, composite) in keys
        return float(self.d1_test.adjusted[keys.index((name, composite))]) if self.d1_test and known else None

    def record(self, name: str) -> Family:
        """One family's record."""
        return next(family for family in self.records if family.name == name)


def run_families(scored: Sequence[Scored], evidence: Evidence, policy: Policy) -> Families:
    """Run D2 and D1 where admitted on the primaries of the claim, Holm between them."""
    blind = blind_estimate(evidence)
    admission, found = _members(scored, evidence, policy, blind)
    design = dict(admission)
    asked = attacks_of(found.d2) or (scored if evidence.facts.coinciding else ())
    aware = _awareness(asked, evidence, policy)
    shams = family_shams(found, evidence, policy)
    _withdraw(admission, shams, aware)
    found = Listed(
        found.d2 if admission["D2"].admitted else (),
        found.d1 if admission["D1"].admitted else (),
    )
    count = bool(found.d2) + bool(found.d1)
    d2_found = d2_test(found.d2, evidence, policy) if found.d2 else None
    runs = _usable_runs(found.d1, evidence, policy, count)
    d1_found, d1_method = _d1_test(found.d1, runs, evidence, policy, count) if found.d1 else (None, "")
    p = {name: test.p for name, test in (("D2", d2_found), ("D1", d1_found)) if test is not None}
    methods = {
        "D2": _d2_method(found, evidence, policy),
        "D1": f"{d1_method}, {_counted(found.d1)}{_weighted(found.d1)}",
    }
    order = sorted(p, key=lambda name: p[name])
    return Families(
        records=_records(p, methods, admission, policy),
        listed=found,
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


def _awareness(attacks: Sequence[Scored], evidence: Evidence, policy: Policy) -> Awareness | None:
    """Do the references know the forget set? None where no attack can ask."""
    able = [s for s in attacks if in_reach(s.attack, evidence) and s.sides() is not None]
    asked = next((s for name in ASKED for s in able if s.attack.name == name), None)
    if asked is None or not evidence.facts.references:
        return None
    return references_aware(asked.attack, asked.n_forget, evidence, policy)


def _withdraw(admission: dict[str, Admission], shams: dict[str, Shams], aware: Awareness | None) -> None:
    """Take back the admission of families whose shams reject, and of both where the references know the forget set."""
    for name, sham in shams.items():
        if not sham.ok:
            reason = (
                f"a sham audit of honest models inside the holdout set rejects (p = {sham.smallest:.4f}): the test is "
                "invalid here"
            )
            admission[name] = Admission(False, reason, SHAM_REMEDY)
    if aware is not None and aware.aware:  # both families lean on the references
        for name in NAMES:
            if admission[name].admitted:
                admission[name] = Admission(False, f"the references are no valid null: {aware.reason}", aware.remedy)


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


def _d2_method(found: Listed, evidence: Evidence, policy: Policy) -> str:
    strata = ", within classes" if evidence.facts.claim.strata == "label" else ""
    counted = f"{_counted(attacks_of(found.d2))}{_weighted(found.d2)}"
    return f"permutation max-T over {counted}, {permutations(policy)} permutations{strata}"


def _counted(members: Sequence[object]) -> str:
    return f"{len(members)} attack{'s' * (len(members) != 1)}"


def _weighted(tests: Sequence[RowTest] | Sequence[ModelTestOf]) -> str:
    return " by their weights" if len({test.weight for test in tests}) > 1 else ""


def _members(
    scored: Sequence[Scored], evidence: Evidence, policy: Policy, blind: Estimate | None
) -> tuple[dict[str, Admission], Listed]:
    """Which statistics each family takes, fixed by the claim and the design alone."""
    claim = evidence.facts.claim
    admission = {"D2": admit_d2(evidence, policy, blind), "D1": admit_d1(evidence, policy)}
    reachable = [item for item in scored if in_reach(item.attack, evidence)]
    primaries = policy.primaries(claim.kind, claim.access)
    found = listed(reachable, claim.kind, primaries, policy, d2=admission["D2"].admitted)
    for name, taken in (("D2", found.d2), ("D1", found.d1)):
        if admission[name].admitted and not taken:
            admission[name] = Admission(False, "no primary attack of this claim and access ran")
    return admission, Listed(found.d2, found.d1 if admission["D1"].admitted else ())


def _usable_runs(d1: Sequence[ModelTestOf], evidence: Evidence, policy: Policy, families: int) -> int:
    """All runs of the procedure, where enough models are there for their labels to be permuted; else one."""
    runs = d1[0].items[0].runs if d1 else 1
    return runs if runs > 1 and _permutable(runs, evidence, policy, families) else 1


def _permutable(runs: int, evidence: Evidence, policy: Policy, families: int) -> bool:
    # twice: the t of the audited run alone has its half
    return 2 * smallest_p(runs, len(evidence.facts.references)) <= policy.alpha / families


def least_runs(families: Families, evidence: Evidence, policy: Policy) -> int:
    """Fewest unlearned runs that figures would be averaged over, at least 2: with fewer D1 has no test of several."""
    count = max(1, len(families.multiplier))
    return next((j for j in range(2, MOST_RUNS) if _permutable(j, evidence, policy, count)), MOST_RUNS)


def _d1_test(
    d1: Sequence[ModelTestOf], runs: int, evidence: Evidence, policy: Policy, families: int
) -> tuple[ModelTest, str]:
    """The strongest test that the design admits: several runs, many references, or the t."""
    contrasts = [test.contrast() for test in d1]
    statistics = np.stack([rows for rows, _ in contrasts])
    floors = np.array([floor for _, floor in contrasts])
    weights = np.array([test.weight for test in d1])
    single = np.column_stack([statistics[:, 0], statistics[:, d1[0].items[0].runs :]])
    if runs > 1:
        # honest runs must not hide an audited model that leaks: both tests, Bonferroni between them
        rng = np.random.default_rng([evidence.facts.seed, 0xD1])
        pair = two_sample_family(statistics, floors, runs, rng, weights), t_family(single, floors, weights)
        best = min(pair, key=lambda test: test.p)
        doubled = ModelTest(min(1.0, 2 * best.p), np.minimum(1.0, 2 * best.adjusted), best.statistic)
        words = f"permutation max-T of {runs} unlearned runs and {statistics.shape[1] - runs} retrains"
        return doubled, f"{words}, and t of the audited run alone (Bonferroni)"
    if _use_rank(evidence, policy, families):
        return rank_family(single, floors, weights), "exact rank max-T"
    return t_family(single, floors, weights), "Crawford-Howell t, normal seed noise assumed"


def _use_rank(evidence: Evidence, policy: Policy, families: int) -> bool:
    """The exact test once its smallest p-value 1/(K + 1) can reject under Holm."""
    needed = max(policy.references_rank, math.ceil(families / policy.alpha) - 1)
    return len(evidence.facts.references) >= needed
