"""What rows are labelled with where they have no classes: numbers, flags, or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from attacks.base import Floats
from attacks.tasks.base import Truth

from .data import positions
from .labels import numbers_in

Array = np.ndarray[Any, Any]


def targets_of(y: Array, truth: Truth, where: str) -> Floats:
    """Labels of one set as (n, k) numbers, or flags 0 and 1.

    Args:
        y: as the source has them.
        truth: ``numbers`` or ``flags``.
        where: file or object, for messages.

    Raises:
        ValueError: they are none; with the remedy.
    """
    y = _numbers(y)
    if y.ndim not in (1, 2) or y.dtype.kind not in "biuf" or (y.ndim == 2 and not y.shape[1]):
        raise ValueError(f"{where}: y must be numbers of shape (n,) or (n, k), got {y.dtype} {y.shape}: convert it")
    found = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    finite = np.asarray(np.isfinite(found).all(axis=1))
    if not finite.all():
        raise ValueError(f"{where}: y holds NaN or infinite values in {positions(~finite)}: leave such rows out")
    if truth == "flags" and not np.isin(found, (0, 1)).all():
        raise ValueError(f"{where}: y must be flags, 0 or 1 in each of the columns of the outputs: convert it")
    return found


def likely_task(y: Array) -> str:
    """The task that labels have a meaning for, as far as they alone tell: whole numbers may be classes or numbers.

    Args:
        y: as the source has them.
    """
    y = _numbers(y)
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or not y.size:
        return "classification"
    if y.ndim == 2 and y.shape[1] > 1:
        if not np.isin(y, (0, 1)).all():
            return "regression"
        return "classification" if (y.sum(axis=1) == 1).all() else "multilabel"
    whole = y.dtype.kind != "f" or bool((y == np.round(y)).all())
    return "classification" if whole or not np.isfinite(y).all() else "regression"


def _numbers(y: Array) -> Array:
    """The numbers that text stands for, as in a column of a ``.csv``; anything else as it is."""
    found = numbers_in(y) if y.ndim == 1 and y.dtype.kind == "U" else None
    return y if found is None else found
