"""One forward pass of a network of the user's: how its inputs are passed, and which of its outputs are the logits."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .naming import listed, shown

if TYPE_CHECKING:
    import torch

LOGITS = "logits"  # the name under which Hugging Face, and many others, return them


class NoLogits(ValueError):
    """What the forward pass returns holds no logits that could be told; the message ends in the remedy."""


def call(module: torch.nn.Module, x: Any, state: Mapping[str, Any] | None = None, *, tie: bool = True) -> Any:
    """What the network returns for a batch.

    Args:
        module: the network.
        x: one tensor, or tensors by name. They are passed as keyword arguments where the forward pass has parameters
            of these names, else as one mapping.
        state: other parameters and buffers for this call; those that it lacks stay as they are.
        tie: tied tensors are replaced together.
    """
    by_name = isinstance(x, Mapping) and takes(module, tuple(x))
    arguments, named = ((), dict(x)) if by_name else ((x,), {})
    if state is None:
        return module(*arguments, **named)
    from torch.func import functional_call

    return functional_call(module, dict(state), arguments, named, tie_weights=tie)


@dataclass(frozen=True)
class Passes:
    """Forward passes of a network: what it is asked, and which of its outputs counts.

    Attributes:
        module: the network.
        output: of ``logits_of``.
        state: other parameters and buffers, as for ``call``.
        tie: as for ``call``.
    """

    module: torch.nn.Module
    output: str | None
    state: Mapping[str, Any] | None = None
    tie: bool = True

    def __call__(self, x: Any) -> Any:
        """Logits of a batch."""
        return logits_of(call(self.module, x, self.state, tie=self.tie), self.output)


def takes(module: torch.nn.Module, names: Sequence[str]) -> bool:
    """Whether the forward pass has a keyword parameter for each of these inputs."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):  # compiled code has none
        return False
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return set(names) <= named or (not named and any(p.kind == p.VAR_KEYWORD for p in parameters))


def logits_of(returned: Any, output: str | None) -> Any:
    """The logits among what a forward pass returns.

    Args:
        returned: a tensor, or several of them in a tuple, a mapping, or an object with named fields.
        output: name or position that the user gave (``--output``); None = the one there is, or the one named logits.

    Raises:
        NoLogits: it cannot be told which they are.
    """
    import torch

    if isinstance(returned, torch.Tensor):
        if output is not None:
            raise NoLogits(f"it returns one tensor, which has no part {shown(output)}: leave --output out")
        return returned
    parts = parts_of(returned)
    if not parts:
        raise NoLogits(f"its output is a {type(returned).__name__}, not a tensor (rows, classes): wrap the model")
    if output is not None:
        if output not in parts:
            raise NoLogits(f"it returns no part {shown(output)}: choose one of {_described(parts)} with --output")
        return parts[output]
    if LOGITS in parts:
        return parts[LOGITS]
    if len(parts) == 1:
        return next(iter(parts.values()))
    raise NoLogits(f"it returns several outputs: name the logits with --output, one of {_described(parts)}")


def parts_of(returned: Any) -> dict[str, Any]:
    """Tensors by name (of a mapping, or of named fields) or position (of a tuple or list); {} where it has no parts."""
    import torch

    if isinstance(returned, Mapping):
        pairs: Any = returned.items()
    elif hasattr(returned, "_fields"):
        pairs = zip(returned._fields, returned, strict=True)
    elif isinstance(returned, (tuple, list)):
        pairs = enumerate(returned)
    else:
        pairs = vars(returned).items() if hasattr(returned, "__dataclass_fields__") else ()
    return {str(name): value for name, value in pairs if isinstance(value, torch.Tensor)}


def _described(parts: Mapping[str, Any]) -> str:
    return listed([f"{name} {tuple(value.shape)}" for name, value in parts.items()])
