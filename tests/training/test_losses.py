"""Models of other tasks than classes: trained by the loss of the task, stacked and alone, kept and found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from cases import regression_case
from safetensors.torch import load_file
from torch import nn

import audit
from attacks.tasks import NAMES, loss_of, task_of_loss
from audit.errors import UsageError
from audit.inputs.recipe import RecipeSection
from audit.training.descent import Batches
from audit.training.jobs import Job, Pool, steps_of
from audit.training.problems import TrainingError
from audit.training.single import fresh, train_single
from audit.training.streams import Stream
from tests.conftest import Cli

SETTINGS: dict[str, Any] = {"optimizer": "adam", "lr": 5e-3, "epochs": 20, "batch_size": 32}
NET = "cases.regression_case:diabetes_network"
TWO = "cases.regression_case:two_numbers"


def pool(columns: int = 1) -> Pool:
    rows = regression_case.diabetes(0)
    x, y = regression_case.joined(rows, "forget", "retain")
    return Pool(x, np.column_stack([y * (k + 1) for k in range(columns)]).astype(np.float64))


def test_each_loss_of_the_recipe_is_that_of_one_task() -> None:
    losses = [loss_of(name) for name in NAMES if loss_of(name)]
    assert sorted(losses) == sorted(get_args(RecipeSection.model_fields["loss"].annotation))
    assert [task_of_loss(loss).loss_name for loss in losses] == losses


@pytest.mark.parametrize(
    ("loss", "torchs"), [("squared_error", nn.MSELoss()), ("binary_cross_entropy", nn.BCEWithLogitsLoss())]
)
@pytest.mark.parametrize("columns", [1, 3])
def test_a_loss_of_several_columns_is_torchs_own(loss: str, torchs: nn.Module, columns: int) -> None:
    """So that a rate and a weight decay found with torch's losses mean the same here."""
    task, outputs = task_of_loss(loss), torch.linspace(-3, 2, 6 * columns).view(6, columns)
    truth = (torch.arange(6 * columns) % 4 > 1).float().view(6, columns)
    rows = task.training_loss(outputs, truth, reduction="none")
    assert rows.shape == (6,)
    torch.testing.assert_close(rows, torch.stack([torchs(z, y) for z, y in zip(outputs, truth, strict=True)]))
    torch.testing.assert_close(task.training_loss(outputs, truth, reduction="mean"), torchs(outputs, truth))
    torch.testing.assert_close(task.training_loss(outputs, truth), rows.sum())


def test_stacked_regressors_are_those_trained_alone_and_know_their_targets(train: Any) -> None:
    rows, jobs = pool(2), [Job(f"reference {k}", np.arange(120), k) for k in range(3)]
    recipe = RecipeSection(**SETTINGS, loss="squared_error", engine="vectorised")
    stacked = regression_case.two_numbers()
    stacked.load_state_dict(load_file(train(jobs, arch=TWO, pool=rows, recipe=recipe).paths["reference 0"]))
    alone, kept, steps = fresh(TWO, 0, "cpu"), rows.canonical(), steps_of(recipe, 120, None)
    train_single(recipe, alone, Batches(kept, "none", "cpu"), Stream(np.arange(120), steps.batch, 0, 0), steps, 0)
    with torch.no_grad():
        answers = [network(torch.tensor(np.asarray(kept.x)[:120])).numpy() for network in (stacked, alone)]
    np.testing.assert_allclose(*answers, rtol=1e-3, atol=1e-3)
    error = np.mean((answers[0] - rows.y[:120]) ** 2, axis=0) / rows.y[:120].var(axis=0)
    assert (error < 0.5).all()
    assert train(jobs, arch=TWO, pool=rows, recipe=recipe).reused == 3
    changed = Pool(rows.x, rows.y + 1.0)
    assert train(jobs[:1], arch=TWO, pool=changed, recipe=recipe).trained == 1  # other targets, another model


def test_a_network_with_another_number_of_outputs_than_targets_is_refused(train: Any) -> None:
    recipe = RecipeSection(**SETTINGS, loss="squared_error")
    with pytest.raises(TrainingError, match="1 outputs a row and y 2 columns: build a network with an output for each"):
        train([Job("reference 0", np.arange(60), 0)], arch=NET, pool=pool(2), recipe=recipe)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    rows = regression_case.diabetes(0)
    original = regression_case.train(*regression_case.joined(rows, "forget", "retain"), seed=1, steps=200)
    honest = regression_case.train(*rows["retain"], seed=2, steps=200)
    more = {"task": "regression", "split": "attested", "progress": "off", "access": "logits", "arch": NET}
    return {**rows, "original": original, "unlearned": honest, **more, "config": "recipe.toml"}


def write_recipe(**changes: Any) -> None:
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**SETTINGS, **changes}.items()]
    Path("recipe.toml").write_text("\n".join(["[recipe]", *lines]))


def test_references_of_a_regressor_are_trained_judged_and_found_again(given: dict[str, Any]) -> None:
    write_recipe(engine="vectorised")
    wanted = {"train_references": 3, "attacks": ["membership"]}
    found = audit.run(**given, **wanted)
    record = found.result.training
    assert record is not None
    assert (record.references, record.recipe["loss"]) == (3, "squared_error")
    assert found.verdict != "FAIL"
    printed = next(figure for figure in found.result.papers if figure.name == "RMSE on retain rows")
    assert printed.null is not None
    assert printed.null[1] < 0.9  # of standardised targets: the references know them
    again = audit.run(**given, **wanted)
    assert again.report("json") == found.report("json")  # nothing was trained twice, and nothing else was found


@pytest.mark.slow
def test_shadow_models_of_a_regressor_stand_for_the_original(given: dict[str, Any]) -> None:
    write_recipe(engine="vectorised", epochs=100)
    found = audit.run(**given, train_references=3, train_shadows=16, attacks=["membership", "lira_online"])
    gate = next(gate for gate in found.result.gates if gate.name == "shadow models (trained)")
    assert "R2 on the test set" in gate.reason
    online = next(attack for attack in found.result.attacks if attack.name == "lira_online")
    assert online.status == "ok", online.reason
    assert found.verdict != "FAIL"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"loss": "cross_entropy"}, 'loss = "cross_entropy" is not that of regression: leave the line out'),
        ({"label_smoothing": 0.1}, "label_smoothing has a meaning for classes alone"),
    ],
)
def test_a_recipe_for_classes_is_refused(given: dict[str, Any], recipe: dict[str, Any], message: str) -> None:
    write_recipe(**recipe)
    with pytest.raises(UsageError, match=message):
        audit.run(**given, train_references=2)


def test_the_plan_prices_regressors_and_trains_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.chdir(tmp_path)
    for role, (x, y) in regression_case.diabetes(0).items():
        np.savez(f"{role}.npz", x=x, y=y)
    write_recipe()
    Path("recipe.toml").rename("audit.toml")
    flags = ("--forget", "forget.npz", "--task", "regression", "--arch", NET, "--train-references", "2")
    plan = cli("references", "plan", *flags)
    assert plan.code == 0, plan.err
    assert "2 references; 0 of 2 are in the store" in plan.out
    assert "cost: about" in plan.out
    assert not list(Path(".audit").rglob("*.safetensors"))
