"""Attacks on the way between two networks do not pass again what the shared forward pass has passed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from attacks.base import Attack, Floats
from attacks.recovery.interpolation import ROLES, Interpolation
from attacks.weights.connectivity import POINTS, Connectivity
from attacks.weights.matrices import ROWS, Between
from attacks.weights.shallowness import Shallowness
from audit.inputs.network import PrivateNetwork
from fixtures.cases.digits_world import World, pictures, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn

STEPS, FORGOTTEN, RETAINED = 4, 50, 120


def mlp() -> nn.Module:
    """Three blocks, no BatchNorm."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Rows of every forward pass of an attack's own networks."""
    seen: list[int] = []
    forward = PrivateNetwork.forward

    def counted(self: PrivateNetwork, x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return forward(self, x)  # type: ignore[no-any-return]

    monkeypatch.setattr(PrivateNetwork, "forward", counted)
    return seen


def observed(attack: Attack, world: World) -> dict[str, Floats]:
    views = [world.view(name) for name in ("retrain", "original")]
    for view in views:
        for role in ROLES:
            view.logits(role)
    return dict(attack.observe(views[0], views[1], world.case, np.random.default_rng(0)))


def test_interpolation_asks_inside_the_path_alone(rows: list[int]) -> None:
    world = pictures(mlp, "random")
    found = observed(Interpolation(steps=STEPS, max_rows=FORGOTTEN), world)
    assert sum(rows) == (STEPS - 1) * len(ROLES) * FORGOTTEN
    for at, name in ((0, "original"), (-1, "retrain")):
        x = torch.from_numpy(np.asarray(world.case.sets["forget"].batch(np.arange(60))))
        right = world.model(name)(x).argmax(dim=1).numpy() == world.case.labels["forget"]
        chosen = np.sort(np.random.default_rng(0).permutation(60)[:FORGOTTEN])
        np.testing.assert_array_equal(found["forget"][at], right[chosen])


def test_the_ends_of_both_directions_are_asked_once_or_never(rows: list[int]) -> None:
    world, attack = pictures(mlp, "random"), Shallowness(max_rows=FORGOTTEN)
    blocks = 3
    observed(attack, world)
    assert sum(rows) == 2 * (blocks - 1) * FORGOTTEN
    rows.clear()
    world = pictures(cnn, "random")
    blocks = len(Between(world.view("retrain"), world.view("original"), world.case).blocks())
    observed(attack, world)
    anew = min(ROWS, len(world.case.labels["retain"]))  # BatchNorm statistics of every mixed network
    forgotten = min(FORGOTTEN, len(world.case.labels["forget"]))
    assert sum(rows) == (2 * (blocks - 1) + 1) * (forgotten + anew)


def test_connectivity_asks_the_ends_where_batch_norm_is_taken_anew(rows: list[int]) -> None:
    attack = Connectivity(max_rows=RETAINED)
    observed(attack, pictures(mlp, "random"))
    assert sum(rows) == (len(POINTS) - 2) * RETAINED
    rows.clear()
    world = pictures(cnn, "random")
    observed(attack, world)
    anew = min(ROWS, len(world.case.labels["retain"]))
    assert sum(rows) == len(POINTS) * (min(RETAINED, len(world.case.labels["retain"])) + anew)


@pytest.mark.parametrize(
    "attack", [Shallowness(max_rows=FORGOTTEN), Connectivity(max_rows=RETAINED)], ids=lambda a: a.name
)
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_nothing_changes_by_it(attack: Attack, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = pictures(mlp, "random") if network == "mlp" else pictures(cnn, "random")
    short = observed(attack, world)
    monkeypatch.setattr(Between, "_known", lambda self, share: None if share else self.view)
    for key, value in observed(attack, world).items():
        np.testing.assert_allclose(short[key], value, rtol=1e-4, atol=1e-5)


def test_a_counter_that_decides_is_not_taken_for_the_original_s() -> None:
    class Counted(nn.Module):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.first = nn.Linear(64, 16, bias=False)
            self.head = nn.Linear(16, 10, bias=False)
            self.register_buffer("count", torch.tensor(count))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.first(x) * self.count)  # type: ignore[no-any-return]

    case = small_case()
    views = [ModuleView(Counted(count), case.sets) for count in (1, 2)]
    between = Between(views[0], views[1], case)
    some = np.arange(5)
    whole = between.logits(dict.fromkeys(between.mine, 1.0), "forget", some)
    np.testing.assert_allclose(whole, views[1].logits("forget")[some] / 2, rtol=1e-4, atol=1e-6)
