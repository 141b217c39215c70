"""What a GPU asks for beside its name: float32 that is float32, and copies that overlap with the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda")  # whose autocast a program may have switched on
Precision = tuple[str, ...]


@cache
def _places() -> tuple[tuple[Any, str, Any], ...]:
    """Where torch keeps how float32 is multiplied: holder, attribute, and the value that stands for float32."""
    import torch

    backends: Any = torch.backends
    gpu = torch.cuda.is_available()
    if not hasattr(backends.cudnn, "conv"):  # older than torch 2.9
        return ((backends.cuda.matmul, "allow_tf32", False), (backends.cudnn, "allow_tf32", False)) if gpu else ()
    holders = [backends.mkldnn.matmul, backends.mkldnn.conv]
    holders += [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn] if gpu else []
    return tuple((holder, "fp32_precision", "ieee") for holder in holders)


def precision() -> Precision:
    """How float32 is multiplied now."""
    return tuple(getattr(holder, name) for holder, name, _ in _places())


def set_precision(values: Precision) -> None:
    """Put back what ``precision`` returned."""
    for (holder, name, _), value in zip(_places(), values, strict=True):
        if getattr(holder, name) != value:
            setattr(holder, name, value)


def autocast() -> tuple[bool, ...]:
    """Is autocast on, by device?"""
    import torch

    return tuple(torch.is_autocast_enabled(device) for device in DEVICES)


def set_autocast(values: tuple[bool, ...]) -> None:
    """Put back what ``autocast`` returned."""
    import torch

    for device, value in zip(DEVICES, values, strict=True):
        torch.set_autocast_enabled(device, value)


@contextmanager
def full_precision() -> Iterator[None]:
    """Float32 is multiplied as such (no TF32, no bfloat16), and no autocast of the program around is at work.

    What is measured then depends on the network alone. One that casts in its own forward pass still does: that is
    how it is deployed.
    """
    import torch

    before, exact = precision(), tuple(value for *_, value in _places())
    with ExitStack() as stack:
        for device, on in zip(DEVICES, autocast(), strict=True):
            if on:
                stack.enter_context(torch.autocast(device, enabled=False))
        if before != exact:
            set_precision(exact)
            stack.callback(set_precision, before)
        yield


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on a device; on its way to a GPU the host goes on with its work."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
