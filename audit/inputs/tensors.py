"""Tensors of a network as the audit takes them: two columns of logits at least, and arrays of any type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
