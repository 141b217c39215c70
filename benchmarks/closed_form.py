"""Rows reconstructed in closed form from two linear models, with and without the curvature of never-seen rows.

Each deletion retrains a ridge or softmax regression to its optimum without one row. The row is read off the difference
of the weights (``attacks.inversion.linear``) and ranked among never-seen decoys by centred cosine. Curvature from
never-seen rows, the decoys among them.

Run ``python -m benchmarks.closed_form`` (a minute; California housing and MNIST where ``UNLEARN_TEST_DATA`` names the
folder that holds them). Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression

from attacks.base import Floats
from attacks.inversion.common import correlations, exposure, shares
from attacks.inversion.linear import deleted_gradient, rows_of, with_bias
from audit import demo

DELETIONS = 20
DECOYS = 1000


@dataclass(frozen=True)
class World:
    """Rows that both models saw, rows that none saw, and the penalty of the fit."""

    x: Floats
    y: Floats
    unseen: Floats
    penalty: float

    @property
    def decoys(self) -> Floats:
        """Never-seen rows that the deleted row is ranked among."""
        return self.unseen[-DECOYS:]


def ridge(x: Floats, y: Floats, penalty: float) -> Floats:
    """(d + 1, K) minimum of the sum of (y - f)^2 / 2 + penalty / 2 |theta|^2, the bias included."""
    full = with_bias(x)
    y = y.reshape(len(x), -1)
    return np.asarray(np.linalg.solve(full.T @ full + penalty * np.eye(full.shape[1]), full.T @ y))


def softmax(x: Floats, y: Floats, penalty: float, start: Floats | None = None) -> Floats:
    """(d + 1, C) minimum of the summed cross-entropy + penalty / 2 |weights|^2."""
    fit = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000, warm_start=start is not None)
    if start is not None:
        fit.coef_, fit.intercept_, fit.classes_ = start[:-1].T.copy(), start[-1].copy(), np.unique(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit.fit(x, y)
    return np.vstack([fit.coef_.T, fit.intercept_])


def probabilities(logits: Floats) -> Floats:
    """Softmax, (n, C)."""
    logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(logits / logits.sum(axis=1, keepdims=True))


def deletions(world: World, classes: bool, count: int = DELETIONS) -> dict[str, dict[str, Floats]]:
    """Cosine, rank share and exposure of each deleted row, by the way in which it was read off."""
    decoys, full, centre = world.decoys, with_bias(world.unseen), world.unseen.mean(axis=0)
    penalty = np.full((full.shape[1], 1), world.penalty)
    penalty[-1] *= not classes  # scikit-learn does not penalise the intercept
    first = softmax(world.x, world.y, world.penalty) if classes else ridge(world.x, world.y, world.penalty)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for row in np.random.default_rng(0).permutation(len(world.x))[:count]:
        x, y = np.delete(world.x, row, axis=0), np.delete(world.y, row, axis=0)
        second = softmax(x, y, world.penalty, first) if classes else ridge(x, y, world.penalty)
        change = first - second
        moves = {"moment": full @ change}
        if classes:
            moves["secant"] = probabilities(full @ first) - probabilities(full @ second)
        ways = {name: deleted_gradient(full, moved, change, len(x), penalty) for name, moved in moves.items()}
        for name, gradient in (ways | {"no curvature": change}).items():
            read = rows_of(gradient, 1)
            mine = correlations(read, world.x[row][None], centre)[0]
            others = correlations(read, decoys, centre)[0]
            said = (float(mine[0]), float(shares(mine, others)[0]), float(exposure(mine, others)[0]))
            found.setdefault(name, []).append(said)
    return {name: dict(zip(("cosine", "share", "bits"), np.array(v).T, strict=True)) for name, v in found.items()}


def split(x: Floats, y: Floats, train: int, penalty: float, seed: int = 0) -> World:
    """Random rows to train on; the others are never seen, twice ``DECOYS`` at most."""
    order = np.random.default_rng(seed).permutation(len(x))
    seen, unseen = order[:train], order[train : train + 2 * DECOYS]
    return World(x[seen], y[seen], x[unseen], penalty)


def standardised(x: Floats) -> Floats:
    """Columns of mean 0 and spread 1."""
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


def digits() -> tuple[World, bool]:
    data = demo.digits(0, wrong=0.0)
    return split(data.x.astype(float), data.y, 600, 1.0), True


def diabetes() -> tuple[World, bool]:
    x, y = load_diabetes(return_X_y=True)
    return split(standardised(x), standardised(y), 220, 1.0), False


def california() -> tuple[World, bool]:
    with np.load(folder() / "california_housing.npz", allow_pickle=False) as data:
        return split(standardised(data["X"]), standardised(data["y"]), 5000, 1.0), False


def mnist() -> tuple[World, bool]:
    with np.load(folder() / "mnist.npz", allow_pickle=False) as data:
        x, y = data["X_train"][:5000].reshape(5000, -1) / 255, data["y_train"][:5000]
    return split(x, y.astype(np.int64), 1000, 10.0), True


def folder() -> Path:
    """Where data beyond scikit-learn's lies."""
    return Path(os.environ.get("UNLEARN_TEST_DATA", "/nonexistent"))


def one_hot(made: tuple[World, bool]) -> tuple[World, bool]:
    """The same rows with a column a class, for ridge regression."""
    world = made[0]
    return World(world.x, np.eye(10)[world.y.astype(int)], world.unseen, world.penalty), False


WORLDS: dict[str, Callable[[], tuple[World, bool]]] = {
    "digits, softmax": digits,
    "digits, ridge": lambda: one_hot(digits()),
    "diabetes": diabetes,
    "California housing": california,
    "MNIST, softmax": mnist,
    "MNIST, ridge": lambda: one_hot(mnist()),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deletions", type=int, default=DELETIONS)
    count = parser.parse_args().deletions
    print("| data | rows | decoys | read off | n | median centred cosine | before all decoys | mean bits |")
    print("|---|---|---|---|---|---|---|---|")
    for name, make in WORLDS.items():
        try:
            world, classes = make()
        except FileNotFoundError as absent:
            print(f"| {name} | not measured: {Path(str(absent.filename)).name} is absent | | | | | | |")
            continue
        for way, said in deletions(world, classes, count).items():
            decoys = len(world.decoys)
            first = (said["share"] <= 1 / (decoys + 1)).mean()
            print(
                f"| {name} | {len(world.x):,} | {decoys:,} | {way} | {count} | {np.median(said['cosine']):.3f} "
                f"| {first:.2f} | {said['bits'].mean():.2f} |"
            )


if __name__ == "__main__":
    main()
