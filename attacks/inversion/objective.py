"""Gradient matching for many candidate inputs at once: products of their gradients with a target, and lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attacks.base import Network

BOUND = 2**24  # numbers of one batch of gradients, 128 MB in float64; what differentiates through them takes some ten
AGREE = 1e-6  # our choice: difference of the two ways to compute a cosine
Terms = tuple[Any, Any, Any]  # (T,) each: product of gradient and target, squared length of the gradient, of the target


@dataclass(frozen=True)
class Simulation:
    """What the trainer is taken to have done: ``steps`` gradient steps of the mean loss.

    Attributes:
        steps: 1 = the target is proportional to the gradient itself; more are differentiated through.
        rate: signed step size, > 0 climbs the loss; without meaning for one step.
    """

    steps: int = 1
    rate: float = 1.0


@dataclass(frozen=True)
class Problems:
    """T = G x R reconstruction problems: R candidates for each of G targets, of k rows each.

    Attributes:
        network: its parameters are ``state``.
        state: parameters by name.
        targets: by the same names, each (G, *shape); their lengths do not matter.
        labels: (T, k), the candidates of a target one after another.
    """

    network: Network
    state: Mapping[str, Any]
    targets: Mapping[str, Any]
    labels: Any

    @property
    def repeats(self) -> int:
        """Candidates of each target, R."""
        return len(self.labels) // len(next(iter(self.targets.values())))

    def part(self, first: int, last: int) -> Problems:
        """The problems of the targets ``first`` to ``last`` alone."""
        targets = {name: value[first:last] for name, value in self.targets.items()}
        labels = self.labels[first * self.repeats : last * self.repeats]
        return Problems(self.network, self.state, targets, labels)


def change_of(problems: Problems, x: Any, y: Any, simulation: Simulation) -> dict[str, Any]:
    """The direction in which rows x (k, ...) with labels y (k,) move the weights, by name."""
    from torch.func import grad
    from torch.nn.functional import cross_entropy

    def loss(state: dict[str, Any]) -> Any:
        return cross_entropy(problems.network.functional(state, x), y)

    state = dict(problems.state)
    if simulation.steps == 1:
        return dict(grad(loss)(state))
    for _ in range(simulation.steps):
        gradient = grad(loss)(state)
        state = {name: value + simulation.rate * gradient[name] for name, value in state.items()}
    return {name: value - problems.state[name] for name, value in state.items()}


def by_vmap(problems: Problems, x: Any, simulation: Simulation) -> Terms:
    """Terms of candidates x (T, k, ...) of any network, by ``torch.func``: holds T gradients."""
    from torch.func import vmap

    def terms(x: Any, y: Any, target: dict[str, Any]) -> Terms:
        own = change_of(problems, x, y, simulation)
        squares = [sum(value.square().sum() for value in side.values()) for side in (own, target)]
        return sum((own[name] * target[name]).sum() for name in target), squares[0], squares[1]

    groups = (-1, problems.repeats)
    given = x.unflatten(0, groups), problems.labels.unflatten(0, groups)
    found = vmap(vmap(terms, in_dims=(0, 0, None)))(*given, dict(problems.targets))
    return tuple(part.flatten() for part in found)


class Layerwise:
    """The same for networks whose weights are all those of linear layers, without a single gradient of weights.

    A linear layer with inputs a_j and gradients d_j at its outputs has the gradient sum_j d_j a_j'. Its product with
    a target T is sum_j d_j' T a_j, its square sum_jl (d_j'd_l)(a_j'a_l): products of thin matrices. (The "ghost norm"
    of Goodfellow, arXiv 1510.01799, twice differentiable here.)
    """

    def __init__(self, problems: Problems) -> None:
        from torch import nn

        self.problems = problems
        named = ((f"{name}." if name else "", m) for name, m in problems.network.module.named_modules())
        self.layers = {m: (f"{name}weight", f"{name}bias") for name, m in named if type(m) is nn.Linear}
        squares = [value.flatten(1).square().sum(dim=1) for value in problems.targets.values()]
        self.square = sum(squares[1:], squares[0]).repeat_interleave(problems.repeats)

    def fits(self, x: Any, simulation: Simulation) -> bool:
        """Does it say of the first of x (T, k, ...) what ``by_vmap`` says? So every structure it cannot take shows."""
        owned = {name for names in self.layers.values() for name in names}
        if simulation.steps > 1 or not set(self.problems.state) <= owned:
            return False
        every = self.problems.repeats
        one = Problems(self.problems.network, self.problems.state, self.problems.targets, self.problems.labels[::every])
        one, x = one.part(0, 1), x[:1].detach()
        try:
            mine = cosine(Layerwise(one).terms(x.clone().requires_grad_(True))).detach()
        except (RuntimeError, KeyError):
            return False
        return bool((mine - cosine(by_vmap(one, x, simulation)).detach()).abs().max() <= AGREE)

    def terms(self, x: Any) -> Terms:
        """Terms of candidates x (T, k, ...) that take gradients."""
        import torch
        from torch.nn.functional import cross_entropy

        seen: list[tuple[Any, Any, Any]] = []
        hooks = [layer.register_forward_hook(lambda m, a, out: seen.append((m, a[0], out))) for layer in self.layers]
        try:
            logits = self.problems.network.forward(x.flatten(0, 1))
        finally:
            for hook in hooks:
                hook.remove()
        loss = cross_entropy(logits, self.problems.labels.flatten(), reduction="sum") / x.shape[1]
        outer = torch.autograd.grad(loss, [out for _, _, out in seen], create_graph=True)
        dot, square = (torch.zeros(len(x), dtype=x.dtype, device=x.device) for _ in range(2))
        for (layer, inner, _), delta in zip(seen, outer, strict=True):
            more = self._layer(layer, inner, delta, len(x))
            dot, square = dot + more[0], square + more[1]
        return dot, square, self.square

    def _layer(self, layer: Any, inner: Any, delta: Any, count: int) -> tuple[Any, Any]:
        """One layer's part of the product with the target and of the square, (T,) each."""
        names, targets = self.layers[layer], self.problems.targets
        weight, bias = targets[names[0]], targets.get(names[1])
        a, d = (part.reshape(count, -1, part.shape[-1]) for part in (inner, delta))
        grouped = a.reshape(len(weight), -1, a.shape[-1])
        dot = ((grouped @ weight.transpose(1, 2)).reshape(d.shape) * d).sum(dim=(1, 2))
        one = 0.0 if bias is None else 1.0
        if a.shape[1] == 1:
            square = d.square().sum(dim=(1, 2)) * (a.square().sum(dim=(1, 2)) + one)
        else:
            square = ((d @ d.transpose(1, 2)) * (a @ a.transpose(1, 2) + one)).sum(dim=(1, 2))
        if bias is not None:
            dot = dot + (d.sum(dim=1) * bias.repeat_interleave(self.problems.repeats, 0)).sum(dim=1)
        return dot, square


def cosine(terms: Terms) -> Any:
    """(T,) in [-1, 1]; 0 where a gradient vanishes."""
    dot, own, target = terms
    return dot / (own * target).clamp(min=1e-300).sqrt()
