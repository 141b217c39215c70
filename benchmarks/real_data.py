"""Real data sets of small size for fresh worlds: location30, adult and MNIST. None of them is part of the project."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from attacks.base import Floats, Ints

from .worlds import World

#: folder of the files that ``SOURCES.md`` beside them describes
DATA = Path(os.environ.get("UNLEARN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class DataSet:
    """One data set, and what its worlds look like. Sizes, widths and epochs are our choice.

    Attributes:
        name: of its file.
        words: what it is.
        forget: sizes of the forget sets, nested: each is the beginning of the largest one.
        references: numbers of references, nested.
        retain, holdout, test, auxiliary: rows of each set.
        hidden: widths of the hidden layers.
        epochs: of every training.
        batch: rows of a step.
        rate: of Adam.
        worlds: how many the page asks for.
    """

    name: str
    words: str
    forget: tuple[int, ...]
    references: tuple[int, ...]
    retain: int
    holdout: int
    test: int
    auxiliary: int
    hidden: tuple[int, ...]
    epochs: int
    batch: int = 64
    rate: float = 2e-3
    worlds: int = 64

    @property
    def path(self) -> Path:
        """Its file."""
        return DATA / f"{self.name}.npz"

    def world(self, rng: np.random.Generator) -> World:
        """A fresh random choice of rows and a fresh random split of them; ``forget`` is the largest one."""
        x, y = arrays(self.name)
        sizes = {"forget": max(self.forget)} | {r: getattr(self, r) for r in ("holdout", "retain", "test", "auxiliary")}
        chosen = rng.permutation(len(y))[: sum(sizes.values())]
        ends = np.cumsum(list(sizes.values()))[:-1]
        rows = dict(zip(sizes, np.split(np.arange(len(chosen)), ends), strict=True))
        classes = int(y.max()) + 1
        return World(_standard(x[chosen]), y[chosen], np.arange(len(chosen)), rows, "random", (), classes)


SETS = {
    data.name: data
    for data in (
        DataSet(
            "location30",
            "446 binary features, 30 classes, 1,600 retain rows, network 446-128-64-30",
            (100, 300, 1000),
            (2, 4, 8),
            *(1600, 1000, 1000, 410),
            (128, 64),
            20,
        ),
        DataSet(
            "adult",
            "6 numbers and 8 categories in 108 columns, 2 classes, 3,000 retain rows, network 108-64-32-2",
            (300,),
            (4,),
            *(3000, 1000, 2000, 500),
            (64, 32),
            40,
        ),
        DataSet(
            "mnist",
            "28 x 28 pixels, 10 classes, 6,000 rows, 2,700 of them retain rows, network 784-64-10",
            (300,),
            (4,),
            *(2700, 1000, 1500, 500),
            (64,),
            15,
        ),
    )
}


@cache
def arrays(name: str) -> tuple[Floats, Ints]:
    """All rows of a data set: inputs (n, d) float32, labels (n,); official training and test parts together."""
    with np.load(SETS[name].path, allow_pickle=False) as file:
        if name == "location30":
            return file["X"].astype(np.float32), file["y"]
        y = np.concatenate([file["y_train"], file["y_test"]])
        if name == "mnist":
            pixels = np.concatenate([file["X_train"], file["X_test"]])
            return pixels.reshape(len(y), -1).astype(np.float32) / 255, y.astype(np.int64)
        numbers = np.concatenate([file["X_num_train"], file["X_num_test"]])
        levels = np.concatenate([file["X_cat_train"], file["X_cat_test"]])
        hot = [levels[:, [k]] == np.unique(levels[:, k]) for k in range(levels.shape[1])]
        return np.concatenate([numbers, *hot], axis=1).astype(np.float32), y.astype(np.int64)


def _standard(x: Floats) -> Floats:
    """Columns that are no shares or indicators (adult's numbers) centred and scaled; no label is read."""
    wide = (x.min(axis=0) < 0) | (x.max(axis=0) > 1)
    scaled = x.copy()
    scaled[:, wide] = (x[:, wide] - x[:, wide].mean(axis=0)) / np.maximum(x[:, wide].std(axis=0), 1e-6)
    return scaled
