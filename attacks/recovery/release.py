"""Changes that a release makes to weights: rounding, pruning, and a cast, each a function of a state dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

State = Mapping[str, Any]  # parameters and buffers by name, torch tensors


def rounded(weight: Any, bits: int) -> Any:
    """Symmetric round-to-nearest on 2^bits - 1 levels, one scale an output channel (Jacob et al. 2018, 1712.05877)."""
    top = 2 ** (bits - 1) - 1
    scale = weight.flatten(1).abs().amax(1).clamp(min=1e-30) / top
    scale = scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return (weight / scale).round().clamp(-top, top) * scale


def pruned(weight: Any, share: float) -> Any:
    """The ``share`` of entries of one tensor that are smallest in size set to 0 (Han et al. 2015, 1506.02626)."""
    count = int(share * weight.numel())
    if not count:
        return weight
    smallest = weight.abs().flatten().kthvalue(count).values
    return weight.where(weight.abs() > smallest, weight.new_zeros(()))


def cast(tensor: Any) -> Any:
    """Rounded to bfloat16 and back: the arithmetic stays the model's own."""
    import torch

    return tensor.to(torch.bfloat16).to(tensor.dtype)


def _weights(state: State, change: Callable[[Any], Any], least: int) -> dict[str, Any]:
    return {n: change(t) if t.is_floating_point() and t.ndim >= least else t for n, t in state.items()}


#: by name, in the order of the report; weights of two dimensions and more are rounded and pruned, everything is cast
CHANGES: Mapping[str, Callable[[State], State]] = {
    "int8": partial(_weights, change=partial(rounded, bits=8), least=2),
    "int4": partial(_weights, change=partial(rounded, bits=4), least=2),
    "30 % pruned": partial(_weights, change=partial(pruned, share=0.3), least=2),
    "50 % pruned": partial(_weights, change=partial(pruned, share=0.5), least=2),
    "bf16": partial(_weights, change=cast, least=0),
}
