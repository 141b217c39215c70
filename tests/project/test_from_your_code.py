"""``docs/from-your-code.md``: each layout, made file by file, goes to a verdict with the lines that the page shows."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from tests.conftest import arrays
from tests.project.conftest import Reader
from tests.project.documents import Block, blocks

PAGE = "docs/from-your-code.md"
MODELS = ("original", "unlearned", "retrained-0", "retrained-1")
#: the module of a repository that has its data sets and networks as code
REPOSITORY = """
import numpy as np, torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset, TensorDataset
from nets import make

def evaluation(x):
    return torch.as_tensor(x)

class TrainSet(Dataset):
    name = "all.npz"
    def __init__(self, transform):
        with np.load(self.name) as found:
            self.x, self.y = found["x"], found["y"]
        self.transform = transform
    def __len__(self):
        return len(self.y)
    def __getitem__(self, i):
        return self.transform(self.x[i]), int(self.y[i])

class TestSet(TrainSet):
    name = "test.npz"

def loader(name):
    with np.load(name) as found:
        return DataLoader(TensorDataset(torch.tensor(found["x"]), torch.tensor(found["y"])), 64, shuffle=True)

def network(name):
    model = make()
    model.load_state_dict(load_file(name + ".safetensors"))
    return model.eval()

forget_loader, retain_loader, test_loader = (loader(f"{role}.npz") for role in ("forget", "retain", "test"))
"""


def together(folder: Path, built: Path, *roles: str) -> dict[str, np.ndarray[Any, Any]]:
    """One set of several, and the rows of each in it."""
    sets = [arrays(built / f"{role}.npz") for role in roles]
    np.savez(folder / "all.npz", **{key: np.concatenate([found[key] for found in sets]) for key in ("x", "y")})
    ends = np.cumsum([len(found["y"]) for found in sets])
    return dict(zip(roles, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))


def copied(folder: Path, built: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes((built / name).read_bytes())


def index_lists(folder: Path, built: Path) -> None:
    rows = together(folder, built, "retain", "forget", "holdout")
    (folder / "all.npz").rename(folder / "train.npz")
    for role in ("forget", "holdout"):
        np.save(folder / f"{role}_idx.npy", rows[role])
    copied(folder, built, "test.npz", *(f"{name}.safetensors" for name in MODELS))


def small_pictures(folder: Path, _built: Path) -> None:
    """1,000 training rows of 28 x 28 (MNIST where it is, else digits enlarged), trained as the page says."""
    x, y = mnist_sized()
    rng = np.random.default_rng(0)
    wrong = rng.random(len(y)) < 0.1  # as in real annotation: something to memorise
    y = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    np.savez(folder / "train.npz", x=x[:1000], y=y[:1000])
    np.savez(folder / "test.npz", x=x[1000:], y=y[1000:])
    np.save(folder / "forget_idx.npy", np.arange(200))
    for seed, (name, first) in enumerate({"original": 0, "unlearned": 200}.items()):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 13 * 13, 10))
        optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
        data = TensorDataset(torch.tensor(x[first:1000]), torch.tensor(y[first:1000]))
        for _ in range(20):
            for inputs, labels in DataLoader(data, 64, shuffle=True):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(inputs), labels).backward()
                optimiser.step()
        torch.save(model.state_dict(), folder / f"{name}.pt")


def mnist_sized() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """1,700 pictures (n, 1, 28, 28) float32 in [0, 1] and their labels (n,) int64."""
    path = Path(os.environ.get("UNLEARN_TEST_DATA", "")) / "mnist.npz"
    if path.is_file():
        with np.load(path) as found:
            images, labels = found["X_train"][:1700], found["y_train"][:1700]
        return images.reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(images.max()), labels.astype(np.int64)
    images, labels = load_digits(return_X_y=True)
    large = np.pad(images[:1700].reshape(-1, 8, 8).repeat(3, 1).repeat(3, 2) / 16, ((0, 0), (2, 2), (2, 2)))
    return large[:, None].astype(np.float32), labels[:1700].astype(np.int64)


def own_data_set(folder: Path, built: Path) -> None:
    rows = together(folder, built, "retain", "forget", "holdout")
    copied(folder, built, *(f"{role}.npz" for role in ("forget", "retain", "test")))  # the module reads them
    for role in ("forget", "holdout"):
        np.save(folder / f"{role}_idx.npy", rows[role])
    copied(folder, built, *(f"{name}.safetensors" for name in MODELS))


def loaders(folder: Path, built: Path) -> None:
    copied(folder, built, "forget.npz", "retain.npz", "test.npz", *(f"{name}.safetensors" for name in MODELS))


def nested_checkpoints(folder: Path, built: Path) -> None:
    rows = together(folder, built, "retain", "forget")
    np.save(folder / "indexes.npy", rows["forget"])
    copied(folder, built, *(f"{role}.npz" for role in ("forget", "retain", "test")))
    state = {name: load_file(built / f"{name}.safetensors") for name in MODELS}
    result = {"accuracy": {"retain": 99.2, "forget": np.float64(93.1)}, "SVC_MIA": {"confidence": np.float64(0.6)}}
    original = {
        "epoch": 182,
        "state_dict": state["original"],
        "best_sa": np.float64(94.1),
        "result": {"train_ta": [1.0]},
    }
    torch.save(
        {**original, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}, folder / "0model_SA_best.pth.tar"
    )
    for file, name in (("RL", "unlearned"), ("retrain", "retrained-0")):
        torch.save({"state_dict": state[name], "evaluation_result": result}, folder / f"{file}checkpoint.pth.tar")


def starting_kit(folder: Path, built: Path) -> None:
    rows = together(folder, built, "retain", "forget")
    train, test = arrays(folder / "all.npz"), arrays(built / "test.npz")
    (folder / "all.npz").unlink()
    for name, found in (("train", train), ("test", test)):
        np.save(folder / f"x_{name}.npy", found["x"])
        np.save(folder / f"y_{name}.npy", found["y"])
    for role in ("forget", "retain"):
        np.save(folder / f"{role}_idx.npy", rows[role])
    for file, name in (("original", "original"), ("retrained_0", "retrained-0"), ("unlearned", "unlearned")):
        torch.save(load_file(built / f"{name}.safetensors"), folder / f"weights_{file}.pth")


def pickles(folder: Path, built: Path) -> None:
    rows = together(folder, built, "retain", "forget")
    found, test = arrays(folder / "all.npz"), arrays(built / "test.npz")
    train = TensorDataset(torch.tensor(found["x"]), torch.tensor(found["y"]))
    for role in ("forget", "retain"):
        torch.save(Subset(train, rows[role].tolist()), folder / f"{role}_dataset.pt")
    shown = DataLoader(TensorDataset(torch.tensor(test["x"]), torch.tensor(test["y"])), 64, shuffle=True)
    (folder / "test_loader.pkl").write_bytes(pickle.dumps(shown))
    copied(folder, built, *(f"{name}.safetensors" for name in MODELS))


LAYOUTS: dict[str, Callable[[Path, Path], None]] = {
    "index lists": index_lists,
    "small pictures": small_pictures,
    "own data set": own_data_set,
    "loaders": loaders,
    "nested checkpoints": nested_checkpoints,
    "starting kit": starting_kit,
    "pickles": pickles,
}
SHOWN = list(blocks(PAGE))


def of(layout: str) -> list[Block]:
    return [block for block in SHOWN if block.says("layout") == layout]


@pytest.mark.parametrize(
    "layout", [name if name == "nested checkpoints" else pytest.param(name, marks=pytest.mark.slow) for name in LAYOUTS]
)
def test_a_layout_goes_to_a_verdict(layout: str, reader: Reader, built: Path, lenient: Path) -> None:
    LAYOUTS[layout](reader.folder, built)
    (reader.folder / "repository.py").write_text(REPOSITORY)
    (reader.folder / "nets.py").write_text("from audit.demo import network as make\n")  # unless the page shows another
    reader.environment |= {"AUDIT_POLICY": str(lenient), "AUDIT_SPLIT": "attested", "AUDIT_EFFORT": "standard"}
    ran = 0
    for block in of(layout):
        reader.save(block)
        ran += reader.follow(block)
    assert ran
    (record,) = reader.folder.glob("runs/*/run.json")
    assert json.loads(record.read_text())["verdict"]["outcome"] == "PASS"


def test_every_layout_is_shown_with_few_lines() -> None:
    assert {block.says("layout") for block in SHOWN if block.comments} == set(LAYOUTS)
    for layout in LAYOUTS:
        code = [line for block in of(layout) if block.language == "python" for line in block.text.splitlines()]
        own = [line for line in code if line.strip() and not line.startswith(("import ", "from "))]
        assert len(own) <= 5, layout
    whole = [block.text for block in of("small pictures") if block.language in ("python", "toml")]
    assert len([line for text in whole for line in text.splitlines() if line.strip()]) <= 10
