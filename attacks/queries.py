"""Augmentation queries: the same change of every row's input, named by a string, so that an answer can be cached.

Names: ``flip`` (left-right), ``shift:DX:DY`` (pixels, edge repeated), ``noise:SIGMA:DRAW`` (one Gaussian direction for
all rows, SIGMA in units of each input's spread over the set, so that no row order matters).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import Inputs, NotApplicable

IMAGE_DIMENSIONS = 3  # rows x height x width, or rows x channels x height x width


def apply(query: str, inputs: Inputs, spread: float) -> np.ndarray[Any, Any]:
    """Change a batch of inputs.

    Args:
        query: a name as above.
        inputs: (b, ...) array.
        spread: standard deviation of the inputs over a whole set; the unit of ``noise``.

    Returns:
        an array of the same shape.

    Raises:
        NotApplicable: named inputs, integer inputs under noise, or a picture query on inputs that are no pictures.
        ValueError: an unknown query.
    """
    if isinstance(inputs, Mapping):
        raise NotApplicable("augmentation queries need one array of inputs, these are named")
    kind, *arguments = query.split(":")
    if kind == "noise" and len(arguments) == 2:
        return _noise(inputs, spread, float(arguments[0]), int(arguments[1]))
    if kind not in ("flip", "shift"):
        raise ValueError(f"unknown query {query!r}: use flip, shift:DX:DY or noise:SIGMA:DRAW")
    if inputs.ndim < IMAGE_DIMENSIONS:
        raise NotApplicable(f"the query {kind} needs pictures, the inputs have shape {inputs.shape[1:]}")
    if kind == "flip":
        return np.ascontiguousarray(inputs[..., ::-1])
    across, down = (int(value) for value in arguments)
    return _shifted(inputs, across, down)


def _noise(inputs: np.ndarray[Any, Any], spread: float, sigma: float, draw: int) -> np.ndarray[Any, Any]:
    if inputs.dtype.kind != "f":
        raise NotApplicable("noise queries need inputs of floats")
    direction = np.random.default_rng([0x0153, draw]).normal(size=inputs.shape[1:])
    return np.asarray(inputs + (sigma * spread * direction).astype(inputs.dtype))


def _shifted(inputs: np.ndarray[Any, Any], across: int, down: int) -> np.ndarray[Any, Any]:
    rows = np.clip(np.arange(inputs.shape[-2]) - down, 0, inputs.shape[-2] - 1)
    columns = np.clip(np.arange(inputs.shape[-1]) - across, 0, inputs.shape[-1] - 1)
    return np.ascontiguousarray(inputs[..., rows[:, None], columns[None, :]])
