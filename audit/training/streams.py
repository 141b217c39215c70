"""Which rows each step of one model takes and how each picture is changed. The same in every mode; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks import queries
from attacks.base import Inputs, Ints

ORDER, CHANGES = 1, 2  # a generator of its own for each
ACROSS = tuple(f"shift:{dx}:{dy}" for dx in (-1, 0, 1) for dy in (-1, 0, 1))
CHANGED: dict[str, tuple[tuple[str, ...], ...]] = {
    "none": (),
    "flip": ((), ("flip",)),
    "shift": tuple((shift,) for shift in ACROSS),
    "flip+shift": tuple((*flip, shift) for flip in ((), ("flip",)) for shift in ACROSS),
}


def changes(augmentation: str, x: Inputs) -> np.ndarray[Any, Any] | None:
    """Every way in which an augmentation changes a picture, by the code of the attacks' queries.

    Args:
        augmentation: as in the recipe.
        x: pictures (N, ..., height, width).

    Returns:
        (ways, height * width): the pixel that each pixel of the changed picture is taken from; None without
        augmentation. All ways are equally likely.

    Raises:
        ValueError: the inputs are no pictures.
    """
    ways = CHANGED[augmentation]
    if not ways:
        return None
    if isinstance(x, Mapping) or x.ndim < queries.IMAGE_DIMENSIONS:
        shape = "named arrays" if isinstance(x, Mapping) else f"arrays of shape {x.shape[1:]}"
        raise ValueError(f'[recipe] augmentation = "{augmentation}" needs pictures, the inputs are {shape}: use "none"')
    table = []
    for way in ways:
        pixels: Inputs = np.arange(x.shape[-2] * x.shape[-1]).reshape(1, *x.shape[-2:])
        for query in way:
            pixels = queries.apply(query, pixels, 1.0)
        table.append(np.asarray(pixels).reshape(-1))
    return np.stack(table)


class Stream:
    """Batches of one model: its rows in one random order after another, cut into batches of equal size.

    Args:
        rows: rows of the pool that the model may see, (n,).
        batch: rows a step, at most n.
        ways: number of ways to change a picture, 0 = unchanged.
        seed: the model's.
    """

    def __init__(self, rows: Ints, batch: int, ways: int, seed: int) -> None:
        self._rows, self._batch, self._ways = rows, batch, ways
        self._order = np.random.default_rng([seed, ORDER])
        self._changes = np.random.default_rng([seed, CHANGES])
        self._left = np.empty(0, np.int64)

    def take(self, steps: int) -> tuple[Ints, Ints | None]:
        """Rows of the pool, (steps, batch), and the change of each, the same shape or None."""
        parts, have = [self._left], len(self._left)
        while have < steps * self._batch:
            parts.append(self._order.permutation(len(self._rows)))
            have += len(self._rows)
        places = np.concatenate(parts)
        places, self._left = np.split(places, [steps * self._batch])
        index = self._rows[places].reshape(steps, self._batch)
        return index, self._changes.integers(self._ways, size=index.shape) if self._ways else None
