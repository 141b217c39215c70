"""Eight copies relearned at once beside eight loops of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from attacks.recovery.clones import Clones, orders

from .per_row_relearning import relearn

COPIES, STEPS, BATCH, RATE = 8, 60, 64, 0.02


class Plain:
    """A network of one's own (implements ``attacks.base.Network``)."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x)

    def functional(self, state: Mapping[str, Any], x: Any) -> Any:
        return torch.func.functional_call(self.module, dict(state), (x,))


def network(kind: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The digits MLP or a small CNN, and the shape of one input."""
    if kind == "MLP":
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)), (64,)
    body = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1))
    return nn.Sequential(body, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)), (1, 8, 8)


def measure(kind: str, repeats: int) -> Mapping[str, object]:
    """Medians of interleaved runs."""
    module, shape = network(kind)
    module.eval()
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(600, *shape)), dtype=torch.float32)
    y = rng.integers(0, 10, 600)
    order = orders([np.arange(600)] * COPIES, STEPS, BATCH, rng)
    ours, loop = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        clones = Clones(Plain(module), COPIES, RATE)
        for step in range(STEPS):
            clones.step(x[torch.as_tensor(order[:, step])], y[order[:, step]])
        middle = time.perf_counter()
        relearn(module, x, torch.as_tensor(y), torch.as_tensor(order), RATE)
        ours.append(middle - began)
        loop.append(time.perf_counter() - middle)
    seconds, before = float(np.median(ours)), float(np.median(loop))
    return {
        "part": f"relearning, {kind}",
        "work": f"{COPIES} copies x {STEPS} steps of {BATCH} rows",
        "rows forward and backward": COPIES * STEPS * BATCH,
        "loop, s": before,
        "ours, s": seconds,
        "times": before / seconds,
    }


def measure_relearning(repeats: int = 3) -> Sequence[Mapping[str, object]]:
    """The digits MLP, which has a bar, and a CNN beside it, which has none."""
    return [measure("MLP", repeats), measure("CNN", repeats)]
