"""Labels as people save them, made class numbers from 0: one reading for all sets, and it is said.

What a single set may mean in two ways is decided over all sets and models at once, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import Ints

from .naming import listed, shown

Array = np.ndarray[Any, Any]
NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)
MOST = 1e9  # our choice: larger whole floats are numbers, no classes
CHOICE = "name the classes in the order of the model's outputs: [data] classes = [...]"


def plain(y: Array, where: str) -> tuple[Array, str]:
    """Labels of one set as (n,) integers or text, and what was understood ("" where they were that).

    Args:
        y: as the source has them.
        where: file or object, for messages.

    Raises:
        ValueError: they can be read in no way, or in several.
    """
    wrong = f"{where}: y must be integer class labels of shape (n,), got {y.dtype} {y.shape}: convert it"
    said = []
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
        said.append("labels of shape (n, 1) are taken as (n,)")
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    if y.ndim == 1 and y.dtype.kind == "f" and y.size and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        raise ValueError(f"{wrong}, or declare numbers that the model predicts with --task regression")
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf" and len(y):
        if not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
            raise ValueError(f"{wrong} (one-hot rows have a single 1; several flags a row: --task multilabel)")
        return y.argmax(axis=1).astype(np.int64), f"one-hot labels of {y.shape[1]} classes are taken as their positions"
    if y.ndim != 1 or y.dtype.kind not in "biufU":
        raise ValueError(wrong)
    if y.dtype.kind == "f":
        said.append("labels are whole floats, taken as integers")
        y = y.astype(np.int64)
    elif y.dtype.kind == "U" and len(y) and all(map(_is_integer, np.unique(y).tolist())):
        said.append("labels are numbers saved as text, taken as integers")
        y = y.astype(np.int64)
    elif y.dtype.kind == "U" and (numbers := numbers_in(y)) is not None and _whole(numbers):
        said.append("labels are whole floats saved as text, taken as integers")
        y = numbers.astype(np.int64)
    elif y.dtype.kind in "biu":
        y = y.astype(np.int64)
    return y, ", ".join(said)


def numbers_in(y: Array) -> Array | None:
    """Labels saved as text, as in a ``.csv``, as floats (n,) where all of them are decimal numbers; else None."""
    values, places = np.unique(y, return_inverse=True)
    if not len(values) or not all(map(NUMBER.fullmatch, values.tolist())):
        return None
    found: Array = values.astype(np.float64)[places]
    return found


def _whole(numbers: Array) -> bool:
    return bool((numbers == np.round(numbers)).all() and (np.abs(numbers) < MOST).all())


def _is_integer(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10


def numbered(
    labels: Mapping[str, Array], classes: Sequence[str | int]
) -> tuple[dict[str, Ints], list[str], tuple[str, ...]]:
    """Class numbers of all sets, what was understood, and the names in the order of their numbers; (): there are none.

    Args:
        labels: by role, of ``plain``.
        classes: the declared classes in the order of the outputs; () = not declared.

    Raises:
        ValueError: with the remedy.
    """
    named = [role for role, y in labels.items() if y.dtype.kind == "U"]
    if classes:
        return _declared(labels, [str(name) for name in classes])
    if not named:
        return dict(labels), [], ()
    if len(named) != len(labels):
        others = [role for role in labels if role not in named]
        raise ValueError(
            f"labels are names in {listed(named)} and numbers in {listed(others)}: save them alike, or {CHOICE}"
        )
    numbers = [role for role, y in labels.items() if numbers_in(y) is not None]
    if numbers:
        raise ValueError(
            f"labels of the {numbers[0]} set are decimal numbers saved as text: declare numbers that the model "
            f"predicts with --task regression; if they are classes, {CHOICE}"
        )
    found = sorted({str(name) for y in labels.values() for name in np.unique(y)})
    told = ", ".join(f"{shown(name)} = {i}" for i, name in enumerate(found[:8])) + (", ..." if len(found) > 8 else "")
    note = f"labels are names, numbered in sorted order: {told}; [data] classes names another order"
    return {role: np.searchsorted(found, y).astype(np.int64) for role, y in labels.items()}, [note], tuple(found)


def _declared(labels: Mapping[str, Array], classes: list[str]) -> tuple[dict[str, Ints], list[str], tuple[str, ...]]:
    place = {_same(name): i for i, name in enumerate(classes)}
    if len(place) < len(classes):
        raise ValueError("[data] classes names a class twice: name each once, 1 and 1.0 are one number")
    numbers = {}
    for role, y in labels.items():
        values, inverse = np.unique(y, return_inverse=True)
        unknown = [str(value) for value in values.tolist() if _same(str(value)) not in place]
        if unknown:
            raise ValueError(f"labels of the {role} set hold {listed(unknown)}, not among [data] classes: add them")
        numbers[role] = np.array([place[_same(str(value))] for value in values.tolist()], dtype=np.int64)[inverse]
    return numbers, [f"labels are numbered as [data] classes declares them, {len(classes)} classes"], tuple(classes)


def _same(name: str) -> str | float:
    """What a declared class and a label are compared by: a number is one however it is written (1, 1.0, 01)."""
    return float(name) if NUMBER.fullmatch(name) else name


def settled(labels: Mapping[str, Ints], n_classes: int, named: int) -> tuple[dict[str, Ints], list[str], list[str]]:
    """Labels once the models are known, what was understood, and the problems.

    Labels that start at 1 and end at the number of classes over all sets have one reading: 1 is the first output.

    Args:
        labels: class numbers by role.
        n_classes: outputs of the models; 0 where no model could be read.
        named: how many names ``numbered`` found.
    """
    if not n_classes:
        return dict(labels), [], []
    if named:
        if named == n_classes:
            return dict(labels), [], []
        return dict(labels), [], [f"the labels name {named} classes, the model has {n_classes}: {CHOICE}"]
    low, high = min(int(y.min()) for y in labels.values()), max(int(y.max()) for y in labels.values())
    if (low, high) == (1, n_classes):
        note = (
            f"labels run from 1 to {n_classes} in all sets, the model has {n_classes} outputs: 1 is the first of them"
        )
        return {role: y - 1 for role, y in labels.items()}, [note], []
    return dict(labels), [], _out_of_range(labels, n_classes)


def _out_of_range(labels: Mapping[str, Ints], n_classes: int) -> list[str]:
    return [
        f"labels of the {role} set run from {y.min()} to {y.max()}, the model has {n_classes} classes: use labels from "
        f"0 to {n_classes - 1}"
        for role, y in labels.items()
        if y.min() < 0 or y.max() >= n_classes
    ]
