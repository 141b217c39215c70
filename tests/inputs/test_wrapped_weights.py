"""Weights under the names and in the files of well-known wrappers: opened, or named with what makes them plain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from tests.inputs.test_odd_weights import net, said, state_of

HERE = __name__


@pytest.fixture
def weights() -> dict[str, Any]:
    torch.manual_seed(3)
    return net().state_dict()


class Tied(nn.Module):
    """Two names of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.b(torch.relu(self.a(x)))))


def prefixed(prefix: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {prefix + key: value for key, value in state.items()}


WRAPPINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "DataParallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "nested": prefixed("module._orig_mod."),
    "any one prefix": prefixed("backbone.net."),
    "compiled part": lambda s: {key.replace("0.", "0._orig_mod.", 1) if key[0] == "0" else key: s[key] for key in s},
    "checkpoint": lambda s: {"epoch": 3, "state_dict": s},
    "checkpoint of a wrapper": lambda s: {"state_dict": prefixed("model.")(s), "best": torch.tensor(0.9)},
    "checkpoint with its optimiser": lambda s: {
        "model": s,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
    },
    "checkpoint in a checkpoint": lambda s: {"checkpoint": {"state_dict": s}},
    "beside another network": lambda s: {"teacher": {"w": torch.zeros(1)}, "student": s},
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_known_wrappings_are_opened(weights: dict[str, Any], tmp_path: Path, name: str) -> None:
    torch.save(WRAPPINGS[name](weights), tmp_path / "m.pt")
    found = state_of(tmp_path / "m.pt")
    assert found.keys() == weights.keys()
    for key, value in weights.items():
        np.testing.assert_array_equal(found[key], value.numpy())


def test_two_state_dicts_that_fit_are_named(weights: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"state_dict": weights, "state_dict_ema": weights}, tmp_path / "m.pt")
    assert "holds several state dicts (state_dict, state_dict_ema): name the one to audit with --state-key" in said(
        tmp_path / "m.pt"
    )


def test_tied_weights_that_safetensors_left_out(tmp_path: Path) -> None:
    module = Tied()
    save_model(module, str(tmp_path / "m.safetensors"))
    assert len(load_file(tmp_path / "m.safetensors")) == 5  # of six names
    found = state_of(tmp_path / "m.safetensors", f"{HERE}:Tied")
    np.testing.assert_array_equal(found["a.weight"], module.a.weight.detach().numpy())
    np.testing.assert_array_equal(found["b.weight"], module.a.weight.detach().numpy())


def test_two_values_for_one_tied_weight(tmp_path: Path) -> None:
    state = {key: value.clone() for key, value in Tied().state_dict().items()}
    save_file({**state, "b.weight": state["a.weight"] + 1}, tmp_path / "m.safetensors")
    line = said(tmp_path / "m.safetensors", f"{HERE}:Tied")
    assert "holds different values for weights that the network ties (a.weight and b.weight)" in line


def test_pruned_weights_are_named(weights: dict[str, Any], tmp_path: Path) -> None:
    weights["0.weight_orig"] = weights.pop("0.weight")
    torch.save({**weights, "0.weight_mask": torch.ones(4, 3)}, tmp_path / "m.pt")
    line = said(tmp_path / "m.pt")
    assert "holds weights that are pruned (0.weight_orig, 0.weight_mask)" in line
    assert "torch.nn.utils.prune.remove" in line


@pytest.mark.parametrize(
    ("apply", "expected"),
    [
        (nn.utils.spectral_norm, "remove_spectral_norm"),
        (nn.utils.parametrizations.weight_norm, "remove_parametrizations"),
    ],
)
def test_reparametrised_weights_are_named(tmp_path: Path, apply: Callable[..., Any], expected: str) -> None:
    module = net()
    apply(module[0])
    torch.save(module.state_dict(), tmp_path / "m.pt")
    assert expected in said(tmp_path / "m.pt")
