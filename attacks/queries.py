"""Augmentation queries: the same change of every row's input, named by a string, so that an answer can be cached.

Names: ``flip`` (left-right), ``shift:DX:DY`` (pixels, edge repeated), ``noise:SIGMA:DRAW`` (one Gaussian direction for
all rows, SIGMA in units of each input's spread over the set), ``bits:SHARE:DRAW`` (binary inputs: that share of the
entries turned, the same for all rows), ``mix:SHARE:DRAW`` (the average with another row, which has that share) and
``swap:SHARE:DRAW`` (that share of the entries, a run of neighbours, from another row: every entry keeps a value that
data have). The other row is a retain row, chosen by the content of the row that is changed. No change depends on the
order of rows or on which other rows there are. Mixed, swapped and turned inputs look more like data than noise does: a
network that tells odd inputs from real ones, and answers those with another network, gains little by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import Inputs, NotApplicable

PARTNERS = 2_000  # our choice: enough for every row to meet another one
IMAGE_DIMENSIONS = 3  # rows x height x width, or rows x channels x height x width


def apply(
    query: str,
    inputs: Inputs,
    spread: float,
    others: np.ndarray[Any, Any] | None = None,
    known: np.ndarray[Any, Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Change a batch of inputs.

    Args:
        query: a name as above.
        inputs: (b, ...) array.
        spread: standard deviation of the inputs over a whole set; the unit of ``noise``.
        others: (m, ...) rows that ``mix`` and ``swap`` take from, as ``partners`` chose them.
        known: (b,) ``codes`` of the inputs, where they are at hand.

    Returns:
        an array of the same shape.

    Raises:
        NotApplicable: named inputs, integer inputs under ``noise`` or ``mix``, inputs that are not binary under
            ``bits``, no rows to take from, or a picture query on inputs that are no pictures.
        ValueError: an unknown query.
    """
    if isinstance(inputs, Mapping):
        raise NotApplicable("augmentation queries need one array of inputs, these are named")
    kind, *arguments = query.split(":")
    if kind == "noise" and len(arguments) == 2:
        return _noise(inputs, spread, float(arguments[0]), int(arguments[1]))
    if kind == "bits" and len(arguments) == 2:
        return _turned(inputs, float(arguments[0]), int(arguments[1]))
    if kind in ("mix", "swap") and len(arguments) == 2:
        change = _mixed if kind == "mix" else _swapped
        return change(
            inputs, _partner(inputs, others, int(arguments[1]), known), float(arguments[0]), int(arguments[1])
        )
    if kind not in ("flip", "shift"):
        names = "flip, shift:DX:DY, noise:SIGMA:DRAW, bits:SHARE:DRAW, mix:SHARE:DRAW or swap:SHARE:DRAW"
        raise ValueError(f"unknown query {query!r}: use {names}")
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


def is_binary(inputs: Inputs) -> bool:
    """One array of zeros and ones."""
    return not isinstance(inputs, Mapping) and bool(((inputs == 0) | (inputs == 1)).all())


def partners(inputs: Inputs) -> np.ndarray[Any, Any] | None:
    """Rows to mix others with: up to ``PARTNERS``, by their content and not by their order; None without one array.

    Args:
        inputs: (n, ...) of the retain set: neither forget nor holdout rows are among them, and all models know them.
    """
    if isinstance(inputs, Mapping) or not len(inputs):
        return None
    return np.asarray(inputs[np.argsort(codes(inputs), kind="stable")[:PARTNERS]])


def codes(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n,) numbers that depend on each row's content alone."""
    digests = (hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=8).digest() for row in inputs)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _turned(inputs: np.ndarray[Any, Any], share: float, draw: int) -> np.ndarray[Any, Any]:
    if not is_binary(inputs):
        raise NotApplicable("bits queries need inputs of zeros and ones")
    chosen = np.random.default_rng([0xB175, draw]).random(inputs.shape[1:]) < share
    return np.where(chosen, 1 - inputs, inputs).astype(inputs.dtype)


def _partner(
    inputs: np.ndarray[Any, Any],
    others: np.ndarray[Any, Any] | None,
    draw: int,
    known: np.ndarray[Any, Any] | None,
) -> np.ndarray[Any, Any]:
    """The other row of each row, (b, ...)."""
    if others is None or others.shape[1:] != inputs.shape[1:]:
        raise NotApplicable("mix and swap queries need rows to take from")
    return np.asarray(others[((codes(inputs) if known is None else known) + np.uint64(draw)) % np.uint64(len(others))])


def _mixed(
    inputs: np.ndarray[Any, Any],
    partner: np.ndarray[Any, Any],
    share: float,
    draw: int,  # noqa: ARG001
) -> np.ndarray[Any, Any]:
    if inputs.dtype.kind != "f":
        raise NotApplicable("mix queries need inputs of floats")
    return np.asarray((1 - share) * inputs + share * partner, dtype=inputs.dtype)


def _swapped(
    inputs: np.ndarray[Any, Any], partner: np.ndarray[Any, Any], share: float, draw: int
) -> np.ndarray[Any, Any]:
    """Neighbours go together: a band of a picture, columns that stand side by side in a table."""
    flat, other = inputs.reshape(len(inputs), -1), partner.reshape(len(inputs), -1)
    width = flat.shape[1]
    start = int(np.random.default_rng([0x5A9B, draw]).integers(width))
    run = (np.arange(width) - start) % width < round(share * width)
    return np.where(run, other, flat).astype(inputs.dtype).reshape(inputs.shape)


def _shifted(inputs: np.ndarray[Any, Any], across: int, down: int) -> np.ndarray[Any, Any]:
    rows = np.clip(np.arange(inputs.shape[-2]) - down, 0, inputs.shape[-2] - 1)
    columns = np.clip(np.arange(inputs.shape[-1]) - across, 0, inputs.shape[-1] - 1)
    return np.ascontiguousarray(inputs[..., rows[:, None], columns[None, :]])
