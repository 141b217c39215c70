"""Retrains from a start that the audit draws itself: does what a recipe makes depend on where it starts?

A factory could hand out weights that know the forget set, and a recipe that hardly moves them would give them back. No
weight that the factory chose is left in a network that starts here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Floats, Ints
from audit.inputs.device import full_precision
from audit.inputs.tensors import numpy_of
from audit.inputs.training_order import TrainingOrder

from .descent import Batches
from .jobs import steps_of
from .single import first_bad, fresh, train_single
from .streams import Stream

if TYPE_CHECKING:
    import torch

OWN = 0x1D  # enters the seed of the start, so that no other model has it
FORWARD = 1024  # rows of one forward pass
SMALLEST = 0.01  # our choice: scale of a start where the factory's own is 0


def retrained(order: TrainingOrder, batches: Batches, rows: Ints) -> torch.nn.Module | None:
    """Train the network of ``--arch`` by the built-in recipe on ``rows`` (n,), from the audit's own start.

    The same start, order of rows and noise for any ``rows`` of the same length. Returned in eval mode; None where
    something in it is not finite.

    Raises:
        TrainingError: the factory fails.
    """
    import torch

    seed = int(np.random.SeedSequence([order.seed, OWN]).generate_state(1)[0])
    module = fresh(order.factory, seed, batches.device)
    draw = torch.Generator().manual_seed(seed)
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            if parameter.requires_grad and parameter.is_floating_point():
                scale = float(parameter.detach().double().square().mean().sqrt()) or SMALLEST
                noise = torch.randn(parameter.shape, generator=draw) * scale
                part.register_parameter(name, torch.nn.Parameter(noise.to(parameter)))
    steps = steps_of(order.recipe, len(rows), None)
    train_single(order.recipe, module, batches, Stream(rows, steps.batch, batches.ways, seed), steps, seed)
    return None if first_bad(module) else module


def odd_layers(module: torch.nn.Module) -> str:
    """Layers that are not torch's own, by their class; "" where all are: no code of the user's runs in the network.

    A forward pass of the user's may train a network to anything.
    """
    return ", ".join(sorted({type(part).__name__ for part in module.modules() if not _plain(part)})[:3])


def unmoved(module: torch.nn.Module) -> str:
    """Tensors of a factory's network that no training moves, and that may hold what they like; "" where all move."""
    import torch

    moved = {name for name, p in module.named_parameters() if p.requires_grad and type(p) is torch.nn.Parameter}
    return ", ".join(sorted(module.state_dict().keys() - moved)[:3])


def _plain(part: torch.nn.Module) -> bool:
    """A layer of torch as it is: no subclass, no hook, no function in place of its own."""
    kind = type(part)
    own = getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind
    if not own or not kind.__module__.startswith("torch.nn.modules."):
        return False
    held: dict[str, Any] = vars(part)
    hooks = any(held[name] for name in held if name.endswith(("_hooks", "_hooks_with_kwargs")))
    replaced = any(callable(value) or callable(getattr(kind, name, None)) for name, value in held.items())
    tensors = (*part.parameters(recurse=False), *part.buffers(recurse=False))
    return not (hooks or replaced or any(tensor._backward_hooks for tensor in tensors))


def parameters_of(module: torch.nn.Module) -> Floats:
    """All floats of a state in one vector (d,), in the order of their names."""
    state = {name: numpy_of(tensor) for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    return np.concatenate([state[name].astype(np.float64).reshape(-1) for name in sorted(state)])


def outputs_of(module: torch.nn.Module, batches: Batches, rows: Ints) -> Floats:
    """Centred logits on rows of the pool, (n * C,); those of one output as they are."""
    import torch

    index = torch.from_numpy(rows).to(batches.device)
    with torch.no_grad(), full_precision():
        parts = [module(batches.inputs(some, None)).cpu().double().numpy() for some in torch.split(index, FORWARD)]
    logits = np.concatenate(parts)
    centred = logits - logits.mean(axis=1, keepdims=True) if logits.shape[1] > 1 else logits
    return np.asarray(centred).reshape(-1)
