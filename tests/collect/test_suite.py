"""What cannot change the verdict does not decide what a run costs, and leaving out what can keeps it from PASS."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from cases.synthetic import Setup

from attacks.base import Access, discover
from audit.collect.suite import LEFT_OUT, Suite, changed, choose
from audit.errors import UsageError
from audit.inputs.config import AttacksSection
from audit.inputs.resolve import resolve, to_toml
from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.policy.primaries import LEVELS
from audit.record.inputs import ClaimRecord
from audit.record.result import AuditResult, Outcome
from tests.conftest import ARCH, Cli

COSTLY = {name for name, attack in discover().items() if attack.costly}
#: need what the adversary of a claim of features does not have
WEIGHTS = {name for name, attack in discover().items() if attack.access >= Access.WEIGHTS}
ASIDE = COSTLY | WEIGHTS
POLICY = load_policy("standard")[0].model_copy(update={"permutations": 999, "shams": 0})


def suite(kind: str = "random", access: str = "features", **asked: Any) -> Suite:
    claim = ClaimRecord(kind=kind, split="assumed", access=access)  # type: ignore[arg-type]
    return choose(discover(), AttacksSection.model_validate(asked), claim, POLICY)


def names(found: Suite) -> set[str]:
    return {attack.name for attack in found.chosen}


def test_by_default_all_but_what_costs_much_and_decides_nothing() -> None:
    assert {"uma", "svc_mia"} <= COSTLY
    assert {"layer_profile", "relearning"} <= WEIGHTS
    assert set(suite().left_out) == ASIDE
    assert set(suite("class").left_out) == ASIDE - {"uma"}  # it decides there
    assert names(suite()) | ASIDE == set(discover())
    assert "does not have the weights; --attacks default,NAME" in suite().left_out["layer_profile"]
    gated = {name for level in LEVELS for name in POLICY.attacks("random", level)}
    assert set(suite(access="weights").left_out) == COSTLY - gated
    assert "--attacks default,NAME runs one" in suite().left_out["uma"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"run": "all"}, set(discover())),
        ({"run": "default,uma"}, (set(discover()) - ASIDE) | {"uma"}),
        ({"run": ["membership, probe"]}, {"membership", "probe"}),
        ({"run": ["gated"]}, {name for level in LEVELS[:3] for name in POLICY.attacks("random", level)}),
        ({"run": ["all"], "skip": ["uma"]}, set(discover()) - {"uma"}),
    ],
)
def test_what_is_asked_for_runs(asked: dict[str, Any], expected: set[str]) -> None:
    found = suite(**asked)
    assert names(found) == expected
    assert set(found.left_out) == set(discover()) - expected
    assert all(reason.startswith(LEFT_OUT) for reason in found.left_out.values())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"run": ["membreship"]}, "no attack 'membreship': choose from .*feature_mapping"),
        ({"skip": ["all"]}, "no attack 'all'"),
        ({"parameters": {"umma": {}}}, "no attack 'umma'"),
        ({"parameters": {"uma": {"step": 3}}}, r"\[attacks.parameters.uma\] step: its parameters are steps, restarts"),
        ({"run": "all", "parameters": {"uma": {"steps": 0}}}, r"\[attacks.parameters.uma\]: uma: steps must be >= 1"),
    ],
)
def test_what_does_not_exist_is_refused_in_words(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        suite(**asked)


def test_parameters_reach_the_attack_and_the_configuration_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text('[attacks]\nrun = ["default", "uma"]\n[attacks.parameters.uma]\nsteps = 7\nreached = 0.2\n')
    config, _ = resolve({}, path)
    found = suite(**config.attacks.model_dump())
    (uma,) = (attack for attack in found.chosen if attack.name == "uma")
    assert (uma.parameters["steps"], uma.parameters["reached"]) == (7, 0.2)
    assert changed(type(uma), uma.parameters) == ("steps", "reached")
    assert tomllib.loads(to_toml(config))["attacks"]["parameters"] == {"uma": {"steps": 7, "reached": 0.2}}


def judged(**change: Any) -> AuditResult:
    """An honest audit, one attack of it changed."""
    evidence = Setup(seed=1, n_forget=2000, n_holdout=4000).evidence()
    runs = tuple(run.model_copy(update=change.get(run.name, {})) for run in evidence.facts.attacks)
    evidence.facts = evidence.facts.model_copy(update={"attacks": runs})
    return judge(evidence, POLICY, "0" * 64)


def ran(result: AuditResult) -> Any:
    return next(gate for gate in result.gates if gate.name == "attacks ran")


def test_a_gated_attack_that_is_left_out_or_changed_keeps_the_verdict_from_pass() -> None:
    assert judged().verdict.outcome is Outcome.PASS
    left = judged(feature_mapping={"status": "skipped", "reason": f"{LEFT_OUT}skipped on request (--skip)"})
    assert left.verdict.outcome is Outcome.INCONCLUSIVE
    assert ran(left).reason == "left out: feature_mapping"
    assert any("feature_mapping: left out: skipped on request" in line for line in left.not_tested)
    name, value = next(iter(discover()["probe"]().parameters.items()))
    other = judged(probe={"parameters": {**discover()["probe"]().parameters, name: int(value) + 1}})
    assert other.verdict.outcome is Outcome.INCONCLUSIVE
    assert ran(other).reason.endswith("measured: probe")


def test_the_command_line_says_what_it_leaves_out(case: Path, cli: Cli) -> None:
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "--split", "attested")
    plan = cli("run", *flags, "--dry-run").out
    assert "uma: left out: it decides nothing about this claim and costs much" in plan
    ended = cli("run", *flags, "--attacks", "membership,probe", "--skip", "probe", "--quiet")
    assert ended.result["verdict"] != "PASS"
    assert "left out: " in ended.text
    assert cli("run", *flags, "--attacks", "nothing").code == 2
