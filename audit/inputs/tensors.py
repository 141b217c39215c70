"""Tensors of a network as the audit takes them: two columns of logits, arrays of any type, float64 on the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Floats

if TYPE_CHECKING:
    import torch


def two_columns(logits: torch.Tensor) -> torch.Tensor:
    """Logits (b, C) with C >= 2: one logit is that of the second of two classes."""
    if logits.ndim == 2 and logits.shape[1] == 1:
        import torch

        return torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits


def numpy_of(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """A tensor as an array; bfloat16, which numpy lacks, as float32."""
    import torch

    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def doubles(tensor: torch.Tensor) -> Floats:
    """A tensor as float64. It is converted on the host: half of the bytes to copy, and not every device has float64."""
    return np.asarray(tensor.detach().cpu().double().numpy())


@dataclass(frozen=True, eq=False)
class Passed:
    """What a forward pass gave, still on its device: logits (b, C), features (b, d) or None, hidden layers (b, d)."""

    logits: torch.Tensor
    features: torch.Tensor | None
    hidden: Mapping[str, torch.Tensor]

    def on_host(self) -> tuple[Floats, Floats | None, dict[str, Floats]]:
        """The same as float64; waits for the device."""
        features = None if self.features is None else doubles(self.features)
        return doubles(self.logits), features, {name: doubles(values) for name, values in self.hidden.items()}


class State(Mapping[str, "np.ndarray[Any, Any]"]):
    """Parameters and buffers of a module by name, as arrays, each made when it is asked for: one at a time on the host.

    Args:
        module: whose state it is; a later change of its tensors shows.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._tensors = module.state_dict()

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return numpy_of(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
