"""What a data set must be like before it is audited: keys, shapes, types, finite values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks.base import Floats, Inputs, Ints

from .data import Arrays, positions
from .naming import listed
from .spool import steps

KEYS = ("y", "ids", "group", "request")
MAX_ITEM = 8  # bytes: extended floats have no canonical encoding


def check_keys(
    found: Mapping[str, np.ndarray[Any, Any]], where: str, *, need_inputs: bool, need_labels: bool = True
) -> None:
    """Whether a set has what it needs and nothing unknown. Raises ValueError, one problem a line with its remedy."""
    inputs: Inputs | None = found.get("x")
    named = {key[2:]: value for key, value in found.items() if key.startswith("x.")}
    if inputs is None and named:
        inputs = named
    unknown = [repr(key) for key in found if key not in ("x", *KEYS) and not key.startswith("x.")]
    problems = []
    if unknown:
        many = "unknown keys" if len(unknown) > 1 else "an unknown key"
        problems.append(f"{where} has {many} {listed(unknown)}: use x (or x.<name>), y, ids, group, request")
    if "x" in found and named:
        problems.append(f"{where} has both x and x.<name>: keep one form")
    if inputs is None and need_inputs:
        problems.append(f"{where} has no inputs: add the key x")
    if "y" not in found and need_labels:
        problems.append(f"{where} has no labels: add the key y")
    if not need_labels and not found:
        problems.append(f"{where} says nothing of its rows: add ids (or group, y, x), so that they can be counted")
    if problems:
        raise ValueError("\n".join(problems))


def rows_in(found: Mapping[str, np.ndarray[Any, Any]]) -> int:
    """How many rows a set has: of its labels, else of its first array."""
    first = found["y"] if "y" in found else next(iter(found.values()))
    return len(first) if first.ndim else 0


def checked(found: Mapping[str, np.ndarray[Any, Any]], y: Ints, where: str, targets: Floats | None = None) -> Arrays:
    """A set whose labels were understood.

    Args:
        found: its arrays, of ``check_keys``.
        y: the classes, (n,), int64; zeros where there are none.
        where: file or object, for messages.
        targets: numbers or flags that rows are labelled with, (n, k); None where they have classes.

    Raises:
        ValueError: with every problem of this set, one a line, each with its remedy.
    """
    named = {key[2:]: value for key, value in found.items() if key.startswith("x.")}
    inputs: Inputs | None = found.get("x", named or None)
    data = Arrays(inputs, y, found.get("ids"), found.get("group"), found.get("request"), targets)
    problems = _content_problems(where, data)
    if problems:
        raise ValueError("\n".join(problems))
    return Arrays(data.x, y, _text(data.ids), _text(data.group), _text(data.request), targets)


def _text(values: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any] | None:
    """Byte strings as text, so that the same name is the same in every set."""
    return values if values is None or values.dtype.kind != "S" else np.char.decode(values, "utf-8", "replace")


def _finite(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether all values of each row are finite as the float32 that a network gets."""
    found = np.ones(len(array), dtype=bool)
    with np.errstate(over="ignore"):
        for rows in steps(array):
            block = np.isfinite(array[rows].astype(np.float32))
            found[rows] = block.reshape(len(block), -1).all(axis=1)
    return found


def _encodable(array: np.ndarray[Any, Any]) -> bool:
    try:
        "".join(array.ravel().tolist()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _content_problems(where: str, data: Arrays) -> list[str]:
    problems = []
    if len(data.y) == 0:
        problems.append(f"{where} is empty: give at least one row")
        return problems
    for key, array in data.arrays().items():
        if array.shape[:1] != (len(data.y),):
            problems.append(f"{where}: {key} has shape {array.shape}, y has {len(data.y)} rows: align them")
        elif array.dtype.kind == "O":
            problems.append(f"{where}: {key} is an object array: convert it to numbers or fixed-width strings")
        elif key in ("ids", "group", "request") and (array.ndim != 1 or array.dtype.kind not in "biufSU"):
            problems.append(
                f"{where}: {key} must be one number or string a row, got {array.dtype} {array.shape}: convert it"
            )
        elif key.startswith("x") and (array.dtype.kind not in "fiub" or array.dtype.itemsize > MAX_ITEM):
            problems.append(f"{where}: {key} has dtype {array.dtype}: save numbers of at most 64 bits")
        elif key.startswith("x") and array.size == 0:
            problems.append(f"{where}: {key} has shape {array.shape}, no value at all: give inputs")
        elif array.dtype.kind == "U" and not _encodable(array):
            problems.append(f"{where}: {key} holds text that is no Unicode (a lone surrogate): repair it")
        elif array.dtype.kind == "f" and not _finite(array).all():
            problems.append(f"{where}: {key} holds NaN or infinite values in {positions(~_finite(array))}")
    return problems
