"""Shallow and honest ways to a model without the forget set, batched over worlds.

Each takes the worlds, the originals' weights and a generator, and returns one network per world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from attacks.base import Bools, Ints

from .worlds import CLASSES, Job, Net, Recipe, Weights, World, fit, initial, net

BASE = Recipe()
Method = Callable[[Sequence[World], Weights, np.random.Generator], Weights]


def retrained(recipe: Recipe) -> Method:
    """Training from scratch on the retain set; the original's training set counts the epochs."""

    def method(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:
        jobs = [Job(i, world.rows["retain"]) for i, world in enumerate(worlds)]
        start = initial(len(jobs), original[0].shape[2], rng)
        return fit(worlds, jobs, start, rng, recipe, len(worlds[0].trained_on()))

    return method


def copied(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:  # noqa: ARG001
    """The original with 1e-6 relative noise on every weight."""
    return [w * (1 + 1e-6 * torch.tensor(rng.standard_normal(w.shape), dtype=w.dtype)) for w in original]


def tuned(epochs: float, rate: float = 1e-3) -> Method:
    """The original trained on, on the retain set."""

    def method(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:
        jobs = [Job(i, world.rows["retain"]) for i, world in enumerate(worlds)]
        return fit(worlds, jobs, original, rng, Recipe(epochs, rate), len(jobs[0].rows))

    return method


def ascent(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:
    """One epoch of gradient ascent on the forget set, then three epochs on the retain set."""
    jobs = [Job(i, world.rows["forget"]) for i, world in enumerate(worlds)]
    pushed = fit(worlds, jobs, original, rng, Recipe(1, 1e-3, ascend=True), len(jobs[0].rows))
    return tuned(3)(worlds, pushed, rng)


def noised(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:
    """Noise of .3 sd of each tensor, then three epochs on the retain set."""
    noisy = []
    for w in original:
        sd = w.flatten(1).std(dim=1)[:, None, None]
        noisy.append(w + 0.3 * sd * torch.tensor(rng.standard_normal(w.shape), dtype=w.dtype))
    return tuned(3)(worlds, noisy, rng)


def head_reset(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:
    """A fresh last layer, then ten epochs of everything on the retain set."""
    fresh = initial(len(worlds), original[0].shape[2], rng)
    return tuned(10)(worlds, [*original[:2], *fresh[2:]], rng)


def random_labels(worlds: Sequence[World], original: Weights, rng: np.random.Generator) -> Weights:
    """Three epochs on the whole training set, the forget rows with random labels."""
    jobs = []
    for i, world in enumerate(worlds):
        labels = world.y.copy()
        labels[world.rows["forget"]] = rng.integers(0, CLASSES, len(world.rows["forget"]))
        jobs.append(Job(i, world.trained_on(), labels))
    return fit(worlds, jobs, original, rng, Recipe(3, 2e-3), len(jobs[0].rows))


METHODS: dict[str, Method] = {
    "half": retrained(Recipe(epochs=12.5, rate=2 * BASE.rate)),
    "wide": retrained(Recipe(batch=200)),
    "copy": copied,
    "fine-tune 1": tuned(1),
    "fine-tune 10": tuned(10),
    "ascent": ascent,
    "noise": noised,
    "head reset": head_reset,
    "random labels": random_labels,
}


def train(
    worlds: Sequence[World], hidden: int, names: Sequence[str], rng: np.random.Generator, coins: Bools | None = None
) -> list[dict[str, Net]]:
    """All named networks of each world: ``original[/2]``, ``honest[/2]``, ``retrained/k``, ``shadow/k``, ``METHODS``.

    All but those of ``METHODS`` are trained alike, in one batch, on their own rows; shadow models on the retain set and
    the candidate rows that their coins (worlds, shadows, candidates) chose.
    """
    base = [name for name in names if name not in METHODS]
    jobs = [
        Job(i, _rows(world, name, None if coins is None else coins[i]))
        for i, world in enumerate(worlds)
        for name in base
    ]
    trained = fit(worlds, jobs, initial(len(jobs), hidden, rng), rng, BASE, len(worlds[0].trained_on()))
    nets = [{name: net(trained, i * len(base) + j) for j, name in enumerate(base)} for i in range(len(worlds))]
    original = [w[base.index("original") :: len(base)] for w in trained]
    for name in names:
        if name in METHODS:
            weights = METHODS[name](worlds, original, rng)
            for i, found in enumerate(nets):
                found[name] = net(weights, i)
    return nets


def _rows(world: World, name: str, coins: Bools | None) -> Ints:
    kind, _, number = name.partition("/")
    if kind == "original":
        return world.trained_on()
    if coins is None or kind != "shadow":
        return world.rows["retain"]
    return np.concatenate([world.rows["retain"], world.candidates()[coins[int(number)]]])


#: what the names mean, for the page
WORDS = {
    "honest": "an honest retrain",
    "half": "an honest retrain, half the epochs at twice the rate",
    "wide": "an honest retrain with batches of 200",
    "copy": "the original with 1e-6 relative noise",
    "fine-tune 1": "fine-tuned for 1 epoch on the retain set",
    "fine-tune 10": "fine-tuned for 10 epochs on the retain set",
    "ascent": "1 epoch of gradient ascent on the forget set, then 3 of fine-tuning",
    "noise": "weight noise of .3 sd, then 3 epochs of fine-tuning",
    "head reset": "a fresh last layer, then 10 epochs of fine-tuning",
    "random labels": "3 epochs with random labels on the forget set",
}
