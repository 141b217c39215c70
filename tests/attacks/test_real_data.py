"""Real data and published networks that lie beside the checkout; skipped where they do not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cases.stub import StubView
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import pad

from attacks.base import Case, Floats, Ints, Shadows, discover
from tests.attacks import worlds

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("UNLEARN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def load(name: str) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Arrays of a data file; skips the test where it is absent."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the checkout (UNLEARN_TEST_DATA names its folder)")
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters: every second pixel, new channels of zeros."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.grow = width - inputs
        self.conv1 = nn.Conv2d(inputs, width, 3, 2 if self.grow else 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short = pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.grow // 2, self.grow // 2)) if self.grow else x
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + short).relu()


class ResNet(nn.Module):
    """The CIFAR network of He et al. 2016, section 4.2, with ``blocks`` blocks a stage."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16, *(width for width in (16, 32, 64) for _ in range(blocks))]
        stages = [
            nn.Sequential(*(Block(widths[k], widths[k + 1]) for k in range(s, s + blocks)))
            for s in (0, blocks, 2 * blocks)
        ]
        self.layer1, self.layer2, self.layer3 = stages
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.linear(x.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("depth", "auc", "members", "others"), [(20, 0.540, 0.9976, 0.9164), (32, 0.550, 0.9996, 0.9282)]
)
def test_population_gives_the_published_loss_auc_on_cifar_networks(
    depth: int, auc: float, members: float, others: float
) -> None:
    """T3: members are official training pictures; loss AUC .540 and .550."""
    data = load("cifar10_orig_6k.npz")
    weights = DATA / "models" / f"cifar10_resnet{depth}.safetensors"
    if not weights.is_file():
        pytest.skip(f"{weights.name} is not beside the checkout")
    net = ResNet((depth - 2) // 6)
    net.load_state_dict(load_file(weights))
    net.eval()
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def logits(pictures: np.ndarray) -> Floats:  # type: ignore[type-arg]
        x = ((torch.from_numpy(pictures).float() / 255 - mean) / spread).permute(0, 3, 1, 2)
        with torch.no_grad():
            return torch.cat([net(part) for part in x.split(256)]).numpy().astype(np.float64)

    sets = {"forget": (data["X_train"], data["y_train"]), "holdout": (data["X_test"], data["y_test"])}
    view = StubView({role: logits(x) for role, (x, _) in sets.items()})
    labels = {role: y for role, (_, y) in sets.items()}
    accuracy = [float((view.logits(role).argmax(axis=1) == y).mean()) for role, y in labels.items()]
    np.testing.assert_allclose(accuracy, [members, others], atol=0.002)
    case = Case("random", (), {}, labels, 10)
    attack = discover()["population"]()
    examples = attack.score(worlds.observe(attack, [view], case), case).examples
    assert examples is not None
    assert worlds.auc_of(examples, len(labels["forget"]))[0] == pytest.approx(auc, abs=0.01)


SIZES = {"forget": 500, "holdout": 500, "retain": 800, "test": 500, "auxiliary": 1000}
SHADOWS = 16


def leaks(x: Floats, y: Ints, sizes: dict[str, int], steps: int) -> dict[str, tuple[float, float]]:
    """Mean AUC by attack: of two networks that were trained on the forget rows, and of four references."""
    order = np.random.default_rng(0).permutation(len(y))
    rows = dict(zip(sizes, np.split(order, np.cumsum(list(sizes.values()))), strict=False))
    case = worlds.case_of(x, y, rows)
    n = sizes["forget"] + sizes["holdout"]
    member = worlds.coins(0, SHADOWS, n)
    trained = (np.arange(6)[:, None] < 2) & (np.arange(n) < sizes["forget"])

    def views(coins: np.ndarray, seed: int) -> list[StubView]:  # type: ignore[type-arg]
        stack = worlds.train(x, y, worlds.trained_rows(len(y), rows, coins), seed, steps=steps, hidden=(128,))
        return [worlds.view(model, case) for model in worlds.modules(stack)]

    shadows, models = views(member, 0), views(trained, 99)

    def aucs(name: str, chosen: slice) -> Floats:
        """(2, 5): each network, then the references."""
        attack, mine = discover()[name](), case
        if attack.design:
            found = worlds.observe(attack, shadows[chosen], case)
            mine = replace(case, shadows=Shadows(found, member[chosen]))
        scored = []
        for target in models[:2]:
            examples = attack.score(worlds.observe(attack, [target, *models[2:]], mine), mine).examples
            assert examples is not None
            scored.append(worlds.auc_of(examples, sizes["forget"]))
        return np.array(scored)

    every = slice(0, SHADOWS)
    found = {name: aucs(name, every) for name in (*SINGLE, *ONLINE)}
    found["rmia_online of 4"] = np.mean([aucs("rmia_online", slice(k, k + 4)) for k in range(0, SHADOWS, 4)], axis=0)
    return {name: (float(auc[:, 0].mean()), float(auc[0, 1:].mean())) for name, auc in found.items()}


SINGLE = ("population", "membership", "rmia", "quantile")
ONLINE = ("lira_online", "rmia_online", "shadow_logistic")


def ordered(found: dict[str, tuple[float, float]]) -> None:
    """What the literature says of networks that overfit, and nothing on models that never saw the rows."""
    leak = {name: auc for name, (auc, _) in found.items()}
    assert leak["lira_online"] > leak["membership"] > leak["population"] + 0.02
    assert leak["rmia_online of 4"] > leak["lira_online"] - 0.02
    assert leak["rmia_online"] > leak["lira_online"] - 0.01
    assert leak["rmia"] > leak["population"] + 0.02
    for name, (_, honest) in found.items():
        if name not in {"membership", "rmia"}:  # they score references by each other: not at .5 beside a leak
            assert abs(honest - 0.5) < 0.06, name


def test_location30() -> None:
    """446 binary columns, 30 classes: a network that knows its training rows by heart."""
    data = load("location30.npz")
    found = leaks(data["X"].astype(np.float32), data["y"].astype(np.int64), SIZES, 300)
    ordered(found)
    assert found["lira_online"][0] > 0.98
    assert min(leak for leak, _ in found.values()) > 0.85


def test_mnist_with_wrong_labels() -> None:
    """Ten per cent of the labels are wrong, so that there is something to memorise."""
    data = load("mnist.npz")
    x, y = (data["X_train"][:6000].reshape(-1, 784) / 255).astype(np.float32), data["y_train"][:6000].astype(np.int64)
    rng = np.random.default_rng(1)
    y = np.where(rng.random(6000) < 0.1, (y + rng.integers(1, 10, 6000)) % 10, y)
    ordered(leaks(x, y, SIZES | {"retain": 1000}, 400))


def test_cifar10_subset() -> None:
    """Pictures as rows of numbers: the network learns little that carries over, and all of what it saw."""
    data = load("cifar10_orig_6k.npz")
    pictures = np.concatenate([data["X_train"], data["X_test"]]).reshape(-1, 3072)
    x, y = (pictures / 63.75 - 2).astype(np.float32), np.concatenate([data["y_train"], data["y_test"]])
    ordered(leaks(x, y.astype(np.int64), SIZES | {"retain": 1500}, 200))
