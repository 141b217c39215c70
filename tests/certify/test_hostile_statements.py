"""Correctly signed statements that are malformed, contradict themselves, or carry dates that hide a FAIL."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cases.certified import ISSUED, KEY, PUBLIC, statement

from audit.certify.envelope import CertificateError, encode, sign
from audit.certify.gate import Decision, Demand, decide
from audit.certify.verify import verify_certificate
from audit.errors import AuditError
from audit.policy.policy import load_policy
from audit.record.result import Outcome
from tests.certify.test_gate import NOW, STANDARD, STANDARD_DIGEST, judged, other

MUTATIONS, FEW = 4000, 200  # all of them in the slow tests
SCRAP: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**63, 1.5, "", "PASS", "FAIL", "weights", "\u0455tandard", [], {}, [[]], [{}], [None]),
    *(
        {"": None},
        ["x"],
        {"sha256": "0" * 64},
        {"low": "a", "high": {}},
        "2026-03-01T12:00:00Z",
        "0001-01-01T00:00:00Z",
    ),
)


def verified(document: dict[str, Any], demand: Demand, **changes: Any) -> Any:
    asked: dict[str, Any] = {"public_key_pem": PUBLIC, "model_files": demand.model_files, "now": NOW, **changes}
    return verify_certificate(sign(encode(document), KEY), **asked)


def gated(document: dict[str, Any], demand: Demand, folder: Path) -> Decision:
    path = folder / "certificate.dsse.json"
    path.write_bytes(sign(encode(document), KEY))
    _, (decision,) = decide([path], demand, NOW)
    return decision


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(document: dict[str, Any], everywhere: list[tuple[Any, ...]], generator: random.Random) -> dict[str, Any]:
    """One or two places changed, removed, or doubled."""
    changed = copy.deepcopy(document)
    for _ in range(generator.randrange(1, 3)):
        *way, last = generator.choice(everywhere)
        container: Any = changed
        try:
            for step in way:
                container = container[step]
            if generator.randrange(4) == 0:
                del container[last]
            else:
                container[last] = generator.choice(SCRAP)
        except (LookupError, TypeError):  # the first change removed the place of the second
            continue
    return changed


@pytest.mark.parametrize("count", [FEW, pytest.param(MUTATIONS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("digest", [STANDARD_DIGEST, "1" * 64], ids=["same policy", "another policy"])
def test_signed_malformed_statements_crash_nothing(demand: Demand, tmp_path: Path, digest: str, count: int) -> None:
    """The gate denies, verification refuses; only a change of what no rule reads leaves a PASS."""
    document = statement(judged(STANDARD if digest == STANDARD_DIGEST else other(), digest))
    everywhere, generator = list(places(document)), random.Random(15)
    crashed, allowed = [], 0
    for _ in range(count):
        changed = mutated(document, everywhere, generator)
        try:
            allowed += gated(changed, demand, tmp_path).allowed
            verified(changed, demand)
        except AuditError:
            continue
        except Exception as error:  # noqa: BLE001 - counted
            crashed.append((error, changed))
    assert crashed == []
    assert 0 < allowed < count


@pytest.mark.parametrize(
    ("issued", "max_age"),
    [(-timedelta(days=400), None), (-timedelta(days=60), 30), (timedelta(days=30), None)],
    ids=["expired", "too old", "dated ahead"],
)
def test_dates_limit_a_pass_and_never_a_fail(issued: timedelta, max_age: int | None, demand: Demand) -> None:
    demand = Demand(demand.keys, demand.model_files, STANDARD, STANDARD_DIGEST, "", max_age)
    folder = demand.model_files[0].parent
    good, bad = folder / "good.json", folder / "bad.json"
    good.write_bytes(sign(encode(statement(judged())), KEY))
    assert decide([good], demand, NOW)[0]
    for outcome in (Outcome.FAIL, Outcome.PASS):
        bad.write_bytes(sign(encode(statement(judged(outcome=outcome), issued=ISSUED + issued)), KEY))
        allowed, decisions = decide([good, bad], demand, NOW)
        assert allowed is (outcome is Outcome.PASS)
        assert not decisions[1].allowed
    fail = statement(judged(outcome=Outcome.FAIL), issued=ISSUED + issued)
    assert verified(fail, demand, max_age_days=max_age).verdict is Outcome.FAIL


def ours(document: dict[str, Any]) -> dict[str, Any]:
    return document["predicate"]["unlearningAudit"]  # type: ignore[no-any-return]


def set_finding(document: dict[str, Any], name: str, **changes: Any) -> None:
    (found,) = (f for f in ours(document)["findings"] if f["id"] == name)
    found.update(changes)
    document["predicate"]["passedTests"] = [f["id"] for f in ours(document)["findings"] if f["status"] == "PASS"]


CONTRADICTIONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "gate": (lambda d: ours(d)["gates"][0].update(ok=False), "the gate 'control' is not ok"),
    "weaker access": (
        lambda d: ours(d)["gates"][0].update(name="weaker access: logits", effect="nothing", ok=False),
        "the gate 'weaker access: logits' is not ok",
    ),
    "no gates": (lambda d: ours(d).pop("gates"), "no list of gates"),
    "family": (lambda d: ours(d)["families"][0].update(rejected=True), "family 'D2' rejected"),
    "difference": (
        lambda d: set_finding(d, "membership.auc", kind="difference", status="FAIL"),
        "'membership.auc' failed",
    ),
    "structure": (lambda d: set_finding(d, "membership.auc", kind="structural", status="FAIL"), "failed"),
    "open": (lambda d: set_finding(d, "probe.auc", status="INCONCLUSIVE"), "'probe.auc' is 'INCONCLUSIVE'"),
    "interval": (
        lambda d: set_finding(d, "probe.auc", interval={"low": 0.4, "high": 0.7, "level": 0.9}),
        "'probe.auc' reaches beyond its margin",
    ),
    "no interval": (lambda d: set_finding(d, "probe.auc", interval=None), "reaches beyond its margin"),
    "missing figure": (
        lambda d: (
            ours(d).update(findings=[f for f in ours(d)["findings"] if f["id"] != "probe.tpr_lower"])
            or d["predicate"]["passedTests"].remove("probe.tpr_lower")
        ),
        "'probe.tpr_lower' is missing or open",
    ),
    "no figure": (lambda d: ours(d)["claim"].update(kind="class", access="labels"), "names no figure at labels access"),
    "trace": (
        lambda d: ours(d).update(qualifier="with trace") or d["predicate"].update(result="WARNED"),
        "admits no PASS with trace",
    ),
    "other values": (
        lambda d: ours(d)["policy"]["values"].update(mandatory={}) or ours(d)["gates"][0].update(ok=None),
        "not ok",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_pass_that_contradicts_itself_is_refused_whoever_signed_it(name: str, demand: Demand, tmp_path: Path) -> None:
    change, message = CONTRADICTIONS[name]
    document = statement(judged())
    assert verified(document, demand).contradiction == ""
    change(document)
    with pytest.raises(CertificateError, match=message):
        verified(document, demand)
    assert not gated(document, demand, tmp_path).allowed


def test_a_policy_that_never_passes_passes_nothing(demand: Demand) -> None:
    screening, digest = load_policy("screening")
    with pytest.raises(CertificateError, match="its policy never says PASS"):
        verified(statement(judged(screening, digest)), demand)


def test_what_a_certificate_ascribes_to_a_policy_does_not_matter(demand: Demand, tmp_path: Path) -> None:
    """A signer leaves the values out, or writes laxer ones: the policy in hand decides."""
    for values in ({}, {**STANDARD.model_dump(mode="json"), "mandatory": {}}):
        document = statement(judged())
        ours(document)["findings"] = ours(document)["findings"][:1]
        document["predicate"]["passedTests"] = [ours(document)["findings"][0]["id"]]
        ours(document)["policy"]["values"] = values
        with pytest.raises(CertificateError, match="missing or open"):
            verified(document, demand)
        assert not gated(document, demand, tmp_path).allowed


def test_an_older_certificate_stays_authentic_but_is_accepted_by_none(demand: Demand, tmp_path: Path) -> None:
    document = statement(judged())
    ours(document)["schemaVersion"] = "1.2"
    ours(document)["claim"] |= {"kind": "class", "access": "labels"}
    assert "names no figure at labels access" in verified(document, demand).contradiction
    decision = gated(document, demand, tmp_path)
    assert (decision.allowed, "contradicts the PASS" in decision.reason) == (False, True)
