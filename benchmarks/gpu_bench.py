"""What the parts of ``gpu.py`` share: two devices, digits as rows and as pictures, trained ResNet-20s, a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from audit import demo
from audit.inputs.data import Arrays

from .effort import ResNet20

SIZES = {"forget": 100, "holdout": 200, "test": 250, "auxiliary": 100, "retain": 1000}
RESNET = "benchmarks.effort:ResNet20"


class Bench:
    """Devices, sizes and the digits case that the parts share."""

    def __init__(self, devices: tuple[str, str], tiny: bool) -> None:
        self.cpu, self.gpu, self.tiny = *devices, tiny
        self.data = demo.digits(0)
        rng, start = np.random.default_rng(0), 0
        order = rng.permutation(len(self.data.y))
        self.rows = {}
        for role, count in SIZES.items():
            self.rows[role] = np.sort(order[start : start + count])
            start += count
        side = 1 if tiny else 4
        wide = self.data.x.reshape(-1, 8, 8).repeat(side, axis=1).repeat(side, axis=2)
        self.pictures = np.repeat(wide[:, None], 3, axis=1).astype(np.float32)
        self.sets = self.sets_of(self.pictures)
        self.resnets = [self.resnet(["forget", "retain"], 0), self.resnet(["retain"], 1), self.resnet(["retain"], 2)]

    def sets_of(self, x: np.ndarray) -> dict[str, Arrays]:
        return {role: Arrays(x[rows], self.data.y[rows]) for role, rows in self.rows.items()}

    def resnet(self, roles: list[str], seed: int) -> nn.Module:
        """A ResNet-20 trained on the GPU."""
        rows = np.concatenate([self.rows[role] for role in roles])
        x, y = (torch.as_tensor(part[rows], device=self.gpu) for part in (self.pictures, self.data.y))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = ResNet20().to(self.gpu).train()
        order = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.Adam(network.parameters(), 2e-3)
        for _ in range(6 if self.tiny else 15):
            for batch in torch.randperm(len(x), generator=order).split(64):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
                optimiser.step()
        return network.eval().cpu()

    def wait(self) -> None:
        if self.gpu.startswith("cuda"):
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], object], repeats: int = 3) -> float:
        """Median after a warm-up."""
        run()
        found = []
        for _ in range(repeats):
            self.wait()
            start = time.perf_counter()
            run()
            self.wait()
            found.append(time.perf_counter() - start)
        return median(found)

    def both(self, run: Callable[[str], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Seconds of one run on each device (the GPU's after a warm-up), and what came of it."""
        run(self.gpu)
        found, seconds = {}, {}
        for name, device in (("cpu", self.cpu), ("gpu", self.gpu)):
            start = time.perf_counter()
            found[name] = run(device)
            self.wait()
            seconds[name] = round(time.perf_counter() - start, 3)
        return {**seconds, "ratio": round(seconds["cpu"] / seconds["gpu"], 2)}, found
