"""The ``[recipe]`` table: what is refused, with which words, and what follows from it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from attacks import queries
from audit.inputs.config import Config
from audit.inputs.recipe import QUERIES, RecipeSection
from audit.inputs.training_order import training_order
from audit.training.descent import factor
from audit.training.jobs import Steps, steps_of
from audit.training.streams import Stream, changes


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimizer": "lion"}, "'sgd', 'adam' or 'adamw'"),
        ({"schedule": "zigzag"}, "'constant', 'cosine', 'linear' or 'step'"),
        ({"lr": 0}, "greater than 0"),
        ({"lr": float("inf")}, "finite"),
        ({"epochs": -1}, "greater than 0"),
        ({"train": "nets"}, "package.module:function"),
        ({"train": "a:b", "lr": 0.1, "epochs": 3}, "lr, epochs would have no effect: delete these lines"),
        ({"train": "a:b", "engine": "vectorised"}, 'use "auto" or "pool"'),
        ({"optimizer": "adam", "momentum": 0.9}, "belong to sgd, not to adam"),
        ({"nesterov": True, "momentum": 0.0}, "raise momentum"),
        ({"learning_rate": 0.1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(given: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RecipeSection(**given)


def test_the_logits_that_are_audited_are_those_that_are_trained(tmp_path: Path) -> None:
    base = {"data": {"forget": tmp_path / "forget.npz"}, "model": {"output": 1}}
    order = training_order(Config.model_validate({**base, "recipe": {"lr": 0.1}}), tmp_path)
    assert order.recipe.resolved()["output"] == "1"
    assert not training_order(Config.model_validate(base), tmp_path).recipe.defined  # nothing was described
    assert "output" not in RecipeSection(lr=0.1).resolved()  # models of earlier versions keep their addresses


def test_defaults_and_what_was_given() -> None:
    assert not RecipeSection().defined
    assert RecipeSection(unlearn="a:b").defined
    assert (RecipeSection().rate, RecipeSection(optimizer="adam").rate, RecipeSection(lr=1).rate) == (0.1, 0.001, 1)
    assert RecipeSection(lr=0.1).resolved() == RecipeSection(engine="pool", workers=3, unlearn="a:b").resolved()
    assert RecipeSection(train="a:b").resolved() == {"train": "a:b"}


@pytest.mark.parametrize("augmentation", QUERIES)
def test_queries_are_those_of_the_attacks(augmentation: str) -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 8, 6))
    table = changes(augmentation, x)
    ways = [x] if table is None else [x.reshape(3, 2, -1)[..., way].reshape(x.shape) for way in table]
    for query in RecipeSection(augmentation=augmentation).queries:
        assert any(np.array_equal(queries.apply(query, x, 1.0), changed) for changed in ways), query
    assert any(np.array_equal(x, changed) for changed in ways)
    assert len(ways) == {"none": 1, "flip": 2, "shift": 9, "flip+shift": 18}[augmentation]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "step"])
def test_the_rate_rises_over_the_warm_up_and_falls_after_it(schedule: str) -> None:
    recipe = RecipeSection(schedule=schedule, warmup=0.1)
    rates = [factor(recipe, step, 200) for step in range(200)]
    assert all(np.diff(rates[:21]) > 0)
    assert rates[20] == pytest.approx(1)
    assert all(np.diff(rates[20:]) <= 0)
    assert rates[-1] == pytest.approx({"constant": 1, "cosine": 0, "linear": 0, "step": 0.01}[schedule], abs=0.01)
    assert 0 < min(rates) <= max(rates) <= 1


def test_steps_follow_the_nominal_size() -> None:
    recipe = RecipeSection(epochs=3, batch_size=100)
    assert steps_of(recipe, 480, 500) == steps_of(recipe, 530, 500) == Steps(15, 100)
    assert steps_of(recipe, 501, None) == Steps(16, 100)
    assert steps_of(recipe, 7, None) == Steps(3, 7)  # an epoch is an epoch, however small the set
    assert steps_of(RecipeSection(epochs=0.01), 10, None) == Steps(1, 10)


def test_every_row_comes_once_before_any_comes_again() -> None:
    rows = np.array([3, 5, 8, 13, 21, 34, 55])
    index, change = Stream(rows, 4, 2, seed=1).take(7)
    assert index.shape == change.shape == (7, 4)
    for epoch in index.reshape(4, 7):
        assert sorted(epoch) == rows.tolist()
    blocks = Stream(rows, 4, 0, seed=1)
    assert np.array_equal(np.concatenate([blocks.take(2)[0], blocks.take(5)[0]]), index)


def test_the_table_needs_no_torch() -> None:
    code = "import sys, audit.inputs.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
