"""Gradients of one output with respect to what hidden layers hold, unit by unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import Case, Floats, Ints, Network, NotApplicable, View
from attacks.inputs import tensors

ALIKE = 1e-2  # our choice: relative difference up to which a tensor is what the shared forward pass read

Caught = dict[str, tuple[Any, ...]]  # what a layer reads and what it gives, of these what are tensors


def layer_gradients(
    view: View, case: Case, role: str, rows: Ints, weights: Floats, layers: Sequence[str], batch: int
) -> list[Floats]:
    """Gradients of each row's weighted sum of logits, summed over positions, for each layer (n, d).

    They are the change of the sum when the same step is added at every position, as ``View.activations`` averages
    over positions, and by every path that the tensor takes (a residual beside the layer). Whether a layer is read by
    its input (found layers) or by its output (named ones) is seen by comparing with ``View.activations``. One
    backward pass a batch for all layers.

    Args:
        view: the model; a copy of its network is read.
        case: holds the inputs.
        role: of the set.
        rows: of the set, (n,).
        weights: of the logits, (n, C).
        layers: names, as ``View.layers`` gives them.
        batch: rows that pass forward and backward at once.

    Raises:
        NotApplicable: gradients that are not finite, or activations that the network does not give a second time.
    """
    network = view.network()
    parts = []
    for start in range(0, len(rows), batch):
        index = rows[start : start + batch]
        known = {layer: view.activations(role, layer)[index] for layer in layers}
        parts.append(
            _batch(network, tensors(view, case, role, index), view.tensor(weights[start : start + batch]), known)
        )
    found = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    if not all(np.isfinite(values).all() for values in found):
        raise NotApplicable("gradients at the hidden layers are not finite")
    return found


def _batch(network: Network, x: Any, weights: Any, known: Mapping[str, Floats]) -> list[Floats]:
    import torch

    modules = dict(network.module.named_modules())
    caught: Caught = {}
    handles = []
    for name in known:
        handles += _watch(modules[name], name, caught)
    try:
        with torch.enable_grad():
            logits = network.forward(x)
            output = (logits * weights.to(logits)).sum()
    finally:
        for handle in handles:
            handle.remove()
    chosen, linear = [], []
    for name, values in known.items():
        linear.append(isinstance(modules[name], torch.nn.Linear))
        chosen.append(_same(caught.get(name, ()), values, linear[-1]))
    gradients = torch.autograd.grad(output, chosen, allow_unused=True)
    return [
        np.zeros_like(values) if g is None else _pooled(g, flat, mean=False)
        for g, flat, values in zip(gradients, linear, known.values(), strict=True)
    ]


def _watch(module: Any, name: str, caught: Caught) -> list[Any]:
    """Hooks that keep what a layer reads and gives; copies go on, so that what works in place changes neither."""
    import torch

    read: list[Any] = [None]

    def before(_module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        read[0] = None
        if not args or not isinstance(args[0], torch.Tensor) or not args[0].is_floating_point():
            return args
        read[0] = args[0] if args[0].requires_grad else args[0].detach().requires_grad_()
        return (read[0].clone(), *args[1:])

    def after(_module: Any, _args: Any, out: Any) -> Any:
        caught[name] = tuple(t for t in (read[0], out) if isinstance(t, torch.Tensor))
        return out.clone() if isinstance(out, torch.Tensor) else out

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]


def _same(tensors_of: Sequence[Any], values: Floats, linear: bool) -> Any:
    """The tensor that the shared forward pass read."""
    for tensor in tensors_of:
        if tensor.ndim < 2 or len(tensor) != len(values):
            continue
        mine = _pooled(tensor, linear, mean=True)
        if mine.shape == values.shape and np.abs(mine - values).max() <= ALIKE * max(np.abs(values).max(), 1e-12):
            return tensor
    raise NotApplicable("a second forward pass gives other activations than the first")


def _pooled(value: Any, linear: bool, *, mean: bool) -> Floats:
    """Mean or sum over positions, (rows, d): the last axis counts units of a linear layer, else the second."""
    flat = value if value.ndim == 2 else value.flatten(1, -2) if linear else value.flatten(2)
    if value.ndim > 2:
        flat = flat.double().mean(1 if linear else 2) if mean else flat.double().sum(1 if linear else 2)
    return np.asarray(flat.detach().cpu().double().numpy())
