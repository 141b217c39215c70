"""Monotone in access: a stronger adversary can do all that a weaker one can (statistics.md 10.1).

More attacks in one family dilute each of them, so a model could fail a claim of ``logits`` and pass one of
``features``. The families of every weaker level are therefore computed exactly as if that level had been claimed, and
where one rejects there is no PASS. That cannot make a FAIL, and costs honest models at most alpha of PASS a level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import GRANTS
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.record.findings import WEAKER_ACCESS, Gate

from .d2 import D2Test
from .families import Families, run_families
from .scored import Scored

LEVELS = tuple(GRANTS)  # weakest first


def weaker_levels(scored: Sequence[Scored], evidence: Evidence, policy: Policy, claimed: Families) -> tuple[Gate, ...]:
    """One gate for each weaker level whose families test and take other attacks than those of the level above.

    Args:
        scored: every attack that ran.
        evidence: with the level that was claimed.
        policy: every threshold; alpha is what this look may spend.
        claimed: the families at the claimed level.
    """
    found: list[Gate] = []
    above = claimed
    for level in reversed(LEVELS[: LEVELS.index(evidence.facts.claim.access)]):
        families = run_families(scored, evidence.claimed_at(level), policy)
        if families.tested and families.listed.names != above.listed.names:
            found.insert(0, _gate(level, families, policy))
        above = families
    return tuple(found)


def failing(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates of the weaker levels at which a model would fail, weakest first."""
    return tuple(gate for gate in gates if gate.name.startswith(WEAKER_ACCESS) and not gate.ok)


def rejecting(gates: Sequence[Gate]) -> tuple[str, ...]:
    """Those levels."""
    return tuple(gate.name.removeprefix(WEAKER_ACCESS) for gate in failing(gates))


def _gate(level: str, families: Families, policy: Policy) -> Gate:
    """A policy that accepts a trace inside the margins accepts one that a weaker adversary sees, and says so."""
    rejected = [family for family in families.records if family.rejected]
    p = ", ".join(f"{f.name} p = {f.p_holm:.4f}" for f in families.records if f.p_holm is not None)
    said = f"the families as if {level} had been claimed: {p}"
    if rejected:
        said += f"; a claim of {level} would be a FAIL ({', '.join(_strongest(families, f.name) for f in rejected)})"
    effect = "makes a PASS one with trace" if policy.pass_with_trace else "blocks PASS"
    return Gate(name=f"{WEAKER_ACCESS}{level}", ok=not rejected, effect=effect, reason=said)


def _strongest(families: Families, name: str) -> str:
    """The attack of a family with the smallest adjusted p."""
    test = families.d2_test if name == "D2" else families.d1_test
    if test is None:
        raise ValueError(f"family {name} rejected without a test")
    if isinstance(test, D2Test):
        return min(test.adjusted, key=lambda attack: test.adjusted[attack])
    return families.listed.d1[int(np.argmin(test.adjusted))].name
