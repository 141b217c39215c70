"""What the audit trains must be independent retrains: a factory may fix its own seed, and so may a hook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from audit.errors import InputError, UsageError
from audit.inputs.config import EngineSection, TrainingSection
from audit.inputs.data import Arrays
from audit.inputs.kinship import ENTRIES, kinship, sample
from audit.inputs.provenance import closest
from audit.inputs.recipe import RecipeSection
from audit.inputs.sets import Selection
from audit.inputs.training_order import TrainingOrder
from audit.record.inputs import ClaimRecord
from audit.training.independence import check_factory
from audit.training.references import train

HERE = "tests.training.test_independence"


def free() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 2))


def fixed() -> nn.Module:
    """Seeds torch itself: all that is trained from it starts alike."""
    torch.manual_seed(7)
    return free()


def public_first_layer() -> nn.Module:
    seed = int(torch.randint(2**31, ()))
    network = fixed()
    nn.init.normal_(network[2].weight, generator=torch.Generator().manual_seed(seed))
    return network


def frozen_first_layer() -> nn.Module:
    network = public_first_layer()
    network[0].requires_grad_(requires_grad=False)
    return network


def starts_again(_module: nn.Module, _data: object, *_rest: object, **_named: object) -> nn.Module:
    """A ``train`` hook that ignores the seed and returns the same network each time."""
    return fixed()


def order(folder: Path, arch: str, **recipe: object) -> TrainingOrder:
    how = RecipeSection.model_validate({"workers": 1, **(recipe or {"epochs": 2, "lr": 0.001})})
    return TrainingOrder(
        TrainingSection(references=3, shadows=4), how, f"{HERE}:{arch}", "cpu", 3, folder / "store", EngineSection()
    )


def rows(count: int, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return Arrays(rng.normal(size=(count, 20)), rng.integers(2, size=count))


def claim(**given: object) -> ClaimRecord:
    return ClaimRecord.model_validate({"kind": "random", "split": "coins", "access": "features", **given})


def test_kinship_is_the_median_cosine_of_what_both_have() -> None:
    rng = np.random.default_rng(0)
    a = {"w": rng.normal(size=(30, 40)), "v": rng.normal(size=(300, 400)), "b": np.ones(7), "n": np.ones((2, 2), int)}
    b = {"w": -2 * a["w"], "v": a["v"] + rng.normal(size=(300, 400)), "u": np.ones((3, 3))}
    c = {"v": rng.normal(size=(400, 300))}
    values = kinship([sample(a), sample(b), sample(c)])
    assert ENTRIES < 300 * 400
    assert values[0, 1] == pytest.approx((-1 + np.sqrt(0.5)) / 2, abs=0.02)  # of w, and of v by a part of its entries
    assert values[0, 2] == values[1, 2] == 0  # another shape
    assert np.allclose(values, values.T)
    assert kinship([sample(a), sample(b)], without=["w", "v"])[0, 1] == 0
    assert kinship([sample({"w": np.zeros((3, 4))})] * 2)[0, 1] == 0


def test_what_is_public_or_frozen_need_not_differ() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(20, 20))
    models = {name: {"a.w": shared, "b.w": rng.normal(size=(20, 20))} for name in ("original", "x", "y")}
    samples = {name: sample(state) for name, state in models.items()}
    assert closest(samples, ["x", "y"], []) == []  # bit for bit the same in all of them
    samples["original"] = sample({"a.w": shared + 1e-3, "b.w": models["original"]["b.w"]})
    assert [name for name, _, _ in closest(samples, ["x", "y"], [])] == ["x", "y"]
    assert closest(samples, ["x", "y"], ["a"]) == []


def test_a_factory_that_fixes_its_seed_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    check_factory(order(tmp_path, "free"), claim())
    with pytest.raises(UsageError, match=r"fixed gives kin weights under two seeds \(cosine 1.00, independent"):
        check_factory(order(tmp_path, "fixed"), claim())
    check_factory(order(tmp_path, "fixed"), claim(provenance="checkpoint"))
    check_factory(order(tmp_path, "fixed", train=f"{HERE}:starts_again"), claim())


def test_layers_that_are_declared_public_or_frozen_may_come_with_the_factory(tmp_path: Path) -> None:
    check_factory(order(tmp_path, "frozen_first_layer"), claim())
    check_factory(order(tmp_path, "public_first_layer"), claim(public_layers=["0"]))
    with pytest.raises(UsageError, match="name their layers as public_layers"):
        check_factory(order(tmp_path, "public_first_layer"), claim())


def test_models_that_a_hook_starts_alike_are_refused(tmp_path: Path) -> None:
    """Given references of this kind were refused; those that the audit trained itself were believed."""
    files = {role: rows(40, at) for at, role in enumerate(("forget", "retain", "holdout"))}
    selection = {role: Selection(role, np.arange(40)) for role in files}
    with pytest.raises(InputError) as refused:
        train(order(tmp_path, "free", train=f"{HERE}:starts_again"), files, selection, bytes(32), claim())
    text = str(refused.value)
    assert "2 of 3 models of the kind 'reference' that this audit trained are no independent retrains" in text
    assert "the weights of reference 1 are kin to those of reference 0 (cosine 1.00" in text
    assert "3 of 4 models of the kind 'shadow'" in text
