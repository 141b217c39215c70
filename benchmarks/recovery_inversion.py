"""Gradient inversion of 16 rows with 5 starts each: all at once against the loop of ``benchmarks.per_row``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from attacks.inversion.matching import Search, reconstruct
from attacks.inversion.objective import Problems, Simulation
from audit import demo
from benchmarks import per_row
from fixtures.cases.networks import cnn

ROWS, STARTS, ITERATIONS, RATE = 16, 5, 200, 0.04
LOOPED = 20  # iterations of the loop that are timed; its cost an iteration does not change
Line = Mapping[str, object]


class Plain:
    """A network as the attacks see one."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x)

    def functional(self, state: Mapping[str, Any], x: Any) -> Any:
        return functional_call(self.module, dict(state), (x,))


def trained(kind: str, seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A network trained on digits, and 16 rows that it never saw."""
    data = demo.digits(seed)
    rows = demo.random_rows(data, seed)
    shape = (-1, 1, 8, 8) if kind == "CNN" else (-1, 64)
    x, y = torch.from_numpy(data.x).reshape(shape), torch.from_numpy(data.y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = cnn() if kind == "CNN" else demo.network()
        adam = torch.optim.Adam(model.parameters(), lr=3e-3)
        for step in range(150):
            batch = torch.from_numpy(rows["retain"][np.arange(step * 128, step * 128 + 128) % len(rows["retain"])])
            adam.zero_grad()
            cross_entropy(model(x[batch]), y[batch]).backward()
            adam.step()
    unseen = torch.from_numpy(rows["test"][:ROWS])
    return model.double().eval(), x[unseen].double(), y[unseen]


def measure(kind: str, repeats: int = 3) -> Line:
    """Seconds of both, interleaved, medians; the loop runs a tenth of the iterations and is scaled up."""
    model, x, y = trained(kind)
    state = {name: value.detach() for name, value in model.named_parameters()}

    def loss(s: Any, a: Any, b: Any) -> Any:
        return cross_entropy(functional_call(model, s, (a[None],)), b[None])

    targets = vmap(grad(loss), in_dims=(None, 0, 0))(state, x, y)
    starts = torch.rand((ROWS, STARTS, *x.shape[1:]), generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    problems = Problems(Plain(model), state, targets, y.repeat_interleave(STARTS)[:, None])
    search = Search(ITERATIONS, RATE, 0.0, 1.0)
    lists = [[targets[name][i] for name in state] for i in range(ROWS)]
    ours, loop = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        found, costs = reconstruct(problems, starts.flatten(0, 1)[:, None], search, Simulation())
        middle = time.perf_counter()
        per_row.invert(model, lists, y, starts, iterations=LOOPED, rate=RATE)
        ours.append(middle - began)
        loop.append((time.perf_counter() - middle) * (ITERATIONS + 1) / (LOOPED + 1))
    seconds, before = float(np.median(ours)), float(np.median(loop))
    best = costs.reshape(ROWS, STARTS).argmin(dim=1)
    chosen = found.reshape(ROWS, STARTS, -1)[torch.arange(ROWS), best]
    like = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(chosen.numpy(), x.flatten(1).numpy(), strict=True)]
    passes = 2 * ROWS * STARTS * (ITERATIONS + 1)
    return {
        "part": f"inversion, {kind}",
        "work": f"{ROWS} rows x {STARTS} starts x {ITERATIONS} steps",
        "rows forward and backward": passes,
        "loop, rows": passes,
        "seconds": seconds,
        "loop, seconds": before,
        "ratio": before / seconds,
        "result": f"median correlation {np.median(like):.3f}",
    }


def measure_inversion(repeats: int = 3) -> Sequence[Line]:
    """The digits MLP, which has a bar, and a CNN beside it, which has none."""
    return [measure("MLP", repeats), measure("CNN", max(1, repeats - 2))]
