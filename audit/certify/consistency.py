"""A PASS that its own content contradicts: refused whoever signed it.

The tool says PASS only where every gate that blocks one is ok, no difference and no structural finding failed, and
every mandatory figure of the policy is there, none of them open; or where the model is identical to a retrain. A
certificate shows all of this. So what it says can be held against its verdict, by the rules of `audit.judge.verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audit.policy.policy import COVERED
from audit.record.findings import WEAKER_ACCESS, FindingStatus
from audit.record.identical import BAR, EXCUSED, FINDINGS, QUALIFIER, REQUIRED
from audit.record.inputs import INTERNAL

FAILING = ("difference", "structural")
ADMITTED = {"with trace": "pass_with_trace", "transfer": "pass_on_transfer", QUALIFIER: "pass_identical"}


def contradiction(extension: Mapping[str, Any], qualifier: str) -> str:
    """What among its gates, families and findings a PASS cannot be reconciled with, in words; "" where nothing.

    Args:
        extension: our part of a signed statement; its findings are known to be objects with ``id`` and ``status``.
        qualifier: of the PASS.

    Raises:
        ValueError: a part has not the form that the tool writes.
    """
    findings, gates = extension["findings"], _list(extension, "gates")
    failures = _failures(findings, _list(extension, "families"), qualifier)
    found = [*_gates(gates, qualifier), *failures, *_figures(findings, qualifier)]
    if qualifier == QUALIFIER:
        found += _identical(findings, gates, _get(extension.get("claim"), "provenance"))
    return "; ".join(found)


def denied_by(values: Mapping[str, Any], extension: Mapping[str, Any], qualifier: str) -> str:
    """Why a policy of these values does not pass these findings, in words; "" where it does.

    Args:
        values: of the policy.
        extension: as above.
        qualifier: of the PASS.

    Raises:
        ValueError: as above.
    """
    figures = [] if qualifier == QUALIFIER else _mandatory(extension, extension["findings"], values)
    return "; ".join([*_policy(values, qualifier), *figures])


def _gates(gates: Sequence[Any], qualifier: str) -> list[str]:
    for gate in gates:
        if not isinstance(_get(gate, "name"), str) or not isinstance(_get(gate, "effect"), str):
            raise ValueError("a gate has no name or effect")
    return [
        f"the gate {gate['name']!a} is not ok"
        for gate in gates
        if gate.get("ok") is not True and _blocks(gate, qualifier)
    ]


def _blocks(gate: Mapping[str, Any], qualifier: str) -> bool:
    """By its effect; a weaker adversary who sees a trace leaves no other PASS than one with trace."""
    traced = qualifier == "with trace"
    if qualifier == QUALIFIER and gate["name"] in EXCUSED:
        return False
    return "blocks PASS" in gate["effect"] or (gate["name"].startswith(WEAKER_ACCESS) and not traced)


def _failures(findings: Sequence[Any], families: Sequence[Any], qualifier: str) -> list[str]:
    """Failed findings and rejected families; a difference inside every margin is a trace, which some policies admit."""
    traced = qualifier == "with trace"
    failed = [f for f in findings if f["status"] == FindingStatus.FAIL and f.get("kind") in FAILING]
    found = [f"{f['id']!a} failed" for f in failed if f["kind"] == "structural" or not traced]
    rejected = [_get(family, "name") for family in families if _get(family, "rejected") is not False]
    found += [f"the family {name!a} rejected" for name in rejected if not traced]
    return found


def _identical(findings: Sequence[Any], gates: Sequence[Any], provenance: object) -> list[str]:
    """What a PASS rests on where the model is identical to a retrain: its distances, and gates that must be there."""
    found = [] if provenance == "exact" else ["its references are not declared as exact"]
    for name in FINDINGS:
        shown = [f for f in findings if f["id"] == name]
        if len(shown) != 1 or shown[0]["status"] != FindingStatus.PASS or not _small(shown[0].get("estimate")):
            found.append(f"{name!a} does not show it")
    names = [_get(gate, "name") for gate in gates]
    return found + [f"the gate {name!a} is missing" for name in REQUIRED if name not in names]


def _small(share: object) -> bool:
    return isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= BAR


def _figures(findings: Sequence[Any], qualifier: str) -> list[str]:
    """Figures that passed although their interval reaches beyond the margin, and mandatory ones that are open."""
    needed = [f for f in findings if f.get("role") == "mandatory" and qualifier != QUALIFIER]
    found = [f"{f['id']!a} is {f['status']!a}" for f in needed if _open(f)]
    passed = [f for f in findings if f["status"] == FindingStatus.PASS and f.get("kind") == "equivalence"]
    return found + [f"{f['id']!a} reaches beyond its margin" for f in passed if not _inside(f)]


def _open(finding: Mapping[str, Any]) -> bool:
    """Not covered is no obstacle by itself: another figure of its level must have passed."""
    return finding["status"] not in (FindingStatus.PASS, FindingStatus.NOT_COVERED)


def _inside(finding: Mapping[str, Any]) -> bool:
    """The rule of `audit.judge.equivalence`: a lower margin of 0 does not bind."""
    interval, margin = finding.get("interval"), finding.get("margin")
    if not isinstance(margin, list) or len(margin) != 2:
        return False
    low, high = _get(interval, "low"), _get(interval, "high")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (low, high, *margin)):
        return False
    return bool((margin[0] == 0 or low > margin[0]) and high < margin[1])


def _policy(values: Mapping[str, Any], qualifier: str) -> list[str]:
    found = [] if values.get("may_pass") is True else ["its policy never says PASS"]
    if qualifier and values.get(ADMITTED[qualifier]) is not True:
        found.append(f"its policy admits no PASS {qualifier}")
    return found


def _mandatory(extension: Mapping[str, Any], findings: Sequence[Any], values: Mapping[str, Any]) -> list[str]:
    """Every figure that the policy demands at each level of the claim's access: there, not open, one of them passed."""
    claim = extension.get("claim")
    kind, access = _get(claim, "kind"), _get(claim, "access")
    levels = COVERED.get(access) if isinstance(access, str) else None
    if levels is None or not isinstance(kind, str):
        raise ValueError("the claim has no known kind and access")
    release, order = _get(claim, "release"), (None, INTERNAL, *COVERED)  # what recipients hold, least first
    if release not in order:
        raise ValueError("the claim has no known release")
    demanded, status = _get(values.get("mandatory"), kind), {f["id"]: f for f in findings}
    broken = []
    if order.index(release) > order.index(access):
        broken.append(f"recipients hold {release}, the adversary of the claim {access} alone")
    for level in levels:
        names = _get(demanded, level)
        if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
            broken.append(f"its policy names no figure at {level} access")
            continue
        missing = [name for name in names if name not in status or _open(status[name])]
        broken += [f"the mandatory figure {name!a} is missing or open" for name in missing]
        if not any(name in status and status[name]["status"] == FindingStatus.PASS for name in names):
            broken.append(f"no mandatory figure at {level} access passed")
    return broken


def _get(container: object, key: str) -> Any:
    return container.get(key) if isinstance(container, dict) else None


def _list(extension: Mapping[str, Any], key: str) -> list[Any]:
    found = extension.get(key)
    if not isinstance(found, list):
        raise ValueError(f"it has no list of {key}")
    return found
