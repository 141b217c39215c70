"""Gradient matching: inputs whose gradient points where the weights went, many candidates in one descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attacks.base import NotApplicable

from .common import plain_attention
from .objective import BOUND, Layerwise, Problems, Simulation, Terms, by_vmap, cosine

HALVINGS = (3 / 8, 5 / 8, 7 / 8)  # of the public code: shares of the iterations at which the step is halved


@dataclass(frozen=True)
class Search:
    """How inputs are sought.

    Attributes:
        iterations: steps of Adam on the signs of the gradient, >= 1.
        rate: first step size as a share of the input range.
        low, high: the input range; candidates stay inside.
        tv: weight of the mean absolute difference of neighbouring pixels, in units of the range; pictures alone.
        l2: weight of the squared distance of gradient and target over the target's squared length; 0 = cosine alone.
    """

    iterations: int
    rate: float
    low: float
    high: float
    tv: float = 0.0
    l2: float = 0.0

    def cost(self, terms: Terms, x: Any) -> Any:
        """(T,) costs of candidates x (T, k, ...)."""
        dot, own, target = terms
        cost = 1 - cosine(terms)
        if self.l2 > 0:
            cost = cost + self.l2 * (own - 2 * dot + target) / target
        if self.tv > 0 and is_picture(x.shape[2:]):
            cost = cost + self.tv / (self.high - self.low) * variation(x)
        return cost


def is_picture(shape: tuple[int, ...]) -> bool:
    """One row's shape is (channels, height, width), two pixels a side at least."""
    return len(shape) == 3 and min(shape[1:]) > 1


def variation(x: Any) -> Any:
    """Total variation of x (T, k, ..., H, W): mean absolute difference down plus across, (T,)."""
    down, across = x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]
    return down.abs().flatten(1).mean(dim=1) + across.abs().flatten(1).mean(dim=1)


def reconstruct(problems: Problems, start: Any, search: Search, simulation: Simulation) -> tuple[Any, Any]:
    """Inputs that match their targets best, and their last costs.

    Networks of linear layers alone take all problems at once; of others, targets are taken a chunk at a time, so that
    at most ``BOUND`` numbers of gradients are held (one target's candidates at least). Signed Adam of "Inverting
    Gradients" (arXiv 2003.14053) with the schedule of the public code of arXiv 2404.03233.

    Args:
        problems: T of them.
        start: (T, k, ...) first candidates.
        search: budget and range.
        simulation: what the trainer did.

    Returns:
        (T, k, ...) and (T,), detached.

    Raises:
        NotApplicable: the network cannot be differentiated twice, or its gradients are not finite.
    """
    import torch

    every = problems.repeats
    size = sum(int(value.numel()) for value in problems.state.values()) * every
    count = len(start) // every
    found = []
    with plain_attention():
        layered = Layerwise(problems).fits(start, simulation)
        step = count if layered else max(1, BOUND // size)
        for first in range(0, count, step):
            part = problems.part(first, first + step)
            terms = Layerwise(part).terms if layered else _general(part, simulation)
            found.append(_descend(terms, start[first * every : (first + step) * every], search))
    x, costs = (torch.cat(parts) for parts in zip(*found, strict=True))
    if not bool(costs.isfinite().all()):
        raise NotApplicable("gradients of gradients are not finite on this network")
    return x, costs


def _general(part: Problems, simulation: Simulation) -> Callable[[Any], Terms]:
    return lambda x: by_vmap(part, x, simulation)


def _descend(terms: Callable[[Any], Terms], start: Any, search: Search) -> tuple[Any, Any]:
    import torch

    x = start.detach().clone().requires_grad_(True)
    adam = torch.optim.Adam([x], lr=search.rate * (search.high - search.low))
    milestones = [int(share * search.iterations) for share in HALVINGS]
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, milestones, gamma=0.5)
    for _ in range(search.iterations):
        costs = search.cost(terms(x), x)
        (gradient,) = torch.autograd.grad(costs.sum(), x)
        x.grad = gradient.sign()
        adam.step()
        schedule.step()
        with torch.no_grad():
            x.clamp_(search.low, search.high)
    return x.detach(), search.cost(terms(x), x).detach()
