"""What ``--dry-run`` says an attack costs is about what it costs: the multiplications of its own passes, counted."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from attacks.base import Attack, ClaimKind, NotApplicable, discover
from audit import demo
from audit.collect.pricing import BACKWARD, asked_rows
from fixtures.cases.digits_world import World, case_of, fitted, pictures
from fixtures.cases.module_view import ModuleView

SIZES = {"forget": 40, "holdout": 100, "retain": 200, "test": 100, "auxiliary": 200}
FACTOR = 5  #: shallowness and transplant are priced for eight layers, and this network has three
FEWER = {"attribution": {"n_steps": 20}, "reconstruction": {"iterations": 20}, "uma": {"steps": 8}}
A_ROW = 2 * (64 * 32 + 32 * 16 + 16 * 10)  #: multiplications and additions of one row forward


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))


@cache
def world(kind: ClaimKind) -> World:
    if kind == "class":
        return pictures(mlp, kind)
    data = demo.digits(0)
    order = np.random.default_rng(0).permutation(len(data.y))
    rows = dict(zip(SIZES, np.split(order, np.cumsum(list(SIZES.values()))), strict=False))
    return World(
        case_of("random", data.x, data.y, rows),
        lambda name: fitted(mlp(), data.x[rows["retain"]], data.y[rows["retain"]], 25, len(name)),
    )


class Operations(TorchDispatchMode):
    """Counts what is multiplied and added inside the block, below ``vmap`` and backwards as well."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=found)
        return found


def counted(attack: Attack, kind: ClaimKind) -> float:
    """Rows forward that an attack's own passes through one model are worth."""
    of = world(kind)
    views = [ModuleView(of.model(name), of.case.sets) for name in ("retrain", "original")]
    for view in views:
        view.head()
        for role in of.case.sets:
            view.logits(role)
    with Operations() as operations:
        attack.observe(views[0], views[1], of.case, np.random.default_rng(0))
    return operations.total / A_ROW


def made(kind: type[Attack]) -> Attack:
    values: dict[str, Any] = {**kind.efforts.get("quick", {}), **FEWER.get(kind.name, {})}
    return kind(**values)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", discover())
@pytest.mark.parametrize("kind", ["random", "class"])
def test_an_attack_that_asks_a_model_has_a_price_of_that_size(name: str, kind: ClaimKind) -> None:
    attack = made(discover()[name])
    case = world(kind).case
    if reason := attack.refused(case):
        pytest.skip(reason)
    try:
        rows = counted(attack, kind)
    except NotApplicable as reason:
        pytest.skip(str(reason))
    priced = BACKWARD * attack.gradient_rows(case) + asked_rows(attack, case)
    assert (priced > 0) is (rows > 0)
    assert rows / FACTOR <= priced <= rows * FACTOR
