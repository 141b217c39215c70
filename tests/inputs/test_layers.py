"""Hidden layers: which are found, and that one forward pass gives them with logits and features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attacks.base import NotApplicable
from audit.collect.model_view import ModelView
from audit.collect.observe import Layers, Observations
from audit.collect.sealed import SealedArrays
from audit.inputs.data import Arrays
from audit.inputs.network import PrivateNetwork
from audit.inputs.outputs import PrecomputedOutputs
from audit.inputs.sets import Selection
from audit.inputs.targets import TorchTarget


class Residual(nn.Module):
    """Two convolutions that read the same input, a residual sum, and a head on pooled features."""

    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.left = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(blocks))
        self.right = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(blocks))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        for left, right in zip(self.left, self.right, strict=True):
            x = x + left(x).relu() + right(x)
        return self.head(x.mean((2, 3)))


def pictures(n: int = 6) -> Arrays:
    x = np.random.default_rng(0).normal(size=(n, 1, 8, 8)).astype(np.float32)
    return Arrays(x, np.zeros(n, dtype=np.int64))


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)).eval()


def rows(n: int = 6) -> Arrays:
    x = np.random.default_rng(1).normal(size=(n, 5)).astype(np.float32)
    return Arrays(x, np.zeros(n, dtype=np.int64))


def test_what_later_layers_read_is_found_and_what_two_of_them_read_counts_once() -> None:
    target, data = TorchTarget(Residual().eval(), "cpu", None), pictures()
    assert target.layers(data.batch(np.arange(2)), ()) == ("left.0", "left.1")  # no input, no features
    _, _, hidden = target.read(data, 4, ("left.0", "left.1"), outputs=False)
    stem = target.module.stem(torch.as_tensor(data.x)).relu()
    np.testing.assert_allclose(hidden["left.0"], stem.mean((2, 3)).detach(), rtol=1e-5, atol=1e-6)


def test_a_deep_network_is_read_at_eight_layers_the_first_and_the_last_among_them() -> None:
    target, data = TorchTarget(Residual(blocks=20).eval(), "cpu", None), pictures()
    found = target.layers(data.batch(np.arange(1)), ())
    assert (len(found), found[0], found[-1]) == (8, "left.0", "left.19")


def test_named_modules_are_read_by_their_outputs_and_unknown_ones_refused() -> None:
    target, data = TorchTarget(mlp(), "cpu", None), rows()
    assert target.layers(data.batch(np.arange(1)), ("0",)) == ("0",)
    _, _, hidden = target.read(data, 4, ("0",), outputs=True)
    np.testing.assert_allclose(hidden["0"], target.module[0](torch.as_tensor(data.x)).detach(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="--layers nine: the network has no such module; it has 0, 1, 2"):
        target.layers(data.batch(np.arange(1)), ("nine",))


def view_of(target: TorchTarget | PrecomputedOutputs, folder: Path, layers: Layers) -> ModelView:
    folder.mkdir(exist_ok=True)
    store = Observations(folder, {"forget": rows()}, {"forget": "f" * 64}, 4, SealedArrays(b"k" * 32), layers)
    return ModelView(target, "d" * 64, store, {"forget": Selection("forget", np.array([0, 2, 5]))})


def test_one_forward_pass_gives_logits_features_and_hidden_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = TorchTarget(mlp(), "cpu", None)
    target.find_head(rows().batch(np.arange(1)))
    calls: list[int] = []
    original = target._called
    monkeypatch.setattr(target, "_called", lambda x: (calls.append(len(x)), original(x))[1])
    view = view_of(target, tmp_path / "o", Layers(wanted=True))
    view.logits("forget")
    passed = sum(calls)
    assert view.layers() == ("2",)
    found = view.activations("forget", "2")
    assert found.shape == (3, 7)
    assert passed == 1 + 6  # the search for the layers, and the set
    assert sum(calls) == passed + 1  # layers() searched again, no set was passed again


def test_outputs_alone_have_neither_layers_nor_weights(tmp_path: Path) -> None:
    outputs = PrecomputedOutputs({"forget": np.zeros((6, 3))}, "outputs.npz")
    view = view_of(outputs, tmp_path / "o", Layers(wanted=True))
    for asked in (view.layers, view.network):
        with pytest.raises(NotApplicable, match="needs a network"):
            asked()


def test_a_private_network_can_be_trained_and_leaves_the_model_alone() -> None:
    target = TorchTarget(mlp(), "cpu", None)
    before, x = target.digest(), torch.as_tensor(rows().x)
    network = PrivateNetwork(target)
    torch.testing.assert_close(network.forward(x), target.forward(x))
    loss = network.forward(x).square().sum()
    loss.backward()
    with torch.no_grad():
        for parameter in network.module.parameters():
            assert parameter.grad is not None
            parameter.sub_(parameter.grad)
    assert target.digest() == before
    assert all(not p.requires_grad for p in target.module.parameters())
    state = {name: torch.zeros_like(p) for name, p in network.module.named_parameters()}
    assert not network.functional(state, x).any()
