"""Ways in which a tensor may hold another one: as rows, turned, stacked, flattened, or as a run of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RUN_DISTANCE = 0.01  # our choice: relative distance of a run of numbers that is the one looked for
PROBES = 8  # entries that a run is first compared at


@dataclass(frozen=True, eq=False)
class View:
    """A tensor as units: (N, inputs, kernel)."""

    name: str
    units: Array


def views(held: Mapping[str, Array], inputs: int, kernel: int) -> Iterator[View]:
    """All tensors as units of that kernel with at least so many inputs, in every way in which they may be meant.

    Args:
        held: arrays by name.
        inputs: of a unit that is looked for.
        kernel: weights for each input.
    """
    for name, array in held.items():
        if array.dtype.kind in "iuf" and array.size >= inputs * kernel:
            for units in _ways(array, kernel):
                if units.shape[1] >= inputs:
                    yield View(name, units)


def _ways(array: Array, kernel: int) -> Iterator[Array]:
    shape = array.shape
    if array.ndim < 2:
        return
    plain = array.reshape(shape[0], shape[1], -1)
    if plain.shape[2] == kernel:
        yield plain
        yield plain.swapaxes(0, 1)
    if array.ndim > 2:  # several matrices in one tensor, or a convolution that is written as a matrix
        stacked = array.reshape(shape[0] * shape[1], shape[2], -1)
        if stacked.shape[2] == kernel:
            yield stacked
            turned = array.reshape(shape[0], shape[1], shape[2], -1).swapaxes(1, 2)
            yield np.ascontiguousarray(turned).reshape(shape[0] * shape[2], shape[1], -1)
        if kernel == 1:
            yield array.reshape(shape[0], -1, 1)
    elif kernel > 1 and shape[1] % kernel == 0:
        yield array.reshape(shape[0], -1, kernel)


def run_of(held: Mapping[str, Array], wanted: Array) -> tuple[str, float] | None:
    """The array in which the numbers of another one stand in a row, whatever the shapes, and their relative distance.

    Args:
        held: arrays by name.
        wanted: any shape.

    Returns:
        None where there is none.
    """
    run = np.asarray(wanted, dtype=np.float64).reshape(-1)
    length = float(np.linalg.norm(run))
    if length == 0:
        return None
    probes = np.argpartition(-np.abs(run), min(PROBES, run.size - 1))[:PROBES]
    for name, array in held.items():
        if array.dtype.kind == "f" and array.size >= run.size:
            distance = _distance(array.reshape(-1), run, probes) / length
            if distance <= RUN_DISTANCE:
                return name, distance
    return None


def _distance(flat: Array, run: Array, probes: Array) -> float:
    """Of the nearest run among those that agree in the probes; inf where none does."""
    first = int(probes[0])
    last = flat.size - run.size
    starts = np.flatnonzero(np.abs(flat[first : first + last + 1] - run[first]) <= RUN_DISTANCE * abs(run[first]))
    for probe in probes[1:]:
        starts = starts[np.abs(flat[starts + probe] - run[probe]) <= RUN_DISTANCE * abs(run[probe])]
    found = [float(np.linalg.norm(flat[start : start + run.size] - run)) for start in starts[:PROBES]]
    return min(found, default=float("inf"))
