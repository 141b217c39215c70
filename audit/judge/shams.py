"""Sham audits (statistics.md 9.4a): pseudo-forget sets inside the holdout set, which no model has seen.

A family that finds a leak of rows that nobody trained on tests something else than it says: it is invalid then and
can neither FAIL nor PASS. So honest models, the references and the original (which saw no holdout row either), take
the audited model's place in turn. The pseudo-forget sets are drawn at random, so that a sham rejects by chance with
the chance below alone; they check the scores and the test, not the pipeline of the references.

The audited model's own shams close no family: it would escape its FAIL by scores that scatter. Those of D1 are a
finding about that model, and keep it from a PASS where they reject (statistics.md 10.10). Those of D2 would say
nothing: a random part is exchangeable with the rest whatever the scores, so they reject by chance alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attacks.base import Floats, Ints
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.record.findings import Finding, FindingStatus, Gate
from audit.statistics.model_level import t_family
from audit.statistics.permutation import Relabellings, max_t

from .d2 import strata_codes
from .primaries import Listed, attacks_of
from .scored import Scored

LEVEL = 0.01  # chance that the shams of a valid family reject (statistics.md G2)


@dataclass(frozen=True)
class Shams:
    """The sham audits of one family.

    Attributes:
        smallest: smallest p over the pseudo-forget sets, adjusted for the number of models; 1 where none could run.
        count: how many pseudo-forget sets there were.
        models: honest models that took the audited one's place.
        own: the same on the audited model alone; None where it was not asked.
    """

    smallest: float
    count: int
    models: int = 1
    own: float | None = None

    @property
    def bar(self) -> float:
        """Bonferroni: the shams share a model and are not independent."""
        return LEVEL / max(self.count, 1)

    @property
    def ok(self) -> bool:
        """No sham rejected."""
        return self.smallest > self.bar

    @property
    def own_ok(self) -> bool:
        """No sham of the audited model rejected."""
        return self.own is None or self.own > self.bar


def family_shams(found: Listed, evidence: Evidence, policy: Policy) -> dict[str, Shams]:
    """The sham audits of each family that has something to test."""
    members = {"D2": list(attacks_of(found.d2)), "D1": [item for test in found.d1 for item in test.items]}
    return {name: _shams(name, taken, evidence, policy) for name, taken in members.items() if taken}


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


def sham_d2(holdout: Floats, shams: int, permutations: int, rng: np.random.Generator, strata: Ints | None) -> Shams:
    """Each of ``shams`` disjoint parts of the holdout rows against the rest, by permutation, max-T over all scores.

    Args:
        holdout: (A, M, n_H) scores of A attacks on M models.
        shams: number of parts.
        permutations: of each.
        rng: generator.
        strata: (n_H,) code of each row's stratum, or None.
    """
    attacks, models, n = holdout.shape
    p: list[float] = []
    shared: dict[int, Relabellings] = {}  # by size of the part; strata differ from part to part
    for part, rest in _parts(n, shams, rng):
        order = np.concatenate([part, rest])
        codes = None if strata is None else strata[order]
        if codes is not None or len(part) not in shared:
            shared[len(part)] = Relabellings(n, len(part), permutations, rng, codes)
        rows = holdout[:, :, order].reshape(attacks * models, n)
        p.append(max_t(rows, shared[len(part)]).p)
    return Shams(min(p, default=1.0), len(p), models)


def sham_d1(holdout: Floats, shams: int, rng: np.random.Generator, places: Sequence[int]) -> Shams:
    """The contrast of each part on one model against the contrasts on all others, by t, for one model after another.

    Args:
        holdout: (A, M, n_H) scores of A attacks on M models, M >= 3.
        shams: number of parts.
        rng: generator.
        places: models that take the audited one's place; Bonferroni over them.
    """
    p = []
    for part, rest in _parts(holdout.shape[2], shams, rng):
        contrasts = holdout[:, :, part].mean(axis=2) - holdout[:, :, rest].mean(axis=2)
        variance = holdout.var(axis=2) * (1 / len(part) + 1 / len(rest))
        for j in places:
            statistics = np.column_stack([contrasts[:, j], np.delete(contrasts, j, axis=1)])
            floors = np.sqrt(np.delete(variance, j, axis=1).mean(axis=1))
            p.append(min(1.0, len(places) * t_family(statistics, floors).p))
    return Shams(min(p, default=1.0), len(p) // len(places), len(places))


def own_findings(shams: Mapping[str, Shams]) -> list[Finding]:
    """What the audited model's own shams say, where they ran."""
    return [
        Finding(
            id="sham.d1",
            attack="sham",
            metric="d1",
            title="The model's own scores inside the holdout set, as family D1 sees them",
            kind="exploratory",
            family="D1",
            role="supplementary",
            access="labels",
            p_adjusted=min(1.0, sham.own * sham.count),
            status=FindingStatus.NOTE,
            reason=f"exploratory: {_said(sham.own, sham)}",
        )
        for sham in shams.values()
        if sham.own is not None and sham.count
    ]


def sham_gates(shams: Mapping[str, Shams]) -> list[Gate]:
    """One gate for each family whose shams ran, and one for the audited model's own."""
    found = [
        Gate(
            name=f"sham audits {name}",
            ok=sham.ok,
            effect=f"blocks family {name}",
            reason=f"{sham.count} pseudo-forget sets inside the holdout set, {sham.models} honest models in the "
            f"audited one's place, smallest p {sham.smallest:.3g} (must stay above {sham.bar:.3g})",
        )
        for name, sham in shams.items()
        if sham.count and sham.models
    ]
    return found + [
        Gate(name="sham audits of the model", ok=sham.own_ok, effect="blocks PASS", reason=_said(sham.own, sham))
        for sham in shams.values()
        if sham.own is not None and sham.count
    ]


def _said(own: float, sham: Shams) -> str:
    found = f"{sham.count} parts of the holdout set in the forget set's place, smallest p {own:.3g}"
    if sham.own_ok:
        return f"{found}: the model's scores there behave like those of an honest model"
    return f"{found}, not above {sham.bar:.3g}: its scores on rows that no model has seen are unlike an honest model's"


def _parts(n: int, shams: int, rng: np.random.Generator) -> list[tuple[Ints, Ints]]:
    """Disjoint random parts of the rows with their complements; none where they would have fewer than ten rows."""
    if shams == 0 or n // (shams + 1) < 10:
        return []
    order = rng.permutation(n)
    size = n // (shams + 1)
    return [
        (order[i * size : (i + 1) * size], np.concatenate([order[: i * size], order[(i + 1) * size :]]))
        for i in range(shams)
    ]
