"""Forget rows that stand in a network's tensors: a table of keys, as they are or as a layer sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from attacks.base import Bools, Floats
from audit.inputs.data import Arrays
from audit.inputs.targets import TorchTarget

from .row_forms import Form, forms

FROZEN = ConfigDict(frozen=True, extra="forbid")

ALIKE = 0.999  # our choice: correlation of a row of a tensor with an input that it is
ROWS = 256  # rows of a side that are looked for at most
LEVEL = 1e-3  # our choice: p of more forget than holdout rows, over all tensors
CHUNK = 16_384

Array = np.ndarray[Any, Any]


class HeldRows(BaseModel):
    """One tensor that holds forget rows.

    Attributes:
        tensor: its name.
        seen_as: ``input``, or the layer whose input or output stands there.
        forget, of_forget: forget rows found, of how many; ``holdout, of_holdout`` the same of holdout rows.
        exact: of the forget rows found, those that stand there number for number.
        p: Fisher's, one-sided, times the number of comparisons.
    """

    model_config = FROZEN

    tensor: str
    seen_as: str
    forget: int
    of_forget: int
    holdout: int
    of_holdout: int
    exact: int
    p: float


def held_rows(network: TorchTarget, held: Mapping[str, Array], sets: Mapping[str, Arrays]) -> tuple[HeldRows, ...]:
    """Tensors that hold more forget than holdout rows than chance explains.

    Both sides are looked for alike, so prototypes and templates that resemble any row of the task are no finding.
    Forget rows that a retain row resembles as much do not count: they may stand for that one.

    Args:
        network: the unlearned one.
        held: its tensors.
        sets: forget, holdout and retain rows.

    Returns:
        one record a tensor, with the form of the rows that most of them were found in.
    """
    if any(role not in sets or sets[role].x is None or not len(sets[role]) for role in ("forget", "holdout")):
        return ()
    sides = [_some(sets[role]) for role in ("forget", "holdout")]
    compared = 0
    best: dict[str, HeldRows] = {}
    fits = cache(lambda width: any(next(_tables(array, width), None) is not None for array in held.values()))
    for form in forms(network, sides, sets.get("retain"), fits):
        for name, array in held.items():
            for table in _tables(array, form.forget.shape[1]):
                compared += 1
                found = _compare(name, form, table)
                if found is not None and (name not in best or found.forget > best[name].forget):
                    best[name] = found
    corrected = [f.model_copy(update={"p": min(1.0, f.p * compared)}) for f in best.values()]
    return tuple(f for f in corrected if f.p <= LEVEL)


def _compare(name: str, form: Form, table: Array) -> HeldRows | None:
    mine, theirs = form.forget, form.holdout
    found = _found(mine, table)
    if found.any() and form.retain is not None:
        again = _found(mine, form.retain())
        mine, found = mine[~again], found[~again]
    n, m, k = len(mine), len(theirs), int(found.sum())
    if k == 0:
        return None
    j = int(_found(theirs, table).sum())
    p = _by_chance(k, n, j, m)
    if p > LEVEL:
        return None
    exact = sum(_stands(row, table) for row in mine[found])
    return HeldRows(tensor=name, seen_as=form.seen_as, forget=k, of_forget=n, holdout=j, of_holdout=m, exact=exact, p=p)


def _by_chance(k: int, n: int, j: int, m: int) -> float:
    """Chance that k or more of the k + j rows found are among n and not among m others, were they drawn at random."""
    from scipy import stats

    return float(stats.hypergeom.sf(k - 1, n + m, k + j, n))


def _stands(row: Floats, table: Array) -> bool:
    near = np.abs(table - row).max(axis=1)
    return bool(near.min() <= 1e-6 * max(float(np.abs(row).max()), 1e-12))


def _found(rows: Floats, table: Array) -> Bools:
    """(n,) rows that correlate with a row of the table by ``ALIKE`` or more, up to sign."""
    wanted = _standard(rows)
    best = np.zeros(len(rows))
    for start in range(0, len(table), CHUNK):
        best = np.maximum(best, np.abs(wanted @ _standard(table[start : start + CHUNK]).T).max(axis=1))
    return best >= ALIKE


def _standard(rows: Array) -> Floats:
    """Centred rows of length 1; rows that do not vary as zeros."""
    centred = rows.astype(np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(length > 1e-9 * np.abs(rows).max(initial=1e-300), centred / np.where(length > 0, length, 1.0), 0.0)


def _tables(array: Array, width: int) -> Iterator[Array]:
    """A tensor as rows of that many numbers, and turned."""
    if array.dtype.kind == "b" or array.size < width:
        return
    rest = array.size if array.ndim < 2 else array.size // len(array)
    if rest % width == 0:
        yield array.reshape(-1, width)
    if array.ndim > 1 and len(array) == width:
        yield array.reshape(width, -1).T


def _some(data: Arrays) -> Arrays:
    return data.take(np.linspace(0, len(data) - 1, min(ROWS, len(data))).astype(np.int64))
