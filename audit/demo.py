"""A real example case from scikit-learn digits: what `make demo` audits.

8 % of the labels are wrong, as in real annotation, so that there is something to memorise; the original and eight
honest retrains are trained, and three "unlearned" models: an honest retrain, and two that only pretend.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import load_digits

from attacks.base import Floats, Ints

if TYPE_CHECKING:
    import torch

WRONG_LABELS = 0.08
STEPS = 1000
LEARNING_RATE = 3e-3
BATCH = 128
REFERENCES = 8
FORGOTTEN_CLASS = 1
ARCH = "audit.demo:network"
CASES = ("random", "class")

#: what an audit should say of each candidate
EXPECTED = {
    "honest-retrain": "PASS",
    "fine-tuned": "FAIL",
    "head-masked": "FAIL",
    "last-layer-retrained": "FAIL",
}

Rows = dict[str, Ints]


@dataclass(frozen=True)
class Digits:
    """scikit-learn digits with wrong labels: x (1797, 64) in [0, 1] float32, y (1797,)."""

    x: Floats
    y: Ints


def digits(seed: int, wrong: float = WRONG_LABELS) -> Digits:
    """Load digits and give a share of the rows another label, uniformly among the wrong ones."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng([seed, 0])
    flip = rng.random(len(y)) < wrong
    labels = np.where(flip, (y + rng.integers(1, 10, len(y))) % 10, y)
    return Digits((x / 16).astype(np.float32), labels.astype(np.int64))


def network() -> torch.nn.Module:
    """The demo's classifier: 64-128-64-10 with ReLU."""
    from torch import nn

    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def train(
    data: Digits,
    rows: Ints,
    seed: int,
    *,
    start: torch.nn.Module | None = None,
    steps: int = STEPS,
    rate: float = LEARNING_RATE,
    head_only: bool = False,
) -> torch.nn.Module:
    """Train with Adam on ``rows``; the seed fixes initialisation and order.

    Args:
        data: the digits.
        rows: row indices to train on.
        seed: of the initial weights and of the order of the batches.
        start: continue from a copy of this model instead of fresh weights.
        steps: gradient steps.
        rate: learning rate.
        head_only: leave all but the last layer as it is.

    Returns:
        a new model in eval mode.
    """
    import torch

    model = initialised(seed) if start is None else copy.deepcopy(start)
    trained = list(model.children())[-1] if head_only else model
    optimiser = torch.optim.Adam(trained.parameters(), lr=rate)
    x, y = torch.from_numpy(data.x[rows]), torch.from_numpy(data.y[rows])
    rng = np.random.default_rng([seed, 1])
    model.train()
    order, at = rng.permutation(len(rows)), 0
    for _ in range(steps):
        if at + BATCH > len(rows):
            order, at = rng.permutation(len(rows)), 0
        batch = torch.from_numpy(order[at : at + BATCH])
        at += BATCH
        optimiser.zero_grad()
        loss: torch.Tensor = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.eval()


def initialised(seed: int) -> torch.nn.Module:
    """A fresh network whose weights depend on the seed alone (no global generator)."""
    import torch

    model = network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            bound = parameter.shape[-1] ** -0.5
            parameter.uniform_(-bound, bound, generator=generator)
    return model


def fine_tune(data: Digits, model: torch.nn.Module, rows: Ints, seed: int) -> torch.nn.Module:
    """One epoch on the retain rows: the cheapest "unlearning", and hardly any."""
    return train(data, rows, seed, start=model, steps=max(1, len(rows) // BATCH), rate=1e-3)


def retrain_last_layer(data: Digits, model: torch.nn.Module, rows: Ints, seed: int) -> torch.nn.Module:
    """A fresh last layer on the original's encoder: looks retrained from outside."""
    renewed = copy.deepcopy(model)
    list(renewed.children())[-1].load_state_dict(list(initialised(seed).children())[-1].state_dict())
    return train(data, rows, seed, start=renewed, steps=200, head_only=True)


def mask_head(model: torch.nn.Module, classes: tuple[int, ...], by: float = 50.0) -> torch.nn.Module:
    """Subtract a constant from the forgotten classes' bias: never predicted again, and nothing forgotten."""
    import torch

    masked = copy.deepcopy(model)
    with torch.no_grad():
        for label in classes:
            list(masked.children())[-1].bias[label] -= by  # type: ignore[operator, index]
    return masked


def random_rows(data: Digits, seed: int, forget: int = 300, holdout: int = 600, retain: int = 600) -> Rows:
    """A random forget set with a random companion as holdout set."""
    order = np.random.default_rng([seed, 2]).permutation(len(data.y))
    cuts = np.cumsum([forget, holdout, retain])
    parts = np.split(order, cuts)
    return dict(zip(("forget", "holdout", "retain", "test"), parts, strict=True))


def class_rows(data: Digits, seed: int, label: int = FORGOTTEN_CLASS, trained: int = 1100) -> Rows:
    """All training rows of one class as forget set; the test set keeps that class."""
    order = np.random.default_rng([seed, 3]).permutation(len(data.y))
    train_rows, test_rows = order[:trained], order[trained:]
    own = data.y[train_rows] == label
    return {"forget": train_rows[own], "retain": train_rows[~own], "test": test_rows}


def split(data: Digits, case: str, seed: int) -> Rows:
    """The rows of one of the two cases."""
    return random_rows(data, seed) if case == "random" else class_rows(data, seed)


def save_data(folder: Path, data: Digits, rows: Rows) -> None:
    """Write one ``.npz`` file per set, with the row number as id."""
    for role, index in rows.items():
        np.savez(folder / f"{role}.npz", x=data.x[index], y=data.y[index], ids=index)


def save_model(path: Path, model: torch.nn.Module) -> None:
    """Write a state dict as safetensors."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


def recipe(folder: Path) -> Path:
    """Write how the demo's models are trained, for shadow models, as a configuration file; return its path."""
    rows = len(class_rows(digits(0), 0)["retain"])
    path = folder / "recipe.toml"
    path.write_text(
        f'[recipe]\noptimizer = "adam"\nlr = {LEARNING_RATE}\nepochs = {STEPS * BATCH // rows}\nbatch_size = {BATCH}\n',
        encoding="utf-8",
    )
    return path


def build(
    folder: Path, seed: int = 0, progress: Callable[[str], Any] = lambda _: None, mapped: Callable[..., Any] = map
) -> dict[str, list[Path]]:
    """Train and write the demo: ``random/`` and ``class/`` below ``folder``.

    Args:
        folder: where.
        seed: of labels and splits.
        progress: told what begins.
        mapped: ``map``, or the ``map`` of an executor: trainings do not depend on each other.

    Returns:
        for each of the two cases, the paths of its three unlearned models.
    """
    data = digits(seed)
    for case in CASES:
        place = folder / case
        place.mkdir(parents=True, exist_ok=True)
        save_data(place, data, split(data, case, seed))
    wanted = ["honest-retrain", "original", *(f"retrained-{k}" for k in range(REFERENCES))]
    tasks = [Task(folder / case, case, name, seed) for name in wanted for case in CASES]
    progress(f"two cases: training an original, {REFERENCES} honest retrains and three candidates for each")
    written = [path for paths in mapped(make, tasks) for path in paths if path.stem.startswith("candidate-")]
    return {case: [path for path in written if path.parent.name == case] for case in CASES}


@dataclass(frozen=True)
class Task:
    """One training: ``original`` (with the candidates made from it), ``honest-retrain`` or ``retrained-<k>``."""

    place: Path
    case: str
    name: str
    seed: int


def make(task: Task) -> list[Path]:
    """Train and write what a task names; the paths, in the order in which the demo shows them."""
    data = digits(task.seed)
    rows = split(data, task.case, task.seed)
    retain = rows["retain"]
    if task.name == "honest-retrain":
        found = {"candidate-honest-retrain": train(data, retain, seed=3000)}
    elif task.name != "original":
        found = {task.name: train(data, retain, seed=2000 + int(task.name.rpartition("-")[2]))}
    else:
        original = train(data, np.concatenate([rows["forget"], retain]), seed=1000)
        found = {"original": original}
        if task.case == "random":
            found["candidate-fine-tuned"] = fine_tune(data, original, retain, seed=3001)
        else:
            found["candidate-head-masked"] = mask_head(original, (FORGOTTEN_CLASS,))
        found["candidate-last-layer-retrained"] = retrain_last_layer(data, original, retain, seed=3002)
    paths = []
    for name, model in found.items():
        paths.append(task.place / f"{name}.safetensors")
        save_model(paths[-1], model)
    return paths
