"""What a quick audit at access ``weights`` costs on a ResNet-20, beside one training of 60 epochs.

Random claim on the CIFAR-10 subset beside the project (300 forget rows, 700 holdout rows, 3,785 retain rows), audited
model and original, no reference; processor time of the attacks by ``observe`` and of one epoch, times 60. Run
``python -m benchmarks.effort [quick|standard|thorough]``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy, pad

from attacks.base import Case, NotApplicable, discover
from audit.inputs.data import Arrays
from audit.policy.policy import load_policy
from fixtures.cases.module_view import ModuleView

from .real_data import DATA

EPOCHS, BATCH = 60, 128
SIZES = {"forget": 300, "retain": 3785}
MEAN, SPREAD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Block(nn.Module):
    """Two convolutions and a shortcut that drops pixels and pads channels (option A)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.stride, self.more = stride, (after - before) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        side = x[:, :, :: self.stride, :: self.stride]
        return (y + pad(side, (0, 0, 0, 0, self.more, self.more))).relu()


class ResNet20(nn.Module):
    """The CIFAR network of He et al. 2016, section 4.2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16] + [16] * 3 + [32] * 3 + [64] * 3
        blocks = [Block(widths[k], widths[k + 1]) for k in range(9)]
        self.layer1, self.layer2, self.layer3 = (nn.Sequential(*blocks[k : k + 3]) for k in (0, 3, 6))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.linear(x.mean(dim=(2, 3)))


def subset() -> dict[str, Arrays]:
    """Sets of the CIFAR-10 subset, standardised, channels first."""
    with np.load(DATA / "cifar10_orig_6k.npz", allow_pickle=False) as file:
        parts = {name: (file[f"X_{name}"], file[f"y_{name}"]) for name in ("train", "test")}

    def arrays(name: str, start: int, count: int) -> Arrays:
        x, y = (values[start : start + count] for values in parts[name])
        return Arrays(((x / 255 - MEAN) / SPREAD).transpose(0, 3, 1, 2).astype(np.float32), y)

    return {
        "forget": arrays("train", 0, SIZES["forget"]),
        "retain": arrays("train", SIZES["forget"], SIZES["retain"]),
        "holdout": arrays("test", 0, 700),
        "test": arrays("test", 700, 217),
        "auxiliary": arrays("test", 917, 100),
    }


def audit_seconds(effort: str, sets: Mapping[str, Arrays], module: nn.Module) -> dict[str, float]:
    """Processor seconds of every attack that the standard policy gates at weights or below, on two models."""
    case = Case("random", (), sets, {role: data.y for role, data in sets.items()}, 10)
    policy = load_policy("standard")[0]
    gated = set().union(*(policy.attacks("random", level) for level in ("labels", "logits", "features", "weights")))
    views: list[Any] = [ModuleView(module, sets), ModuleView(module, sets)]
    seconds = {}
    for name, kind in discover().items():
        if name not in gated or kind.design:
            continue
        attack, started = kind(**kind.efforts.get(effort, {})), time.process_time()
        try:
            for view in views:
                attack.observe(view, views[1], case, np.random.default_rng(0))
        except NotApplicable:
            continue
        seconds[name] = time.process_time() - started
    return seconds


def training_seconds(sets: Mapping[str, Arrays], module: nn.Module) -> float:
    """Processor seconds of 60 epochs of plain SGD on forget and retain rows, from one epoch."""
    x = torch.cat([torch.as_tensor(sets[role].x) for role in ("forget", "retain")])  # type: ignore[arg-type]
    y = torch.cat([torch.as_tensor(sets[role].y) for role in ("forget", "retain")])
    optimiser = torch.optim.SGD(module.train().parameters(), 1e-3, 0.9)
    started = time.process_time()
    for batch in torch.randperm(len(y), generator=torch.Generator().manual_seed(0)).split(BATCH):
        optimiser.zero_grad()
        torch.autograd.backward(cross_entropy(module(x[batch]), y[batch]))
        optimiser.step()
    return EPOCHS * (time.process_time() - started)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("effort", nargs="?", default="quick", choices=("quick", "standard", "thorough"))
    effort = parser.parse_args().effort
    sets, module = subset(), ResNet20().eval()
    module.load_state_dict(load_file(DATA / "models" / "cifar10_resnet20.safetensors"))
    seconds = audit_seconds(effort, sets, module)
    training = training_seconds(sets, module)
    print(", ".join(f"{name} {value:.1f}" for name, value in sorted(seconds.items(), key=lambda item: -item[1])))
    print(f"{effort}: {sum(seconds.values()):.0f} s of the processor; one training of {EPOCHS} epochs {training:.0f} s")


if __name__ == "__main__":
    main()
