"""Models that a program holds: a network, or outputs. Nothing given is modified; an audit works on copies."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.record.digest import state_digest

from .architecture import architecture_digest
from .code import Unnamed
from .npz import array_of
from .state import FLOATS, check_network, check_values
from .targets import TorchTarget
from .tensors import State
from .usercode import describe

if TYPE_CHECKING:
    import torch

IN_MEMORY = "in memory"


def target_of(module: Any, name: str, device: str, head: str | None, output: str | None = None) -> TorchTarget:
    """A copy of a network as something to audit, named by its state and by the sources of its architecture.

    Args:
        module: a ``torch.nn.Module`` in evaluation mode.
        name: of the model in the run, for messages.
        device: where the copy runs.
        head: its final linear layer, where it cannot be found.
        output: name or position of the logits among what it returns, where that cannot be told.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(
            f"{name} is a {type(module).__name__}: give a path, a torch.nn.Module, or a mapping of outputs by set"
        )
    try:
        _check(module, name)
        copied = _copy(module, name)
        target = TorchTarget(copied, device, head, output=output)
        if target.digest() != state_digest(State(module)):
            raise ValueError(f"{name}: a copy of it has another state: give its state dict as a file, with --arch")
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - a module of the user's may raise anything
        raise ValueError(f"{name} cannot be read ({describe(error)}): give its state dict as a file") from None
    try:
        target.architecture = architecture_digest(module)
    except Unnamed as reason:
        target.unnamed = str(reason)
    except Exception as error:  # noqa: BLE001 - an object of the user's may raise anything
        target.unnamed = f"reading its code fails ({describe(error)})"
    return target


def _check(module: torch.nn.Module, name: str) -> None:
    """Raises ValueError for what cannot be audited as it is, with the remedy."""
    import torch

    if isinstance(getattr(module, "_orig_mod", None), torch.nn.Module):
        raise ValueError(f"{name} is compiled by torch.compile: give the network that was compiled")
    if any(part.training for part in module.modules()):
        raise ValueError(f"{name} is in training mode: call model.eval() before auditing it")
    state = module.state_dict()
    odd = [key for key, value in state.items() if not isinstance(value, torch.Tensor) or value.is_quantized]
    odd += [key for key, value in state.items() if key not in odd and (value.is_meta or value.is_sparse)]
    if odd:
        raise ValueError(f"{name} holds more than plain tensors ({', '.join(odd[:8])}): give a plain float32 network")
    kinds = {str(value.dtype) for value in state.values() if value.is_floating_point() or value.is_complex()}
    if kinds - {f"torch.{kind}" for kind in FLOATS}:
        raise ValueError(f"{name} has weights of {', '.join(sorted(kinds))}: give model.float(), a float32 network")
    check_network(name, module)
    check_values(name, state)


def _copy(module: torch.nn.Module, name: str) -> torch.nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return copy.deepcopy(module)
    except Exception as error:  # noqa: BLE001 - a module of the user's may raise anything
        raise ValueError(
            f"{name} cannot be copied ({describe(error)}): make pruning permanent (torch.nn.utils.prune.remove), or "
            "give its state dict as a file"
        ) from None


def arrays_of(outputs: Mapping[Any, Any], name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of the arrays by key.

    Raises:
        ValueError: with the remedy.
    """
    if any(str(key).rpartition(".")[2] in ("weight", "bias") for key in outputs):
        raise ValueError(f"{name} look like a state dict: load it into the network and give the network")
    return {str(key): array_of(value, f"{name}: {key}") for key, value in outputs.items()}


def described(source: Any) -> str:
    """What stands in the record in place of a file name."""
    return f"outputs ({IN_MEMORY})" if isinstance(source, Mapping) else f"{type(source).__name__} ({IN_MEMORY})"
