"""A network in memory as an attack sees it, without files: for benchmarks of single attacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from attacks.base import Floats
from attacks.queries import apply, partners
from audit.inputs.data import Arrays
from audit.inputs.network import PrivateNetwork
from audit.inputs.targets import TorchTarget

from .worlds import Net

BATCH = 4096


class ModuleView:
    """Outputs of a network on every set, each computed once (implements ``attacks.base.View``)."""

    def __init__(self, module: nn.Module, sets: Mapping[str, Arrays], device: str = "cpu") -> None:
        self.target, self.sets = TorchTarget(module.eval(), device, None), sets
        self.access = self.target.access
        self._names = self.target.layers(sets["forget"].batch(np.arange(1)), ())
        self._kept: dict[str, tuple[Floats, Floats, dict[str, Floats]]] = {}
        self._asked: dict[tuple[str, str], Floats] = {}

    def _read(self, role: str) -> tuple[Floats, Floats, dict[str, Floats]]:
        if role not in self._kept:
            self._kept[role] = self.target.read(self.sets[role], BATCH, self._names, outputs=False)
        return self._kept[role]

    def logits(self, role: str) -> Floats:
        return self._read(role)[0]

    def features(self, role: str) -> Floats:
        return self._read(role)[1]

    def layers(self) -> tuple[str, ...]:
        return self._names

    def activations(self, role: str, layer: str) -> Floats:
        return self._read(role)[2][layer]

    def augmented(self, role: str, query: str) -> Floats:
        if (role, query) not in self._asked:
            data, others = self.sets[role], self.sets["retain"].x
            changed = apply(query, data.batch(np.arange(len(data))), float(np.std(data.x)), partners(others))  # type: ignore[arg-type]
            self._asked[role, query] = self.target.outputs(role, Arrays(changed, data.y), BATCH)[0]
        return self._asked[role, query]

    def head(self) -> tuple[Floats, Floats]:
        self._read("forget")
        return self.target.head()

    def network(self) -> PrivateNetwork:
        return PrivateNetwork(self.target)

    def forward(self, x: Any) -> Any:
        return self.target.forward(x)

    def tensor(self, x: np.ndarray[Any, Any]) -> Any:
        return self.target.tensor(x)


def module_of(net: Net) -> nn.Sequential:
    """A network of ``stacks`` as a module: linear layers with ReLU between them."""
    parts: list[nn.Module] = []
    for weight, bias in zip(net[::2], net[1::2], strict=True):
        layer = nn.Linear(*weight.shape)
        layer.weight.data.copy_(torch.as_tensor(weight.T))
        layer.bias.data.copy_(torch.as_tensor(bias[0]))
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1])
