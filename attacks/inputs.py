"""Inputs of rows as tensors on a model's device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .base import Case, Ints, View


def unless_continuous(case: Case, reason: str) -> str:
    """``reason`` where the inputs of the case are known to be something else than one array of floats, else ""."""
    for data in case.sets.values():
        if len(data):
            try:
                x = data.batch(np.arange(1))
            except ValueError:  # outputs alone: no input is given
                return ""
            return "" if isinstance(x, np.ndarray) and x.dtype.kind == "f" else reason
    return ""


def tensors(view: View, case: Case, role: str, index: Ints) -> Any:
    """Inputs of the rows ``index`` of a set: a tensor of shape ``index.shape + (...)``, or a mapping of such.

    Args:
        view: names type and device.
        case: holds the sets.
        role: of the set.
        index: rows, of any shape.
    """
    inputs = case.sets[role].batch(index.reshape(-1))

    def shaped(array: Any) -> Any:
        tensor = view.tensor(array)
        return tensor.reshape(*index.shape, *tensor.shape[1:])

    return {name: shaped(a) for name, a in inputs.items()} if isinstance(inputs, Mapping) else shaped(inputs)


def joined(parts: Sequence[Any]) -> Any:
    """Rows of several sets behind each other."""
    import torch

    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return torch.cat(list(parts))


def rows_of(inputs: Any, index: Ints) -> Any:
    """The rows ``index``, of any shape, of inputs that are on the device."""
    import torch

    if isinstance(inputs, Mapping):
        return {name: rows_of(tensor, index) for name, tensor in inputs.items()}
    return inputs[torch.as_tensor(index, device=inputs.device)]
