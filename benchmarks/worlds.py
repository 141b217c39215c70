"""Small fresh problems and batches of small networks trained on them, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from attacks.base import Case, Floats, Ints
from attacks.queries import partners
from audit.inputs.data import Arrays

CLASSES, WIDTH = 10, 20
WRONG_LABELS, SEPARATION = 0.08, 0.7
PER_CLASS = 120  #: training rows of each class that is not forgotten, in class claims
SUBJECT_SPREAD = 0.8  #: sd of what the rows of one data subject share; a wrong label is shared too
ROLES = ("forget", "holdout", "retain", "test", "auxiliary")

Weights = list[torch.Tensor]  # (M, in, hidden), (M, 1, hidden), (M, hidden, out), (M, 1, out)
Net = tuple[Floats, ...]  #: weight (in, out) and bias (1, out) of each layer in turn, the head last


@dataclass(frozen=True)
class Setting:
    """What kind of world.

    Attributes:
        kind: ``random``, ``class`` or ``subject``.
        n_forget: forget rows; forget subjects for ``subject``.
        holdout: holdout rows or subjects.
        retain, test, auxiliary: rows of each set; class claims have ``PER_CLASS`` rows of each class instead.
        hidden: hidden units of the networks.
        rows: rows of each data subject.
        shift: share of the class centres that the forget rows lack: they are harder than the other rows.
    """

    kind: str = "random"
    n_forget: int = 200
    holdout: int = 400
    retain: int = 600
    test: int = 400
    auxiliary: int = 100
    hidden: int = 48
    rows: int = 1
    shift: float = 0.0


@dataclass(frozen=True)
class World:
    """One problem: inputs (n, d), labels (n,), data subjects (n,) and the rows of each set."""

    x: Floats
    y: Ints
    group: Ints
    rows: dict[str, Ints]
    kind: str
    classes: tuple[int, ...]
    n_classes: int = CLASSES

    def case(self) -> Case:
        """The case as the attacks see it."""
        labels = {role: self.y[rows] for role, rows in self.rows.items()}
        return Case(self.kind, self.classes, {r: self.data(r) for r in self.rows}, labels, self.n_classes)  # type: ignore[arg-type]

    def data(self, role: str) -> Arrays:
        """One set with its inputs."""
        rows = self.rows[role]
        return Arrays(self.x[rows], self.y[rows])

    @cached_property
    def partners(self) -> np.ndarray[Any, Any] | None:
        """Retain rows that queries mix others with."""
        return partners(self.x[self.rows["retain"]])

    def candidates(self) -> Ints:
        """Forget and holdout rows: those that shadow models' coins choose from."""
        return np.concatenate([self.rows["forget"], self.rows["holdout"]])

    def trained_on(self) -> Ints:
        """Rows of the original's training set."""
        return np.concatenate([self.rows["forget"], self.rows["retain"]])


def draw_world(setting: Setting, rng: np.random.Generator) -> World:
    """A fresh problem: 10 Gaussian classes in 20 dimensions with 8 % wrong labels, and its random split."""
    centres = rng.normal(0, SEPARATION, (CLASSES, WIDTH))
    y, rows = (_class_sets if setting.kind == "class" else _random_sets)(setting, rng)
    subjects = len(y)
    wrong = rng.random(subjects) < WRONG_LABELS
    truth = np.where(wrong, (y + rng.integers(1, CLASSES, subjects)) % CLASSES, y)
    x = centres[truth] + rng.normal(size=(subjects, WIDTH))
    group = np.arange(subjects)
    if setting.rows > 1:
        group = np.repeat(group, setting.rows)
        own = np.sqrt(1 - SUBJECT_SPREAD**2)
        x = centres[truth][group] + SUBJECT_SPREAD * (x - centres[truth])[group]
        x, y = x + own * rng.normal(size=x.shape), y[group]
        rows = {role: np.flatnonzero(np.isin(group, members)) for role, members in rows.items()}
    if setting.shift:
        far = rows["forget"]
        x[far] -= setting.shift * centres[truth][group][far]
    return World(x, y, group, rows, setting.kind, (0,) if setting.kind == "class" else ())


def _random_sets(setting: Setting, rng: np.random.Generator) -> tuple[Ints, dict[str, Ints]]:
    sizes = (setting.n_forget, setting.holdout, setting.retain, setting.test, setting.auxiliary)
    parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return rng.integers(0, CLASSES, sum(sizes)), dict(zip(ROLES, parts, strict=True))


def _class_sets(setting: Setting, rng: np.random.Generator) -> tuple[Ints, dict[str, Ints]]:  # noqa: ARG001
    """Class 0 is forgotten; the other nine have ``PER_CLASS`` training rows each."""
    others = np.arange(1, CLASSES)
    labels = {
        "forget": np.zeros(setting.n_forget, dtype=np.int64),
        "holdout": np.zeros(setting.holdout, dtype=np.int64),
        "retain": np.repeat(others, PER_CLASS),
        "test": np.repeat(others, setting.test // len(others)),
        "auxiliary": np.repeat(others, 11),
    }
    y = np.concatenate(list(labels.values()))
    ends = np.cumsum([len(part) for part in labels.values()])[:-1]
    return y, dict(zip(labels, np.split(np.arange(len(y)), ends), strict=True))


def initial(models: int, hidden: int, rng: np.random.Generator) -> Weights:
    """Fresh weights, uniform within 1/sqrt(fan-in)."""
    shapes = [(WIDTH, hidden, WIDTH), (1, hidden, WIDTH), (hidden, CLASSES, hidden), (1, CLASSES, hidden)]
    drawn = [rng.uniform(-1, 1, (models, a, b)) * fan**-0.5 for a, b, fan in shapes]
    return [torch.tensor(w, dtype=torch.float32) for w in drawn]


@dataclass(frozen=True)
class Recipe:
    """How to train: Adam for ``epochs`` over the original's training set (or over ``rows`` where given)."""

    epochs: float = 25
    rate: float = 8e-3
    batch: int = 50
    ascend: bool = False


@dataclass(frozen=True)
class Job:
    """One network to train: the index of its world, its rows, and labels that replace the world's (n,)."""

    world: int
    rows: Ints
    labels: Ints | None = None


def fit(
    worlds: Sequence[World], jobs: Sequence[Job], start: Weights, rng: np.random.Generator, recipe: Recipe, size: int
) -> Weights:
    """Train one network per job, all at once, for ``recipe.epochs`` epochs of ``size`` rows."""
    x = torch.tensor(np.stack([w.x for w in worlds]), dtype=torch.float32)
    y = torch.tensor(np.stack([worlds[job.world].y if job.labels is None else job.labels for job in jobs]))
    batch = min(recipe.batch, *(len(job.rows) for job in jobs))
    steps = max(1, round(recipe.epochs * size / batch))
    orders = torch.tensor(np.stack([_order(job.rows, steps, batch, rng) for job in jobs]))
    place, sheet = torch.tensor([job.world for job in jobs])[:, None], torch.arange(len(jobs))[:, None]
    weights = [w.clone().requires_grad_(True) for w in start]
    optimiser = torch.optim.Adam(weights, lr=recipe.rate)
    sign = -1.0 if recipe.ascend else 1.0
    for step in range(steps):
        rows = orders[:, step]
        a, b, c, d = weights
        logits = torch.relu(x[place, rows] @ a + b) @ c + d
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[sheet, rows].flatten(), reduction="sum")
        torch.autograd.backward(sign * loss / batch)
        optimiser.step()
    return [w.detach() for w in weights]


def _order(rows: Ints, steps: int, batch: int, rng: np.random.Generator) -> Ints:
    epochs = -(-steps * batch // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(epochs)])[: steps * batch].reshape(steps, batch)


def net(weights: Weights, index: int) -> Net:
    """One network of a batch, in float64."""
    a, b, c, d = (w[index].double().numpy() for w in weights)
    return a, b, c, d
