"""Which statistics each family tests for the claim, with which weights: fixed by policy and design, never by scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attacks.base import Floats
from audit.policy.policy import Policy
from audit.policy.primaries import COMPOSITE, CONTRAST, ROWS, Kind, Primaries
from audit.record.inputs import ClaimRecord

from .scored import Scored


@dataclass(frozen=True, eq=False)
class RowTest:
    """A feature of one attack's row scores in family D2, and its weight."""

    item: Scored
    feature: str
    weight: float


@dataclass(frozen=True, eq=False)
class ModelTestOf:
    """One number a model in family D1: an attack's contrast, or the average of several in a composite.

    Attributes:
        name: of the attack or the composite.
        items: the attacks behind it, one where it is no composite.
        weight: in the family.
        composite: it is one, even where a single member is left.
    """

    name: str
    items: tuple[Scored, ...]
    weight: float
    composite: bool = False

    def contrast(self) -> tuple[Floats, float]:
        """The number of the J + K models, the audited ones first, and the floor of its spread.

        A composite averages its members, each divided by its standard deviation over all models: symmetric, so that
        the t stays exact for normal seed noise (Laeuter 1996). Higher is more left for every contrast, so no sign is
        chosen. Its floor is that of errors which rise and fall together, the largest there is.
        """
        if not self.composite:
            return self.items[0].contrast
        rows, floors = zip(*(item.contrast for item in self.items), strict=True)
        return averaged(np.stack(rows), np.array(floors))


@dataclass(frozen=True, eq=False)
class Listed:
    """The statistics of both families."""

    d2: tuple[RowTest, ...] = ()
    d1: tuple[ModelTestOf, ...] = ()

    @property
    def names(self) -> tuple[tuple[tuple[str, str, float], ...], tuple[tuple[str, float], ...]]:
        """Names and weights within each family: two levels of access with the same ones run the same tests."""
        d2, d1 = (sum(test.weight for test in tests) for tests in (self.d2, self.d1))
        return (
            tuple((t.item.attack.name, t.feature, round(t.weight / d2, 9)) for t in self.d2),
            tuple((t.name, round(t.weight / d1, 9)) for t in self.d1),
        )


def averaged(rows: Floats, floors: Floats) -> tuple[Floats, float]:
    """The average of statistics (A, J) in units of their spread over all J models, and its floor.

    A statistic on which all models agree says nothing and counts as 0.
    """
    spread = rows.std(axis=1, ddof=1)
    agree = np.ptp(rows, axis=1) <= 1e-12 * np.abs(rows).max(axis=1)
    scale = np.where(agree, np.inf, spread)
    centred = rows - rows.mean(axis=1, keepdims=True)
    return (centred / scale[:, None]).mean(axis=0), float((floors / scale).mean())


def attacks_of(tests: Sequence[RowTest]) -> tuple[Scored, ...]:
    """The attacks behind tests of rows, each once."""
    return tuple(dict.fromkeys(test.item for test in tests))


def features_of(policy: Policy, claim: ClaimRecord, attack: str) -> tuple[str, ...]:
    """Features of an attack's scores that the policy lists for this claim."""
    listed = policy.primaries(claim.kind, claim.access)
    return tuple(feature for feature in ROWS if f"{attack}.{feature}" in listed)


def listed(scored: Sequence[Scored], kind: Kind, primaries: Primaries, policy: Policy, *, d2: bool) -> Listed:
    """Divide the primaries that ran between the families.

    Args:
        scored: every attack that ran and that the claimed adversary may run.
        kind: of the claim.
        primaries: ``<attack>.<what>`` with weights.
        policy: says what composites are made of.
        d2: the design admits family D2.
    """
    rows = tuple(
        RowTest(item, feature, primaries[name])
        for item in scored
        for feature in ROWS
        if d2 and _by_rows(item) and (name := f"{item.attack.name}.{feature}") in primaries
    )
    weights = {item.attack.name: _model_weight(item, kind, primaries, d2=d2) for item in scored}
    by_name = {item.attack.name: item for item in scored if "D1" in item.attack.families and _by_model(item, kind)}
    models = [ModelTestOf(name, (item,), weights[name]) for name, item in by_name.items() if weights[name]]
    models += _composites(by_name, primaries, policy.composites)
    return Listed(rows, tuple(models))


def _composites(
    by_name: Mapping[str, Scored], primaries: Primaries, composites: Mapping[str, tuple[str, ...]]
) -> list[ModelTestOf]:
    found = []
    for name, members in composites.items():
        weight = primaries.get(f"{name}.{COMPOSITE}")
        items = tuple(by_name[member] for member in members if member in by_name)
        if weight and items:
            found.append(ModelTestOf(name, items, weight, composite=True))
    return found


def _by_rows(item: Scored) -> bool:
    return item.attack.symmetric and "D2" in item.attack.families and item.sides() is not None


def _by_model(item: Scored, kind: Kind) -> bool:
    """Class claims compare models by what they know of the class, never by single rows."""
    return kind != "class" or item.subject.statistic is not None


def _model_weight(item: Scored, kind: Kind, primaries: Primaries, *, d2: bool) -> float:
    """The weight of an attack's contrast: its own, and that of its rows where they cannot be compared."""
    name = item.attack.name
    weight = primaries.get(f"{name}.{CONTRAST}", 0.0)
    if kind != "class" and not (d2 and _by_rows(item)):
        weight += sum(primaries.get(f"{name}.{feature}", 0.0) for feature in ROWS)
    return weight
