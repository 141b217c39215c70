"""UMA one row and one radius at a time: a baseline that is kept as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from attacks.base import Floats

STEP = 8


def smallest_kl(
    module: nn.Module,
    x: Floats,
    log_target: Floats,
    radii: Sequence[float],
    starts: Sequence[Floats | None],
    box: tuple[float, float],
    steps: int,
) -> tuple[Floats, int]:
    """Projected gradient descent of the KL for each row, radius and start in turn.

    Args:
        module: the network, weights frozen.
        x: rows, (m, ...).
        log_target: log-probabilities of the targets, (m, C).
        radii: shares of the range of ``box``.
        starts: directions (m, ...) in [-1, 1], or None.
        box: smallest and largest input value.
        steps: gradient steps.

    Returns:
        smallest KL (m, R), and the rows that were passed.
    """
    best, passes = np.full((len(x), len(radii)), np.inf), 0
    for row in range(len(x)):
        centre = torch.as_tensor(x[row : row + 1], dtype=torch.float32)
        target = torch.as_tensor(log_target[row : row + 1], dtype=torch.float32)
        low, high = centre.clamp(max=box[0]), centre.clamp(min=box[1])
        for at, share in enumerate(radii):
            radius = share * (box[1] - box[0])
            floor, ceiling = torch.maximum(centre - radius, low), torch.minimum(centre + radius, high)
            for start in starts:
                point = centre.clone()
                if start is not None:
                    point = centre + radius * torch.as_tensor(start[row : row + 1], dtype=torch.float32)
                point = torch.minimum(torch.maximum(point, floor), ceiling)
                for step in range(steps + 1):
                    point = point.detach().requires_grad_(step < steps)
                    log_own = torch.log_softmax(module(point), dim=1)
                    loss = (target.exp() * (target - log_own)).sum()
                    passes += 1
                    best[row, at] = min(best[row, at], float(loss.detach()))
                    if step < steps:
                        (gradient,) = torch.autograd.grad(loss, point)
                        moved = point.detach() - radius / STEP * gradient.sign()
                        point = torch.minimum(torch.maximum(moved, floor), ceiling)
    return best, passes
