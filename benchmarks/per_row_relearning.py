"""The baseline of relearning, kept as it is: one copy after the other, as the public codes do it."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy


def relearn(module: nn.Module, x: torch.Tensor, y: torch.Tensor, order: torch.Tensor, rate: float) -> None:
    """Adam on each copy's own batches.

    Args:
        module: what is copied.
        x: (n, ...) inputs.
        y: (n,) labels.
        order: (copies, steps, b) rows of the batches.
        rate: of each tensor, in units of its root mean square.
    """
    for own in order:
        clone = copy.deepcopy(module)
        groups = [{"params": [p], "lr": rate * float(p.detach().square().mean().sqrt())} for p in clone.parameters()]
        optimiser = torch.optim.Adam(groups)
        for batch in own:
            optimiser.zero_grad()
            cross_entropy(clone(x[batch]), y[batch]).backward()
            optimiser.step()
