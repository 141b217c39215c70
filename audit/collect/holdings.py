"""Every tensor that a network holds, registered or not: its state, and what stands in plain attributes beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.inputs.tensors import numpy_of

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]

DEPTH = 4  # our choice: lists in dictionaries in modules, no deeper


def holdings(module: torch.nn.Module) -> dict[str, Array]:
    """Numeric tensors and arrays by name: parameters, all buffers, and those in plain attributes.

    Networks that stand in a list or dictionary, where torch does not see them, are looked into like others. A tensor
    that stands in several places is named once. What a function closes over, an object of another class holds, or a
    file keeps is not found.

    Args:
        module: a network; it is read only.

    Returns:
        arrays of booleans, integers and floats, in the order in which they were found.
    """
    found: dict[str, Array] = {}
    seen: set[int] = set()
    for name, value in _tensors(module, "", DEPTH, seen):
        array = _numeric(value)
        if array is not None:
            found.setdefault(name, array)
    return found


def _tensors(value: Any, name: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    import torch

    if id(value) in seen:
        return
    if isinstance(value, torch.Tensor | np.ndarray):
        seen.add(id(value))
        yield name, value
        return
    if depth == 0 or not isinstance(value, torch.nn.Module | Mapping | list | tuple):
        return
    seen.add(id(value))
    dot = f"{name}." if name else ""
    if isinstance(value, torch.nn.Module):
        yield from _held(value, dot, depth, seen)
    elif isinstance(value, Mapping):
        for key, item in list(value.items()):
            yield from _tensors(item, f"{dot}{key}", depth - 1, seen)
    else:
        for at, item in enumerate(value):
            yield from _tensors(item, f"{dot}{at}", depth - 1, seen)


def _held(module: torch.nn.Module, dot: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """What torch registered first, by its names in the state; networks inside do not count against the depth."""
    for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is not None:
            yield from _tensors(tensor, f"{dot}{key}", depth, seen)
    for key, child in module.named_children():
        yield from _tensors(child, f"{dot}{key}", depth, seen)
    for key, item in list(vars(module).items()):
        if key not in ("_parameters", "_buffers", "_modules"):
            yield from _tensors(item, f"{dot}{key}", depth - 1, seen)


def _numeric(value: Any) -> Array | None:
    """As an array; None for what holds no plain numbers."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_quantized:
            value = value.int_repr()
        if value.is_sparse or value.is_meta or value.is_complex():
            return None
        value = numpy_of(value)
    return value if value.dtype.kind in "biuf" and value.size else None
