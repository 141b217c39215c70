"""Units of the original that stand in another network's tensors, in any order, at any scale and under any name.

A unit is a row of a weight matrix, or a channel of a convolution or an embedding: all that it reads its input with. The
first layers are looked for as they are. A later layer's inputs are put into the order and scale in which the units of
an earlier layer were found, so that a permuted or rescaled network is followed from its input on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attacks.base import Bools, Floats, Ints
from audit.inputs.targets import TorchTarget

from .partial import turned
from .tensor_views import View, run_of, views

Array = np.ndarray[Any, Any]
Single = np.ndarray[Any, np.dtype[np.float32]]

#: our choice: largest distance of a unit that is the original's, relative to its length (a cosine of .999). 8-bit
#: rounding measured .02 and less, bfloat16 .002
NEAR = 0.045
ENTRIES = 8  # our choice: below as many weights unlike 0, two units agree by chance
#: our choice: units of a layer, and weights of each, that are looked for first, to see where the search is worth its
#: time; a unit that is there lies within ``FIRST`` by so few weights
SCREENED, SEEN, FIRST = 32, 512, 0.15
CHUNK = 8192  # rows of a tensor that are compared at once
PASSES = 2  # a layer may be registered before the one that feeds it


@dataclass(frozen=True, eq=False)
class Layer:
    """Units of one tensor of the original: weights (n, inputs, kernel), and which count: no constants, not too few."""

    name: str
    units: Single
    counts: Bools


@dataclass(eq=False)
class Places:
    """Where units of a layer were found.

    Attributes:
        distance: (n,) relative distance of the best unit found, up to scale; inf where there is none.
        tensor: name of the tensor that holds most of them.
        of: number of units in that tensor.
        at: (n,) row of that tensor, -1 where the unit is elsewhere or nowhere.
        scale: (n,) factor of the unit found.
    """

    distance: Floats
    tensor: str = ""
    of: int = 0
    at: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    scale: Floats = field(default_factory=lambda: np.empty(0))


def encoder_layers(original: TorchTarget) -> list[Layer]:
    """The weight matrices of a network up to its head's input, as units; call after a forward pass found the head."""
    columns = turned(original.module)
    head = original.head_parameters()
    found = []
    for name, array in original.state.items():
        if array.ndim < 2 or array.dtype.kind != "f" or name in head or not array.size:
            continue
        weights = np.swapaxes(array, 0, 1) if name in columns else array
        units = np.ascontiguousarray(weights, dtype=np.float32).reshape(weights.shape[0], weights.shape[1], -1)
        flat = units.reshape(len(units), -1)
        varies = flat.std(axis=1) > 1e-6 * np.abs(flat).max(axis=1)
        found.append(Layer(name, units, varies & ((flat != 0).sum(axis=1) >= ENTRIES)))
    return found


def find_units(layers: Sequence[Layer], held: Mapping[str, Array]) -> list[Places]:
    """Look for the units of every layer in all tensors of another network.

    Args:
        layers: of the original, from ``encoder_layers``.
        held: of the other network, from ``holdings``.
    """
    found = [Places(np.full(len(layer.units), np.inf)) for layer in layers]
    for turn in range(PASSES):
        if turn and not any((place.distance <= NEAR).any() for place in found):
            break
        for at, layer in enumerate(layers):
            if not (found[at].distance[layer.counts] > NEAR).any():
                continue
            better = _find(layer, held, [p for i, p in enumerate(found) if i != at])
            if (better.distance <= NEAR).sum() > (found[at].distance <= NEAR).sum():
                found[at] = better
    return found


@dataclass(frozen=True, eq=False)
class _Columns:
    """Which inputs of a tensor's units stand for the original's, and by how much they are scaled."""

    at: Ints  # -1: not known
    scale: Floats


def _find(layer: Layer, held: Mapping[str, Array], earlier: Sequence[Places]) -> Places:
    n, inputs, kernel = layer.units.shape
    best = Places(np.full(n, np.inf))
    chosen = np.flatnonzero(layer.counts)
    few = chosen[np.linspace(0, len(chosen) - 1, min(SCREENED, len(chosen))).astype(int)] if len(chosen) else chosen
    for view in views(held, inputs, kernel):
        for columns in _orders(view, inputs, earlier):
            if not _worth(layer, few, view, columns):
                continue
            distance, at, scale = _match(layer, chosen, view, columns)
            places = Places(np.full(n, np.inf), view.name, len(view.units), np.full(n, -1), np.ones(n))
            places.distance[chosen], places.at[chosen], places.scale[chosen] = distance, at, scale
            places.at[places.distance > NEAR] = -1
            best = _joined(best, places)
            if not (best.distance[chosen] > 1e-6).any():
                return best
    if not (best.distance <= NEAR).any() and len(chosen):
        run = run_of(held, layer.units)
        if run is not None:
            return Places(np.full(n, run[1]), run[0], n, np.arange(n), np.ones(n))
    return best


def _joined(a: Places, b: Places) -> Places:
    """The better of two for each unit; places are those of the tensor that holds more of them."""
    most = a if (a.distance <= NEAR).sum() >= (b.distance <= NEAR).sum() else b
    return Places(np.minimum(a.distance, b.distance), most.tensor, most.of, most.at, most.scale)


def _orders(view: View, inputs: int, earlier: Sequence[Places]) -> Iterator[_Columns]:
    """As they stand, at either end of wider ones; then as each earlier layer's units were found, scaled back or not."""
    width = view.units.shape[1]
    seen: set[bytes] = set()

    def fresh(at: Ints, scale: Floats) -> Iterator[_Columns]:
        mark = at.tobytes() + scale.tobytes()
        if mark not in seen:
            seen.add(mark)
            yield _Columns(at, scale)

    for start in (0, width - inputs):
        if start >= 0:
            yield from fresh(np.arange(inputs) + start, np.ones(inputs))
    for places in earlier:
        units = len(places.at)
        if not units or inputs % units or (places.at >= 0).mean() < 0.5:
            continue
        repeat = inputs // units  # a flattened picture: several inputs for each channel
        for start in (0, width - places.of * repeat):
            if start < 0:
                continue
            at = start + places.at[:, None] * repeat + np.arange(repeat)
            at = np.where(places.at[:, None] < 0, -1, at).reshape(-1)
            if at.max(initial=-1) < width:
                yield from fresh(at, np.ones(inputs))
                yield from fresh(at, np.repeat(places.scale, repeat))


def _worth(layer: Layer, few: Ints, view: View, columns: _Columns) -> bool:
    """Could any of these units stand in this view, by some of their weights?"""
    known = np.flatnonzero(columns.at >= 0)
    if not len(few) or not len(known):
        return False
    some = known[np.linspace(0, len(known) - 1, min(len(known), -(-SEEN // layer.units.shape[2]))).astype(int)]
    partly = Layer(layer.name, np.ascontiguousarray(layer.units[few][:, some]), layer.counts[few])
    there = _Columns(columns.at[some], columns.scale[some])
    return bool((_match(partly, np.arange(len(few)), view, there)[0] <= FIRST).any())


def _match(layer: Layer, units: Ints, view: View, columns: _Columns) -> tuple[Floats, Ints, Floats]:
    """For each of the units the nearest of a view: relative distance up to scale, row and scale."""
    known = columns.at >= 0
    wanted = layer.units[units][:, known].reshape(len(units), -1)
    whole = np.linalg.norm(layer.units[units].reshape(len(units), -1), axis=1)
    length = np.linalg.norm(wanted, axis=1)
    enough = (length**2 >= 0.5 * whole**2) & (length > 0)
    directions = wanted / np.where(length > 0, length, 1.0)[:, None]
    best, at = np.zeros(len(units)), np.zeros(len(units), dtype=np.int64)
    factor = columns.scale[known].astype(np.float32)
    for start in range(0, len(view.units), CHUNK):
        rows = view.units[start : start + CHUNK][:, columns.at[known]].astype(np.float32, copy=False)
        if (factor != 1).any():
            rows = rows * factor[None, :, None]
        rows = rows.reshape(len(rows), -1)
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        cosines = np.abs(directions @ rows.T) / np.where(norms > 0, norms, 1.0)
        nearest = cosines.argmax(axis=1)
        value = cosines[np.arange(len(units)), nearest]
        at = np.where(value > best, nearest + start, at)
        best = np.maximum(best, value)
    found = view.units[at][:, columns.at[known]].astype(np.float64) * columns.scale[known][None, :, None]
    distance, scale = distances(found.reshape(len(units), -1), wanted.astype(np.float64))
    return np.where(enough, distance, np.inf), at, scale


def distances(found: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Relative distance of rows (m, d) up to a factor, or of what bfloat16 or float16 make of them; and that factor."""
    square = (wanted**2).sum(axis=1)
    scale = (found * wanted).sum(axis=1) / np.where(square > 0, square, 1.0)
    back = found / np.where(scale != 0, scale, 1.0)[:, None]
    distance = np.linalg.norm(back - wanted, axis=1) / np.sqrt(np.where(square > 0, square, 1.0))
    for rounded in (_bfloat16(wanted), wanted.astype(np.float16).astype(np.float64)):
        if np.isfinite(rounded).all():
            off = np.linalg.norm(found - rounded, axis=1) / np.sqrt(np.where(square > 0, square, 1.0))
            distance = np.where(off < 1e-7, np.minimum(distance, off), distance)
    return np.where(scale != 0, distance, np.inf), np.where(scale != 0, scale, 1.0)


def _bfloat16(values: Floats) -> Floats:
    """Rounded to bfloat16, which numpy lacks: to the nearest, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
