"""Findings about what stands inside the unlearned network (docs/statistics.md, facts without a test)."""

from __future__ import annotations

from collections.abc import Sequence

from audit.collect.evidence import Facts
from audit.collect.held_rows import HeldRows
from audit.collect.idle_parts import IdleParts
from audit.collect.inside import Inside
from audit.policy.policy import Policy
from audit.record.findings import Finding, FindingStatus, Gate

WHITE_BOX = ("features", "weights")
BLACK_BOX = "; no effect on a black-box claim"

WORKS = 0.9  # our choice: rows that the units found label like the original, from where on they are a working copy
EQUAL = 1e-5  # our choice: relative distance up to which they are the original's own; training moves units further
HALF = 0.5  # our choice: idle parts that hold this share of the original's weights have room for a copy
GATE_P = 1e-3  # our choice: p of more forget than holdout rows that they answer for

Found = tuple[str, FindingStatus, str]


def inside_findings(facts: Facts, policy: Policy) -> list[Finding]:
    """The original, forget rows, parts that answer for forget rows, and large idle parts, where they were found.

    FAIL where the original's whole encoder or the forget rows themselves stand in the network, INCONCLUSIVE for weaker
    evidence and where a network does not bear the search (nothing was shown of it), NOTE at black-box access.
    """
    inside, structure = facts.structure.inside, facts.structure
    if not policy.structural or structure.identical:
        return []
    found = [] if structure.encoder_identical else _original(inside)
    found += [_rows(item) for item in inside.rows] + _gate(inside.idle) + _idle(inside)
    if inside.problem:
        found.append(("inside_search", FindingStatus.INCONCLUSIVE, inside.problem))
    judged = facts.claim.access in WHITE_BOX
    return [_finding(*item, judged=judged) for item in _joined(found)]


def inside_gate(findings: Sequence[Finding]) -> Gate | None:
    """What keeps the network from a PASS without failing it; None where there is nothing."""
    found = [f for f in findings if f.kind == "structural" and f.status is FindingStatus.INCONCLUSIVE]
    if not found:
        return None
    reason = "; ".join(f.reason for f in found)
    return Gate(name="nothing hidden in the network", ok=False, effect="blocks PASS", reason=reason)


def _original(inside: Inside) -> list[Found]:
    """Does what was found work as the original does, by itself?"""
    if not inside.found:
        return []
    alone, rest = inside.agreement, inside.excused_agreement
    asked = alone is not None and rest is not None and rest < WORKS  # else count: the rest alone labels rows alike
    if (alone if asked and alone is not None else inside.least) < WORKS:
        return []
    where = ", ".join(f"{name} in {tensor}" for name, _, _, tensor in inside.places[:4])
    where += " ..." if len(inside.places) > 4 else ""
    reason = (
        f"{inside.found} of {inside.counted} units of the original's encoder stand in the network, up to order, scale "
        f"and {inside.distance:.1g} of their length ({where})"
    )
    if asked:
        reason += f"; they alone, with the original's head, label {alone:.0%} of rows as the original does"
    fails = inside.least == 1 and inside.distance <= EQUAL
    return [("inside", FindingStatus.FAIL if fails else FindingStatus.INCONCLUSIVE, reason)]


def _rows(item: HeldRows) -> Found:
    of_holdout = f"{item.holdout} of {item.of_holdout} holdout rows"
    reason = f"{item.forget} of {item.of_forget} forget rows stand in {item.tensor}"
    reason += f" ({item.exact} of them number for number), as {item.seen_as}" if item.exact else f", as {item.seen_as}"
    own = item.seen_as.startswith("input")
    return "forget_rows", FindingStatus.FAIL if own else FindingStatus.INCONCLUSIVE, f"{reason}; {of_holdout} do"


def _gate(idle: IdleParts) -> list[Found]:
    if not idle.forget or _by_chance(idle) > GATE_P:
        return []
    reason = (
        f"{_names(idle)} change no output on retain and test rows, but on {idle.forget} of {idle.of_forget} forget "
        f"rows and {idle.holdout} of {idle.of_holdout} holdout rows: the network recognises forget rows"
    )
    return [("gate", FindingStatus.INCONCLUSIVE, reason)]


def _by_chance(idle: IdleParts) -> float:
    """Chance of as many forget rows or more among those whose outputs change, were these drawn at random (Fisher)."""
    from scipy import stats

    total, hits = idle.of_forget + idle.of_holdout, idle.forget + idle.holdout
    return float(stats.hypergeom.sf(idle.forget - 1, total, hits, idle.of_forget))


def _idle(inside: Inside) -> list[Found]:
    """Room for a copy that the search would not recognise."""
    idle = inside.idle
    if not idle.names:
        return []
    share = idle.entries / inside.weights if inside.weights else 0.0
    reason = f"{_names(idle)} change no output on retain and test rows: {idle.entries} weights"
    if inside.weights:
        reason += f", {share:.0%} of the original's encoder"
    return [("idle", FindingStatus.INCONCLUSIVE if share >= HALF else FindingStatus.NOTE, reason)]


def _names(idle: IdleParts) -> str:
    return ", ".join(idle.names[:6]) + (" ..." if len(idle.names) > 6 else "")


def _joined(found: Sequence[Found]) -> list[Found]:
    """One finding for each id: its worst status, every reason."""
    worst = (FindingStatus.FAIL, FindingStatus.INCONCLUSIVE, FindingStatus.NOTE)
    names = dict.fromkeys(metric for metric, _, _ in found)
    return [
        (
            name,
            next(status for status in worst if any(m == name and s is status for m, s, _ in found)),
            "; ".join(reason for metric, _, reason in found if metric == name),
        )
        for name in names
    ]


TITLES = {
    "inside": "Units of the original's encoder inside the network",
    "forget_rows": "Forget rows inside the network's tensors",
    "gate": "Parts that answer for forget rows alone",
    "idle": "Parts that no retained row uses",
    "inside_search": "Searches inside the network that could not run",
}
WAYS = {
    "inside": "retrain these layers, or declare layers that never saw the forget set as public_layers",
    "forget_rows": "take the forget rows out of the network",
    "gate": "take out what answers for the forget rows alone",
    "idle": "take out what no retained row uses",
    "inside_search": "give networks whose forward pass bears other weights (torch.func.functional_call), or claim "
    "--access logits",
}


def _finding(metric: str, status: FindingStatus, reason: str, *, judged: bool) -> Finding:
    deciding = judged and status is not FindingStatus.NOTE
    return Finding(
        id=f"structure.{metric}",
        attack="structure",
        metric=metric,
        title=TITLES[metric],
        kind="structural",
        role="primary" if deciding else "supplementary",
        access="weights",
        status=status if judged else FindingStatus.NOTE,
        reason=reason if judged or status is FindingStatus.NOTE else f"{reason}{BLACK_BOX}",
        settle=(WAYS[metric],) if deciding else (),
    )
