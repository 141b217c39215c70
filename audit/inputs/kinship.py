"""Kinship of weights: networks that were trained from scratch with seeds of their own are nearly orthogonal.

Measured on digits: the median cosine over their weight matrices stays below .1. A warm start from the original keeps
.94 and more after five thousand steps, a common initial seed .64. Hidden units in another order escape it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from attacks.base import Floats

#: our choice, between what was measured for independent networks (.1) and for a common initial seed (.64)
KINSHIP = 0.4
#: our choice: entries of a matrix that are compared at most. A cosine is then known to within .02 (two standard
#: errors), and a network of any size takes at most 32 KiB a matrix, so that hundreds can be compared.
ENTRIES = 8192

State = Mapping[str, npt.NDArray[Any]]
Sample = dict[str, tuple[tuple[int, ...], npt.NDArray[np.float32]]]


def sample(state: State) -> Sample:
    """What is compared of a network: of each weight matrix (two dimensions and more) its shape and some entries.

    The entries stand at places that only the shape decides, so they are the same in networks of one architecture.

    Args:
        state: parameters and buffers by name.
    """
    return {name: (a.shape, _entries(a)) for name, a in state.items() if a.ndim >= 2 and a.dtype.kind == "f"}


def _entries(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    flat = array.reshape(-1)
    if flat.size <= ENTRIES:
        return flat.astype(np.float32)
    return flat[np.random.default_rng(flat.size).integers(flat.size, size=ENTRIES)].astype(np.float32)


def kinship(samples: Sequence[Sample], without: Collection[str] = ()) -> Floats:
    """Median cosine of the weight matrices of each pair of networks, (N, N); 0 where a pair has none in common.

    Args:
        samples: N of them, from ``sample``.
        without: tensors that do not count.
    """
    names = list(dict.fromkeys(name for found in samples for name in found if name not in without))
    if not names:
        return np.zeros((len(samples), len(samples)))
    cosines = np.stack([_cosines([found.get(name) for found in samples]) for name in names])
    none = np.isnan(cosines).all(axis=0)
    return np.where(none, 0.0, np.nanmedian(np.where(none, 0.0, cosines), axis=0))


def _cosines(tensors: Sequence[tuple[tuple[int, ...], npt.NDArray[np.float32]] | None]) -> Floats:
    """(N, N) for one tensor; NaN where one of a pair lacks it, or has it in another shape."""
    found = np.full((len(tensors), len(tensors)), np.nan)
    for shape in {tensor[0] for tensor in tensors if tensor is not None}:
        have = [(i, tensor[1]) for i, tensor in enumerate(tensors) if tensor is not None and tensor[0] == shape]
        rows = np.stack([entries for _, entries in have]).astype(np.float64)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(norms > 0, norms, 1.0)
        places = np.array([i for i, _ in have])
        found[np.ix_(places, places)] = rows @ rows.T
    return found


def shared(samples: Iterable[Sample], layers: Sequence[str]) -> set[str]:
    """Tensors that need not differ: public by declaration, or bit for bit the same everywhere (a frozen backbone).

    Where all are the same everywhere, they are no backbone, and none is excused.
    """
    group = list(samples)
    names = {name for found in group for name in found}
    public = {name for name in names if any(name == layer or name.startswith(f"{layer}.") for layer in layers)}
    if len(group) < 2:
        return public
    first = group[0]
    frozen = {name for name in first if all(_equal(first[name], found.get(name)) for found in group[1:])}
    return public if names <= public | frozen else public | frozen


def _equal(a: tuple[Any, npt.NDArray[np.float32]], b: tuple[Any, npt.NDArray[np.float32]] | None) -> bool:
    return b is not None and a[0] == b[0] and np.array_equal(a[1], b[1])
