"""Concepts: a known direction, exact gradients, what cannot be told, and the role from the file to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases.networks import cnn, vit
from cases.stub import gaussian_case
from torch import nn

import audit
from attacks.base import Case, Floats, Ints, NotApplicable, Scores
from attacks.representation.concepts import Concepts
from attacks.representation.layer_gradients import layer_gradients
from audit import demo
from audit.inputs.data import Arrays
from fixtures.cases.digits_world import small_case
from fixtures.cases.module_view import ModuleView
from tests.conftest import ARCH, Cli, Ended, arrays

ATTACK = Concepts(max_rows=64)
HEAD = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, 1.0], [-1.0, 0.0, -2.0]])


def with_concepts(case: Case, x: Floats, y: Ints) -> Case:
    given = Arrays(x, y)
    return replace(case, sets={**case.sets, "concepts": given}, labels={**case.labels, "concepts": y})


def axis_case(kind: str = "random", classes: tuple[int, ...] = (), strength: float = 5.0) -> Case:
    """Concept 1: the first coordinate is large; concept 2: nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.repeat([1, 2, 0], [60, 60, 80])
    x[y == 1, 0] += strength
    return with_concepts(gaussian_case(kind, classes, n=60), x, y)  # type: ignore[arg-type]


def linear_network(head: Floats = HEAD, shift: float = 0.0) -> nn.Module:
    """The hidden layer that is found holds the inputs themselves."""
    parts = [nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)]
    with torch.no_grad():
        for part, weight in zip(parts, (np.eye(3), np.eye(3), head + shift * np.array([3.0, -2.0, 1.0])), strict=True):
            part.weight.copy_(torch.tensor(weight))
            part.bias.zero_()
    return nn.Sequential(*parts).double().eval()


def observed(network: nn.Module, case: Case) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return dict(ATTACK.observe(ModuleView(network, case.sets), None, case, np.random.default_rng(0)))


def scored(case: Case, *networks: nn.Module) -> Scores:
    return ATTACK.score([observed(network, case) for network in networks], case)


def test_a_known_direction_gives_the_known_score() -> None:
    case = axis_case()
    found = observed(linear_network(), case)
    assert found["accuracy"][0, 0] > 0.95
    assert found["accuracy"][0, 1] < 0.7
    rises = (HEAD - HEAD.mean(axis=0))[case.labels["forget"], 0] > 0
    np.testing.assert_array_equal(found["focus"][:, 0, 0], rises)
    scores = scored(case, linear_network())
    others = (HEAD - HEAD.mean(axis=0))[case.labels["holdout"], 0] > 0
    np.testing.assert_allclose(scores.statistic, rises.mean() - others.mean(), atol=1e-12)
    assert "concept 2 left out" in " ".join(scores.details)
    assert "(20 draws)" in scores.details[-1]


def test_class_claims_ask_for_the_forgotten_class_on_both_sides() -> None:
    case = axis_case("class", (2,))
    found = observed(linear_network(), case)  # the logit of class 2 falls along the first coordinate
    assert not found["focus"][:, 0, 0].any()
    assert not found["other"][:, 0, 0].any()
    np.testing.assert_allclose(scored(case, linear_network()).statistic, 0)


def test_what_every_logit_shares_changes_nothing() -> None:
    case = axis_case()
    np.testing.assert_array_equal(
        observed(linear_network(), case)["focus"], observed(linear_network(shift=5.0), case)["focus"]
    )


def test_a_concept_counts_where_every_model_can_tell_it() -> None:
    """A model whose hidden layer lacks the first coordinate takes the concept from all, in any order of models."""
    case, blind = axis_case(), linear_network()
    with torch.no_grad():
        blind[0].weight[0] = 0  # type: ignore[index]
    for order in ((linear_network(), blind), (blind, linear_network())):
        with pytest.raises(NotApplicable, match="no concept can be told"):
            scored(case, *order)


def test_no_gradient_supports_no_pass() -> None:
    assert "gradient vanishes on 100%" in scored(axis_case(), linear_network(np.zeros((3, 3)))).invalid


def test_gradients_that_are_not_finite_are_a_reason() -> None:
    class Broken(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = super().forward(x)
            return out + torch.sqrt((out * 0).abs())  # finite, its derivative at 0 is not

    with pytest.raises(NotApplicable, match="not finite"):
        observed(Broken(*linear_network()).double().eval(), axis_case())  # type: ignore[misc]


@pytest.mark.parametrize("change", ["absent", "few", "no layer"])
def test_what_is_missing_is_a_reason(change: str) -> None:
    case, network = axis_case(), linear_network()
    if change == "absent":
        case, reason = gaussian_case("random", n=60), "--concepts FILE.npz"
    elif change == "few":
        case, reason = with_concepts(case, np.zeros((50, 3)), np.repeat([0, 1, 2], [39, 8, 3])), "0 has 39, 1 has 8"
    else:
        network, reason = nn.Sequential(nn.Linear(3, 3)).double().eval(), "no hidden layer"
    with pytest.raises(NotApplicable, match=reason):
        observed(network, case)


@pytest.mark.parametrize("network", [cnn(), vit()])
def test_gradients_are_those_of_a_step_at_every_position(network: nn.Module) -> None:
    """In-place activations, BatchNorm, attention: against finite differences of the whole network."""
    case = small_case()
    view = ModuleView(network.double(), case.sets)
    rows, weights = np.arange(6), np.tile(np.eye(10)[3] - 0.1, (6, 1))
    layers = view.layers()
    found = layer_gradients(view, case, "forget", rows, weights, layers, 4)
    x = torch.tensor(np.asarray(case.sets["forget"].batch(rows)), dtype=torch.float64)
    private = view.network()
    modules = dict(private.module.named_modules())
    for layer, gradients in zip(layers, found, strict=True):
        units = -1 if isinstance(modules[layer], nn.Linear) else 1
        for unit in (0, gradients.shape[1] - 1):
            up, down = (
                moved(modules, layer, units, unit, step, lambda: private.forward(x)).detach().numpy() @ weights[0]
                for step in (1e-6, -1e-6)
            )
            np.testing.assert_allclose(gradients[:, unit], (up - down) / 2e-6, atol=1e-5)


def moved(
    modules: dict[str, nn.Module], layer: str, units: int, unit: int, step: float, call: Callable[[], torch.Tensor]
) -> torch.Tensor:
    """Outputs after a step of one unit of what a layer reads, everywhere that it is read (a residual beside it)."""

    def changed(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x.select(units, unit).add_(step)
        return x

    if layer == "block.linear1":  # the residual reads the same tensor
        handle = modules["block.norm1"].register_forward_hook(lambda _m, _args, out: changed(out))
    else:
        handle = modules[layer].register_forward_pre_hook(lambda _m, args: (changed(args[0]),))
    try:
        return call()
    finally:
        handle.remove()


def bright_halves(seed: int = 0, rows: int = 60) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Digits whose upper half is bright (1), whose left half is (12: more than there are classes), and plain ones."""
    data = demo.digits(0)
    rng = np.random.default_rng(seed)
    x = data.x[rng.choice(len(data.x), 4 * rows, replace=False)].reshape(-1, 8, 8).copy()
    x[:rows, :4] += x.std()
    x[rows : 2 * rows, :, :4] += x.std()
    return {"x": x.reshape(-1, 64).astype(np.float32), "y": np.repeat([1, 12, 0], [rows, rows, 2 * rows])}


def test_concepts_are_told_on_digits_and_repeat() -> None:
    given = bright_halves()
    case = with_concepts(small_case(), given["x"].astype(float), given["y"])
    first, second = (observed(cnn(), case) for _ in range(2))
    assert first["accuracy"].max() > 0.9
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key])


def recorded(ended: Ended) -> dict[str, Any]:
    return dict(json.loads((Path(ended.result["run"]) / "run.json").read_text()))


def findings(record: dict[str, Any]) -> dict[str, Any]:
    """Estimates of all that is not the attack's own."""
    return {f["id"]: f["estimate"] for f in record["findings"] if f["attack"] != "concepts"}


def test_the_role_from_the_file_to_the_report(case: Path, cli: Cli) -> None:
    """Found beside the forget set; it enters the record and the attack, and no other set or check."""
    flags = ("run", "--forget", case / "forget.npz", "--arch", ARCH, "--attacks", "concepts,membership", "-q")
    plain = recorded(cli(*flags, "--out", "plain"))
    np.savez(case / "concepts.npz", **bright_halves())
    record = recorded(cli(*flags, "--out", "with"))
    listed = {item["role"]: item for item in record["inputs"]}
    assert listed["concepts"]["rows"] == 240
    assert record["run_id"] != plain["run_id"]
    assert record["assumptions"] == plain["assumptions"]
    assert record["claim"] == plain["claim"]
    assert {f["role"] for f in record["findings"] if f["attack"] == "concepts"} <= {"supplementary"}
    ran = next(attack for attack in record["attacks"] if attack["name"] == "concepts")
    assert ran["status"] == "ok"
    assert "concept 12, read at" in str(ran)
    assert findings(record) == findings(plain)


@pytest.mark.parametrize("change", ["no counterexample", "negative", "shape", "outputs"])
def test_a_wrong_concepts_set_is_named(change: str, case: Path, cli: Cli, tmp_path: Path) -> None:
    given, flags = bright_halves(rows=4), ("--arch", ARCH)
    if change == "no counterexample":
        given["y"] += 1
    elif change == "negative":
        given["y"] -= 1
    elif change == "shape":
        given["x"] = given["x"][:, :63]
    np.savez(tmp_path / "mine.npz", **given)
    if change == "outputs":
        sets = {role: arrays(case / f"{role}.npz") for role in ("forget", "retain", "holdout", "test")}
        logits = {role: np.random.default_rng(0).normal(size=(len(d["y"]), 10)) for role, d in sets.items()}
        np.savez(tmp_path / "outputs.npz", **logits)
        flags = ("--unlearned", str(tmp_path / "outputs.npz"))
    ended = cli("run", "--forget", case / "forget.npz", *flags, "--concepts", tmp_path / "mine.npz", "--dry-run")
    assert ended.code == 2
    expected = {"shape": "inputs of different forms", "outputs": "inside networks"}
    assert expected.get(change, "add random counterexamples as 0") in " ".join(ended.text.split())


def test_the_python_interface_takes_concepts(case: Path) -> None:
    given = bright_halves()
    plan = audit.plan(forget=case / "forget.npz", arch=ARCH, concepts=(given["x"], given["y"]))
    assert plan.sets["concepts"] == 240
    assert {step.attack: step.note for step in plan.steps}["concepts"] == ""
