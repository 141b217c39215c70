"""Inputs as the network takes them: scaling, order of channels, a function of the user's, as ``[data]`` declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .formats.hook import calling, code_of
from .npz import array_of
from .options import DataOptions
from .raw import Raw
from .spool import Gathered, gathered, steps
from .usercode import named_function

Array = np.ndarray[Any, Any]
BYTES = 255.0  # what decoded pictures are divided by where nothing is declared, as torchvision's ToTensor does


def prepared(raw: Raw, options: DataOptions, where: str) -> Raw:
    """The set as the network takes it.

    Decoded pictures are divided by 255 where neither a scale nor a function is declared. The result is what is
    audited and committed to.

    Raises:
        ValueError: what is declared does not fit the inputs; with the remedy.
    """
    said = list(raw.said)
    raw = _channels_first(raw, options, where)
    scale = options.scale
    if raw.pictures and scale is None and options.preprocess is None:
        scale = BYTES
        said.append("pictures are divided by 255; [data] scale, mean, std or preprocess declare otherwise")
    if scale is not None or options.mean or options.std:
        raw = _scaled(raw, options, scale or 1.0, where)
    if options.preprocess is not None:
        raw, note = _preprocessed(raw, options.preprocess)
        said.append(note)
    return Raw(raw.arrays, tuple(said), pictures=raw.pictures)


def _channels_first(raw: Raw, options: DataOptions, where: str) -> Raw:
    if options.channels != "last" or raw.pictures:  # decoded ones are channels first already
        return raw
    x = _single(raw, where, 'channels = "last"')
    if x.ndim == 3:
        return Raw({**raw.arrays, "x": x[:, None]}, raw.said)
    if x.ndim != 4:
        raise ValueError(f'{where}: x has shape {x.shape}, no pictures (n, height, width, channels): take channels '
                         '= "last" out of [data]')  # fmt: skip
    return Raw({**raw.arrays, "x": gathered((x[rows].transpose(0, 3, 1, 2) for rows in steps(x)), "x")}, raw.said)


def _single(raw: Raw, where: str, what: str) -> Array:
    if "x" not in raw.arrays:
        raise ValueError(f"{where} has no single array of inputs for {what}: declare [data] preprocess instead")
    return raw.arrays["x"]


def _scaled(raw: Raw, options: DataOptions, scale: float, where: str) -> Raw:
    """``(x / scale - mean) / std`` as float32."""
    x = _single(raw, where, "scale, mean and std")
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{where}: x has dtype {x.dtype}: save numbers")
    shift, spread = (
        _by_channel(values, x, name, where) for values, name in ((options.mean, "mean"), (options.std, "std"))
    )

    def blocks() -> Iterator[Array]:
        for rows in steps(x):
            block = x[rows].astype(np.float32) / np.float32(scale)
            block = block if shift is None else block - shift
            yield block if spread is None else block / spread

    return Raw({**raw.arrays, "x": gathered(blocks(), f"{where}: x")}, raw.said)


def _by_channel(values: tuple[float, ...], x: Array, name: str, where: str) -> Array | None:
    if not values:
        return None
    if len(values) > 1 and (x.ndim < 2 or len(values) != x.shape[1]):
        raise ValueError(f"{where}: {name} has {len(values)} values, x of shape {x.shape} no such channels: correct it")
    found = np.array(values, dtype=np.float32)
    return found if len(values) == 1 else found.reshape((1, -1, *([1] * (x.ndim - 2))))


def _preprocessed(raw: Raw, spec: str) -> tuple[Raw, str]:
    said = f"preprocess {spec}"
    function = named_function(said, spec)
    parts = {key: array for key, array in raw.arrays.items() if key == "x" or key.startswith("x.")}
    rest = {key: array for key, array in raw.arrays.items() if key not in parts}
    if not parts:
        return raw, f"inputs are as {spec} makes them ({code_of(function)})"
    longest = max(parts.values(), key=lambda part: part[:1].nbytes)

    expected: set[str] = set()

    def outcome(rows: slice) -> dict[str, Array]:
        given = parts["x"][rows].copy() if "x" in parts else {key[2:]: part[rows].copy() for key, part in parts.items()}
        with calling(said):
            found = function(given)
        named = {f"x.{k}": v for k, v in found.items()} if isinstance(found, Mapping) else {"x": found}
        arrays = {key: array_of(value, f"{said}: {key}") for key, value in named.items()}
        if set(arrays) != expected and expected:
            raise ValueError(f"{said} returns other inputs for some rows: return the same names for all")
        expected.update(arrays)
        if any(array.shape[:1] != (rows.stop - rows.start,) for array in arrays.values()):
            raise ValueError(f"{said} returns another number of rows than it gets: return one row for each")
        return arrays

    first = next(iter(steps(longest)))
    once, again = outcome(first), outcome(first)
    if any(not np.array_equal(once[key], again.get(key)) for key in once):  # type: ignore[arg-type]
        raise ValueError(f"{said} makes other inputs each time (random augmentation): give the transform of evaluation")
    made = {key: Gathered(f"{said}: {key}") for key in once}
    for rows in steps(longest):
        for key, array in outcome(rows).items():
            made[key].add(array)
    arrays = {key: part.array() for key, part in made.items()}
    return Raw({**arrays, **rest}, raw.said), f"inputs are as {spec} makes them ({code_of(function)})"
