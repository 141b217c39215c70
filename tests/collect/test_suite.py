"""What cannot change the verdict does not decide what a run costs, and leaving out what can keeps it from PASS."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cases.synthetic import Setup

from attacks.base import GRANTS, discover
from audit.collect.suite import Suite, changed, choose
from audit.errors import UsageError
from audit.inputs.config import AttacksSection, TrainingSection
from audit.inputs.resolve import resolve
from audit.inputs.written import to_toml
from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.policy.primaries import LEVELS
from audit.record.attack_record import LEFT_OUT
from audit.record.inputs import ClaimRecord
from audit.record.result import AuditResult, Outcome
from tests.conftest import ARCH, Cli

POLICY = load_policy("standard")[0].model_copy(update={"permutations": 999, "shams": 0})


def suite(kind: str = "random", access: str = "features", given: Sequence[str] = (), **asked: Any) -> Suite:
    claim = ClaimRecord(kind=kind, split="assumed", access=access)  # type: ignore[arg-type]
    return choose(discover(), AttacksSection.model_validate(asked), claim, POLICY, given)


def gated(kind: str = "random", access: str = "features") -> set[str]:
    """What the policy gates at the level or a weaker one, which may block a PASS."""
    levels = LEVELS[: LEVELS.index(access) + 1]
    return {
        name
        for level in levels
        for name in POLICY.attacks(kind, level)
        if discover()[name].access <= GRANTS[level]  # type: ignore[index]
    }


def names(found: Suite) -> set[str]:
    return {attack.name for attack in found.chosen}


@pytest.mark.parametrize("access", LEVELS)
@pytest.mark.parametrize("kind", ["random", "class", "subject", "other"])
def test_nothing_runs_by_default_that_cannot_change_the_verdict(kind: str, access: str) -> None:
    found = suite(kind, access)
    assert names(found) == gated(kind, access)
    assert "--attacks gated,NAME runs one" in found.left_out["svc_mia"]
    assert names(suite(kind, access, run="default")) == names(found)  # the word of earlier configurations


def test_what_was_given_for_an_attack_brings_it_along() -> None:
    assert discover()["shadow_xgboost"].design == "trained"
    assert "shadow_xgboost" not in gated()
    assert names(suite(given=["trained"])) == gated() | {n for n, a in discover().items() if a.design == "trained"}
    assert names(suite(given=["forget", "concepts"])) == gated() | {"concepts"}
    assert TrainingSection(shadows=16).designs == {"trained"}
    assert TrainingSection(references=4, pipelines=16).designs == {"unlearned"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"run": "all"}, set(discover())),
        ({"run": "gated,uma"}, gated() | {"uma"}),
        ({"run": ["membership, probe"]}, {"membership", "probe"}),
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
    path.write_text('[attacks]\nrun = ["gated", "uma"]\n[attacks.parameters.uma]\nsteps = 7\nreached = 0.2\n')
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
    assert "uma: left out: it decides nothing about this claim" in plan
    ended = cli("run", *flags, "--attacks", "membership,probe", "--skip", "probe", "--quiet")
    assert ended.result["verdict"] != "PASS"
    assert "left out: " in ended.text
    assert cli("run", *flags, "--attacks", "nothing").code == 2
