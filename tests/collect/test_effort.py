"""Efforts: what they set, what they cost, and what they support."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attacks.base import Attack, discover
from attacks.recovery.relearning import Relearning
from attacks.representation.layer_probe import LayerProbe
from audit.collect.suite import changed, choose
from audit.inputs.config import AttacksSection
from audit.policy.policy import load_policy
from audit.record.inputs import ClaimRecord
from tests.conftest import ARCH, Cli

POLICY = load_policy("standard")[0]
WEIGHTS = ClaimRecord(kind="random", split="attested", access="weights", classes=())


def relearning(**section: object) -> Attack:
    suite = choose(discover(), AttacksSection.model_validate(section), WEIGHTS, POLICY)
    return next(attack for attack in suite.chosen if attack.name == "relearning")


def test_an_effort_sets_the_budget_and_a_parameter_of_ones_own_wins() -> None:
    usual = relearning().parameters
    assert relearning(effort="quick").parameters == usual | Relearning.efforts["quick"]
    assert relearning(effort="thorough").parameters == usual | Relearning.efforts["thorough"]
    own = relearning(effort="quick", parameters={"relearning": {"steps": 12}}).parameters
    assert (own["steps"], own["copies"]) == (12, 1)


def test_a_quick_effort_counts_as_a_change_and_a_thorough_one_does_not() -> None:
    assert set(changed(Relearning, relearning(effort="quick").parameters)) == {"steps", "copies"}
    assert not changed(Relearning, relearning(effort="thorough").parameters)
    assert changed(Relearning, relearning(parameters={"relearning": {"rate": 0.1}}).parameters) == ("rate",)


@pytest.mark.parametrize("attack", discover().values(), ids=discover().keys())
def test_efforts_are_parameters_that_the_attack_takes_and_thorough_costs_most(attack: type[Attack]) -> None:
    usual = attack().parameters
    for effort, values in attack.efforts.items():
        assert effort in ("quick", "thorough")
        assert values.keys() <= usual.keys()
        assert attack(**values).parameters == usual | dict(values)  # type: ignore[call-arg]


def test_the_plan_prices_the_effort(case: Path, cli: Cli) -> None:
    def rows(effort: str) -> int:
        flags = ("--access", "weights", "--split", "attested", "--effort", effort, "--dry-run")
        ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, *flags)
        assert ended.code == 0, ended.err
        line = next(line for line in ended.out.splitlines() if line.strip().startswith("relearning:"))
        assert "train access, gated" in line
        return int(line.partition("gated, ")[2].split()[0])

    assert rows("quick") < rows("standard") < rows("thorough")


def test_named_layers_are_another_run_stand_in_the_record_and_support_no_pass(case: Path, cli: Cli) -> None:
    """Whoever publishes a model could name layers that say nothing."""
    assert changed(LayerProbe, {**LayerProbe().parameters, "layers": "1"}) == ("layers",)
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "--attacks", "layer_probe,membership", "-q")
    found, named = (Path(cli("run", *flags, *more).result["run"]) for more in ((), ("--layers", "1")))
    assert found.name != named.name
    record = json.loads((named / "run.json").read_text())
    attack = next(a for a in record["attacks"] if a["name"] == "layer_probe")
    assert attack["parameters"]["layers"] == "1"
    finding = next(f for f in record["findings"] if f["id"] == "layer_probe.parameters")
    assert finding["reason"].startswith("layers = 1;")
    assert next(gate for gate in record["gates"] if gate["name"] == "attacks ran")["ok"] is False
