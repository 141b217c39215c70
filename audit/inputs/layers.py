"""Hidden layers of a network: which ones an attack may read, and what they put out for one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MOST = 8  #: our choice: layers that are read of a deep network, evenly spaced, the first and the last among them

Caught = dict[str, Any]  # what each layer put out, by its name, torch tensors as they came


def weight_layers(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Linear layers and convolutions by name."""
    from torch.nn import Conv1d, Conv2d, Conv3d, Linear

    kinds = (Linear, Conv1d, Conv2d, Conv3d)
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, kinds)}


def find_layers(module: torch.nn.Module, head: torch.nn.Module, call: Callable[[], object]) -> tuple[str, ...]:
    """What is read where no layer is named: the inputs of all linear layers and convolutions between first and head.

    A layer is named by the one that reads it. The first one reads the data, so it is left out; the head reads the
    features, which have a place of their own; what several layers read counts once.

    Args:
        module: the network.
        head: its final linear layer.
        call: passes one batch through the network.

    Returns:
        at most ``MOST`` names in the order of their calls.
    """
    seen: list[tuple[str, torch.nn.Module, Any]] = []
    layers = weight_layers(module)
    handles = [
        layer.register_forward_pre_hook(lambda m, args, n=name: seen.append((n, m, args[0])))
        for name, layer in layers.items()
    ]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    read: list[Any] = [found[2] for found in seen[:1]] + [x for _, m, x in seen if m is head]
    names: list[str] = []
    for name, layer, x in seen[1:]:
        if layer is head or name in names or any(x is other for other in read):
            continue
        read.append(x)
        names.append(name)
    if len(names) <= MOST:
        return tuple(names)
    return tuple(names[round(i * (len(names) - 1) / (MOST - 1))] for i in range(MOST))


def check_named(module: torch.nn.Module, names: Sequence[str]) -> None:
    """Check ``--layers``.

    Raises:
        ValueError: a name that the network does not have.
    """
    known = [name for name, _ in module.named_modules() if name]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"--layers {', '.join(unknown)}: the network has no such module; it has {', '.join(known)}")


@contextmanager
def reading(module: torch.nn.Module, names: Sequence[str], *, outputs: bool) -> Iterator[Caught]:
    """Catch what layers read or put out during the passes inside the block; the last pass of a layer counts.

    Args:
        module: the network.
        names: of its modules.
        outputs: what they put out (layers that the user names), else what they read.
    """
    caught: Caught = {}
    modules = dict(module.named_modules())

    def before(name: str) -> Callable[..., None]:
        return lambda _module, args: caught.__setitem__(name, args[0])

    def after(name: str) -> Callable[..., None]:
        return lambda _module, _args, out: caught.__setitem__(name, out)

    handles = [
        modules[name].register_forward_hook(after(name))
        if outputs
        else modules[name].register_forward_pre_hook(before(name))
        for name in names
    ]
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def pooled(value: Any, rows: int, linear: bool) -> torch.Tensor:
    """One vector (rows, d) a row: the mean over positions.

    Args:
        value: (rows, d), (rows, positions..., d) of linear layers, or (rows, d, positions...).
        rows: of the batch.
        linear: the last axis counts units; else the second.

    Raises:
        ValueError: no tensor of that many rows.
    """
    import torch

    if not isinstance(value, torch.Tensor) or value.ndim < 2 or len(value) != rows:
        raise ValueError("a layer that is read gives no tensor with one entry a row: name others with --layers")
    if value.ndim == 2:
        return value
    return value.flatten(1, -2).mean(1) if linear else value.flatten(2).mean(2)
