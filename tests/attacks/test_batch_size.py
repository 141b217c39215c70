"""``--batch-size`` bounds the blocks of attacks as well, and changes no score beyond rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attacks.base import Attack, Case, discover
from attacks.inversion.line_up import LineUp
from audit.inputs.network import PrivateNetwork
from audit.inputs.targets import TorchTarget
from fixtures.cases.deletions import Deletions, ascended
from fixtures.cases.digits_world import pictures
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn

SIZE = 16
SMALL: dict[str, dict[str, Any]] = {
    "attribution": {"n_steps": 10, "max_rows": 16},
    "connectivity": {},
    "gradient_norm": {},
    "interpolation": {"steps": 2},
    "memory_jog": {"steps": 2, "halvings": 1, "batch": 8},
    "relearning": {"steps": 3, "copies": 1, "batch": 8},
    "release_changes": {},
    "shallowness": {},
    "transplant": {},
    "uma": {"steps": 2, "restarts": 0, "max_rows": 8},
    "uma_label": {"steps": 1},
}


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@pytest.fixture
def largest(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every pass of attacks, through networks of their own and through views."""
    seen: list[int] = []

    def forward(self: Any, x: torch.Tensor, plain: Any) -> Any:
        seen.append(len(x))
        return plain(self, x)

    for owner in (PrivateNetwork, TorchTarget):
        plain = owner.forward
        monkeypatch.setattr(owner, "forward", lambda self, x, plain=plain: forward(self, x, plain))
    functional = PrivateNetwork.functional

    def other(self: PrivateNetwork, state: Mapping[str, Any], x: torch.Tensor) -> Any:
        seen.append(len(x))
        return functional(self, state, x)

    monkeypatch.setattr(PrivateNetwork, "functional", other)
    return seen


def observed(attack: Attack, views: list[ModuleView], case: Case, seen: list[int]) -> Mapping[str, Any]:
    for view in views:
        for role in case.sets:
            view.logits(role)
    seen.clear()
    return attack.observe(views[0], views[1], case, np.random.default_rng(0))


@pytest.mark.parametrize("name", SMALL)
def test_blocks_are_no_larger_than_the_batch_size(name: str, largest: list[int]) -> None:
    world, attack = pictures(mlp, "random"), discover()[name](**SMALL[name])
    views = [world.view(one) for one in ("retrain", "original")]
    usual = observed(attack, views, world.case, largest)
    assert not largest or max(largest) > SIZE or name == "gradient_norm"  # one row each, below vmap
    small = observed(attack, views, replace(world.case, batch=SIZE), largest)
    assert max(largest) <= SIZE
    for key, value in usual.items():
        if key != "passes":
            np.testing.assert_allclose(small[key], value, rtol=2e-3, atol=2e-3, err_msg=key)


def test_row_gradients_come_in_such_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from attacks.inversion import line_up

    digits, seen = Deletions(), []
    case = digits.case(slice(0, 20))
    original = digits.fitted(mlp(), 20)
    views = [ModuleView(model, case.sets) for model in (ascended(original, case), original)]
    plain = line_up._of_rows
    monkeypatch.setattr(line_up, "_of_rows", lambda *given: (seen.append(len(given[-1])), plain(*given))[1])
    usual = LineUp().observe(views[0], views[1], case, np.random.default_rng(0))
    assert max(seen) > SIZE
    seen.clear()
    small = LineUp().observe(views[0], views[1], replace(case, batch=SIZE), np.random.default_rng(0))
    assert max(seen) == SIZE
    np.testing.assert_allclose(small["forget"], usual["forget"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["interpolation", "transplant", "connectivity"])
def test_batch_norm_statistics_do_not_depend_on_it(name: str) -> None:
    world, attack = pictures(cnn, "random"), discover()[name](**SMALL[name])
    views = [world.view(one) for one in ("retrain", "original")]
    usual, small = (
        attack.observe(views[0], views[1], replace(world.case, batch=size), np.random.default_rng(0))
        for size in (512, SIZE)
    )
    for key, value in usual.items():
        np.testing.assert_allclose(small[key], value, rtol=1e-3, atol=1e-3, err_msg=key)
