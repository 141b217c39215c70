"""Cases of whole audits whose cost is measured: files as a user has them, and an ``audit.toml``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy

from attacks.base import Floats, Ints
from audit import demo

from .effort import EPOCHS, ResNet20, subset
from .real_data import DATA, SETS

BATCH = 64


def demo_random(folder: Path, access: str) -> None:
    """The demo's random claim: original, audited honest retrain, eight references."""
    data = demo.digits(0)
    _digits(folder, data, demo.random_rows(data, 0), access, split="attested")


def demo_alone(folder: Path, access: str) -> None:
    """The demo's random claim without references: original and audited model."""
    data = demo.digits(0)
    _digits(folder, data, demo.random_rows(data, 0), access, split="attested", references=0)


def demo_class(folder: Path, access: str) -> None:
    """The demo's class claim."""
    data = demo.digits(0)
    _digits(folder, data, demo.class_rows(data, 0), access)


def adult(folder: Path, access: str) -> None:
    """Adult: original, audited honest retrain, two references."""
    world = SETS["adult"].world(np.random.default_rng(0))
    for role, rows in world.rows.items():
        np.savez(folder / f"{role}.npz", x=world.x[rows], y=world.y[rows])
    both = np.concatenate([world.rows["forget"], world.rows["retain"]])
    _models(
        folder, lambda rows, seed: _trained(tabular(), world.x, world.y, rows, 20, seed), both, world.rows["retain"], 2
    )
    _written(folder, access, "benchmarks.audit_cases:tabular", split="attested")


def resnet20(folder: Path, access: str) -> None:
    """A ResNet-20 on the CIFAR-10 subset: original, and the same after an epoch on the retain rows."""
    sets = subset()
    for role, data in sets.items():
        np.savez(folder / f"{role}.npz", x=data.x, y=data.y)
    network = ResNet20()
    network.load_state_dict(load_file(DATA / "models" / "cifar10_resnet20.safetensors"))
    demo.save_model(folder / "original.safetensors", network)
    retain = sets["retain"]
    tuned = _trained(network, np.asarray(retain.x), retain.y, np.arange(len(retain)), 1, 0)
    demo.save_model(folder / "unlearned.safetensors", tuned)
    _written(folder, access, "benchmarks.effort:ResNet20", split="attested")


def tabular() -> nn.Module:
    """The classifier of the adult case: 108-64-32-2."""
    return nn.Sequential(nn.Linear(108, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))


CASES: dict[str, Callable[[Path, str], None]] = {
    "demo-random": demo_random,
    "demo-alone": demo_alone,
    "demo-class": demo_class,
    "adult": adult,
    "resnet20": resnet20,
}


def train_demo() -> None:
    """The original of the demo's random claim."""
    data = demo.digits(0)
    rows = demo.random_rows(data, 0)
    demo.train(data, np.concatenate([rows["forget"], rows["retain"]]), 1)


def train_resnet20() -> None:
    """An epoch of a ResNet-20 on forget and retain rows of the CIFAR-10 subset."""
    sets = subset()
    x, y = (np.concatenate([np.asarray(getattr(sets[role], key)) for role in ("forget", "retain")]) for key in "xy")
    _trained(ResNet20(), x, y, np.arange(len(y)), 1, 0)


#: one training of an original: what is run, and how often it would have to be
TRAINING: dict[str, tuple[Callable[[], None], int]] = {
    "demo-alone": (train_demo, 1),
    "resnet20": (train_resnet20, EPOCHS),
}


def _digits(
    folder: Path,
    data: demo.Digits,
    rows: demo.Rows,
    access: str,
    split: str = "assumed",
    references: int = demo.REFERENCES,
) -> None:
    demo.save_data(folder, data, rows)
    both = np.concatenate([rows["forget"], rows["retain"]])
    _models(folder, lambda chosen, seed: demo.train(data, chosen, seed), both, rows["retain"], references)
    _written(folder, access, demo.ARCH, split=split)


def _models(folder: Path, train: Callable[[Ints, int], nn.Module], both: Ints, retain: Ints, references: int) -> None:
    demo.save_model(folder / "original.safetensors", train(both, 1))
    for k, name in enumerate(["unlearned", *(f"retrained-{k}" for k in range(references))]):
        demo.save_model(folder / f"{name}.safetensors", train(retain, 100 + k))


def _written(folder: Path, access: str, arch: str, split: str) -> None:
    lines = ["[data]", 'forget = "forget.npz"', "[model]", f'arch = "{arch}"', "[claim]"]
    lines += [f'access = "{access}"', f'split = "{split}"']
    (folder / "audit.toml").write_text("\n".join(lines) + "\n")


def _trained(network: nn.Module, x: Floats, y: Ints, rows: Ints, epochs: int, seed: int) -> nn.Module:
    """Plain Adam on cross-entropy; the seed decides weights (of a fresh network) and order."""
    rng = torch.Generator().manual_seed(seed)
    if epochs > 1:
        for parameter in network.parameters():
            bound = parameter.shape[-1] ** -0.5
            parameter.data.uniform_(-bound, bound, generator=rng)
    inputs, labels = torch.as_tensor(x[rows]), torch.as_tensor(y[rows])
    optimiser = torch.optim.Adam(network.train().parameters(), 2e-3 if epochs > 1 else 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows), generator=rng).split(BATCH):
            optimiser.zero_grad()
            torch.autograd.backward(cross_entropy(network(inputs[batch]), labels[batch]))
            optimiser.step()
    return network.eval()
