"""Models that a program holds: a network, or outputs. Nothing given is modified; an audit works on copies."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .architecture import Unnamed, architecture_digest
from .npz import array_of
from .outputs import PrecomputedOutputs, outputs_target
from .targets import TorchTarget
from .usercode import describe

IN_MEMORY = "in memory"


def target_of(module: Any, name: str, device: str, head: str | None) -> TorchTarget:
    """A copy of a network as something to audit, named by its state and by the sources of its architecture.

    Args:
        module: a ``torch.nn.Module`` in evaluation mode.
        name: of the model in the run, for messages.
        device: where the copy runs.
        head: its final linear layer, where it cannot be found.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(
            f"{name} is a {type(module).__name__}: give a path, a torch.nn.Module, or a mapping of outputs by set"
        )
    if any(part.training for part in module.modules()):
        raise ValueError(f"{name} is in training mode: call model.eval() before auditing it")
    try:
        copied = copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{name} cannot be copied ({describe(error)}): save its state dict and give the file"
        ) from None
    bad = [
        key for key, value in copied.state_dict().items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if bad:
        raise ValueError(f"{name} holds NaN or infinite weights in {', '.join(bad[:8])}: repair it")
    target = TorchTarget(copied, device, head)
    try:
        target.architecture = architecture_digest(module)
    except Unnamed as reason:
        target.unnamed = str(reason)
    return target


def outputs_of(outputs: Mapping[Any, Any], name: str) -> PrecomputedOutputs:
    """Copies of logits or predicted labels by set as something to audit.

    Raises:
        ValueError: with the remedy.
    """
    arrays = {str(key): array_of(value, f"{name}: {key}") for key, value in outputs.items()}
    return outputs_target(arrays, name)


def described(source: Any) -> str:
    """What stands in the record in place of a file name."""
    return f"outputs ({IN_MEMORY})" if isinstance(source, Mapping) else f"{type(source).__name__} ({IN_MEMORY})"
