"""Time of UMA's descent, all rows and radii at once, beside one row and one radius at a time.

The same pairs, steps, starts and targets, so both find the same divergences. Median of interleaved runs in one process.
The loop runs over a few rows, and its time is scaled up.
Rows that were passed are counted: the batched descent saves time, not passes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from attacks.base import Floats
from attacks.recovery.descent import Descent, divergence
from attacks.recovery.uma import BALLS
from attacks.signals import log_softmax
from audit import demo
from benchmarks.per_row_uma import smallest_kl
from fixtures.cases.digits_world import case_of
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn

ROWS, STEPS, BATCH = 64, 40, 512
LOOPED = 4  # rows of the loop; its time and passes are scaled up


def measure(repeats: int = 3, rows: int = ROWS, steps: int = STEPS) -> Sequence[Mapping[str, object]]:
    """One line a network: seconds of both, their ratio, rows passed, and the largest difference found."""
    return [_line(name, module, shape, repeats, rows, steps) for name, (module, shape) in _networks().items()]


def _networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """The demo's network, trained, and a small CNN with BatchNorm, as it starts."""
    data = demo.digits(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = cnn().eval()
    return {
        "digits, 64-128-64-10": (demo.train(data, np.arange(600), 1, steps=200), (64,)),
        "digits, CNN": (small, (1, 8, 8)),
    }


def _line(
    name: str, module: nn.Module, shape: tuple[int, ...], repeats: int, rows: int, steps: int
) -> Mapping[str, object]:
    data = demo.digits(0)
    x = data.x.reshape(-1, *shape)
    sets = dict(zip(("forget", "holdout", "retain", "test"), np.split(np.arange(4 * rows), 4), strict=True))
    case = case_of("random", x, data.y, sets)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    view = ModuleView(module, case.sets)
    rng = np.random.default_rng(0)
    target = log_softmax(rng.normal(size=(rows, 10)) * 3)
    chosen = x[:rows].astype(np.float64)
    starts = [None, rng.uniform(-1, 1, size=chosen.shape)]
    seconds: dict[str, list[float]] = {"batched": [], "one by one": []}
    for _ in range(repeats):
        descent = Descent(view, (0.0, 1.0), steps=steps, batch=BATCH)
        started = time.perf_counter()
        together: Floats = descent.run(chosen, target, BALLS, starts, divergence).loss
        seconds["batched"].append(time.perf_counter() - started)
        started = time.perf_counter()
        few = [None if start is None else start[:LOOPED] for start in starts]
        alone, passes = smallest_kl(module, chosen[:LOOPED], target[:LOOPED], BALLS, few, (0.0, 1.0), steps)
        seconds["one by one"].append((time.perf_counter() - started) * rows / LOOPED)
    fast, slow = (statistics.median(seconds[key]) for key in ("batched", "one by one"))
    return {
        "network": name,
        "rows x radii x starts": len(chosen) * len(BALLS) * len(starts),
        "one by one, s": slow,
        "batched, s": fast,
        "times": slow / fast,
        "rows passed, one by one": passes * rows // LOOPED,
        "rows passed, batched": descent.passes,
        "largest relative difference": float((np.abs(together[:LOOPED] - alone) / np.maximum(alone, 1e-2)).max()),
    }
