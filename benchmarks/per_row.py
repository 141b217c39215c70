"""Gradient inversion as plain code does it: one row and one start at a time. A fixed baseline: never tuned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

HALVINGS = (3 / 8, 5 / 8, 7 / 8)


def invert(
    model: nn.Module,
    targets: Sequence[Sequence[torch.Tensor]],
    labels: torch.Tensor,
    starts: torch.Tensor,
    *,
    iterations: int,
    rate: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs whose gradient points like their target, by signed Adam inside [0, 1].

    Args:
        model: in eval mode.
        targets: G lists of gradients, in the order of ``model.parameters()``.
        labels: (G,).
        starts: (G, R, ...) first candidates.
        iterations: steps each.
        rate: first step size.

    Returns:
        (G, R, ...) and costs (G, R).
    """
    parameters = list(model.parameters())
    found, costs = torch.empty_like(starts), torch.empty(starts.shape[:2], dtype=starts.dtype)
    for i, target in enumerate(targets):
        length = sum((part * part).sum() for part in target)
        for j in range(starts.shape[1]):
            x = starts[i, j][None].clone().requires_grad_(True)
            adam = torch.optim.Adam([x], lr=rate)
            schedule = torch.optim.lr_scheduler.MultiStepLR(adam, [int(h * iterations) for h in HALVINGS], gamma=0.5)
            for _ in range(iterations):
                cost = _cost(model, parameters, x, labels[i : i + 1], target, length)
                (gradient,) = torch.autograd.grad(cost, x)
                x.grad = gradient.sign()
                adam.step()
                schedule.step()
                with torch.no_grad():
                    x.clamp_(0, 1)
            found[i, j] = x.detach()[0]
            costs[i, j] = _cost(model, parameters, x, labels[i : i + 1], target, length).detach()
    return found, costs


def _cost(model, parameters, x, label, target, length):  # type: ignore[no-untyped-def]
    own = torch.autograd.grad(cross_entropy(model(x), label), parameters, create_graph=True)
    dot = sum((a * b).sum() for a, b in zip(own, target, strict=True))
    square = sum((a * a).sum() for a in own)
    return 1 - dot / (square * length).sqrt()
