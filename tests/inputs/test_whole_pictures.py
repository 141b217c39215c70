"""A ResNet-18 on folders of pictures from end to end, as a Lightning checkpoint and as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

import audit
from audit.demo import digits, random_rows

SIZES = {"forget": 250, "holdout": 400, "retain": 450}
WIDTHS = (8, 16, 32, 64)  # an eighth of the usual ones
EPOCHS, BATCH = 12, 64
ATTACKS = "membership,label_only,feature_mapping,probe"


class Block(nn.Module):
    """torchvision's BasicBlock."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + side)


class ResNet18(nn.Module):
    """Its stages, names and order, for pictures of 16 x 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=False), nn.BatchNorm2d(WIDTHS[0])
        self.relu, self.avgpool = nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        widths = (WIDTHS[0], *WIDTHS)
        for k in range(4):
            blocks = Block(widths[k], widths[k + 1], 1 if k == 0 else 2), Block(widths[k + 1], widths[k + 1], 1)
            setattr(self, f"layer{k + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def trained(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], seed: int, start: nn.Module | None = None) -> nn.Module:
    """From scratch, or one epoch more of ``start``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ResNet18()
        if start is not None:
            network.load_state_dict(start.state_dict())
        inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
        adam = torch.optim.Adam(network.train().parameters(), 3e-3 if start is None else 3e-4)
        for _ in range(EPOCHS if start is None else 1):
            for batch in torch.randperm(len(y)).split(BATCH):
                adam.zero_grad()
                cross_entropy(network(inputs[batch]), labels[batch]).backward()
                adam.step()
    return network.eval()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, nn.Module]]:
    """Folders of PNG files, a folder a class, and the networks by name."""
    folder = tmp_path_factory.mktemp("pictures")
    data = digits(0, 0.15)
    rows = random_rows(data, 0, **SIZES)
    bytes_ = np.kron(data.x.reshape(-1, 8, 8), np.ones((2, 2))) * 255
    for role, index in rows.items():
        for row in index:
            place = folder / role / str(data.y[row])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(bytes_[row].astype(np.uint8), mode=None).save(place / f"{row:04}.png")
    x = (bytes_.astype(np.uint8) / 255).astype(np.float32)[:, None]
    both = np.concatenate([rows["forget"], rows["retain"]])
    networks = {"original": trained(x[both], data.y[both], 1)}
    for k, name in enumerate(("honest", "retrained-0", "retrained-1")):
        networks[name] = trained(x[rows["retain"]], data.y[rows["retain"]], 2 + k)
    networks["tuned"] = trained(x[rows["retain"]], data.y[rows["retain"]], 9, networks["original"])
    return folder, networks


def as_lightning(networks: Mapping[str, nn.Module], folder: Path) -> str:
    """Checkpoints as Lightning's trainer saves them."""
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = ResNet18()

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    for name, network in networks.items():
        module = Module()
        module.model.load_state_dict(network.state_dict())
        trainer = lightning.Trainer(max_epochs=1, enable_checkpointing=False, accelerator="cpu", **quiet)
        trainer.strategy.connect(module)
        trainer.save_checkpoint(folder / f"{name}.ckpt", weights_only=False)
    return ".ckpt"


def as_onnx(networks: Mapping[str, nn.Module], folder: Path) -> str:
    """Models as torch exports them."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    for name, network in networks.items():
        names = {"input_names": ["x"], "output_names": ["logits"], "dynamic_axes": {"x": {0: "rows"}}}
        torch.onnx.export(network, (torch.zeros(2, 1, 16, 16),), str(folder / f"{name}.onnx"), dynamo=False, **names)
    return ".onnx"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the two libraries
@pytest.mark.parametrize("save", [as_lightning, as_onnx])
def test_original_and_a_tuned_one_fail_and_an_honest_retrain_does_not(
    save: Any, case: tuple[Path, dict[str, nn.Module]], tmp_path: Path
) -> None:
    folder, networks = case
    suffix = save(networks, tmp_path)
    verdicts = {}
    for name in ("original", "tuned", "honest"):
        found = audit.run(
            forget=folder / "forget",
            original=tmp_path / f"original{suffix}",
            unlearned=tmp_path / f"{name}{suffix}",
            retrained=[tmp_path / f"retrained-{k}{suffix}" for k in range(2)],
            arch=f"{__name__}:ResNet18" if suffix == ".ckpt" else None,
            split="attested",
            attacks=ATTACKS,
            out=tmp_path / "runs",
        )
        verdicts[name] = found.verdict
        assert not [f for f in found.findings if f.status.value == "ERROR"]
    assert verdicts["honest"] != "FAIL", verdicts
    assert (verdicts["original"], verdicts["tuned"]) == ("FAIL", "FAIL"), verdicts
