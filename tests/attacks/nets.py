"""Real networks on digits as views, and single rows that one step of ascent deletes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attacks.base import Access, Case, Floats, Network
from audit import demo
from audit.inputs.data import Arrays
from audit.inputs.network import PrivateNetwork
from audit.inputs.targets import TorchTarget

SIZES = {"forget": 40, "holdout": 300, "retain": 600, "test": 300, "auxiliary": 200}


class NetView:
    """A network as an attack sees it."""

    access = Access.TRAIN

    def __init__(self, module: nn.Module, case: Case) -> None:
        self.target, self.case = TorchTarget(copy.deepcopy(module).eval(), "cpu", None), case

    def logits(self, role: str) -> Floats:
        return self._outputs[role][0]

    def features(self, role: str) -> Floats:
        return self._outputs[role][1]

    @cached_property
    def _outputs(self) -> dict[str, tuple[Floats, Floats]]:
        return {role: self.target.call(of.batch(np.arange(len(of)))) for role, of in self.case.sets.items()}

    def head(self) -> tuple[Floats, Floats]:
        assert self._outputs
        return self.target.head()

    def network(self) -> Network:
        return PrivateNetwork(self.target)

    def tensor(self, x: np.ndarray) -> torch.Tensor:  # type: ignore[type-arg]
        return self.target.tensor(x)


@dataclass
class Digits:
    """Disjoint sets of digits, and what a network of one's own was trained on them."""

    shape: tuple[int, ...] = (64,)
    wrong: float = 0.08

    def __post_init__(self) -> None:
        data = demo.digits(0, self.wrong)
        self.data = demo.Digits(data.x.reshape(-1, *self.shape), data.y)
        order, cuts = np.random.default_rng(1).permutation(len(data.y)), np.cumsum(list(SIZES.values()))
        self.rows = dict(zip(SIZES, np.split(order, cuts), strict=False))

    def case(self, forget: int | slice = slice(None)) -> Case:
        """A random claim on some of the forget rows, an index for one row alone."""
        chosen = slice(forget, forget + 1) if isinstance(forget, int) else forget
        rows = self.rows | {"forget": self.rows["forget"][chosen]}
        sets = {role: Arrays(self.data.x[of], self.data.y[of]) for role, of in rows.items()}
        return Case("random", (), sets, {role: of.y for role, of in sets.items()}, 10)  # type: ignore[arg-type]

    def fitted(self, module: nn.Module, steps: int = 150, seed: int = 0) -> nn.Module:
        """``module`` after some steps of Adam on forget and retain rows."""
        rows = np.concatenate([self.rows["forget"], self.rows["retain"]])
        x, y = torch.from_numpy(self.data.x[rows]), torch.from_numpy(self.data.y[rows])
        adam, rng = torch.optim.Adam(module.parameters(), lr=3e-3), np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # dropout
            for _ in range(steps):
                batch = torch.from_numpy(rng.choice(len(rows), 128, replace=False))
                adam.zero_grad()
                cross_entropy(module(x[batch]), y[batch]).backward()
                adam.step()
        return module.eval()


def ascended(model: nn.Module, case: Case, rate: float = 0.1) -> nn.Module:
    """One step of gradient ascent on the forget rows."""
    moved = copy.deepcopy(model)
    for parameter in moved.parameters():
        parameter.requires_grad_(True)
    forget = case.sets["forget"]
    x, y = torch.from_numpy(np.asarray(forget.batch(np.arange(len(forget))))), torch.from_numpy(forget.y)
    gradients = torch.autograd.grad(cross_entropy(moved(x), y), list(moved.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(moved.parameters(), gradients, strict=True):
            parameter.add_(rate * gradient)
    return moved
