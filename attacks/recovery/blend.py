"""Networks between two others: weighted means of their weights, with BatchNorm statistics taken anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attacks.base import Network, NotApplicable


def matching(one: Network, other: Network) -> None:
    """Check that two networks have the same tensors.

    Raises:
        NotApplicable: they differ in names or shapes.
    """
    shapes = [{name: tuple(t.shape) for name, t in network.module.state_dict().items()} for network in (one, other)]
    if shapes[0] != shapes[1]:
        raise NotApplicable("needs the original's architecture: names or shapes of the weights differ")


def blended(start: Network, end: Network, share: float) -> dict[str, Any]:
    """State (1 - share) start + share end; integers are the end's, from share .5 on, else the start's."""
    first, last = start.module.state_dict(), end.module.state_dict()
    nearer = last if share >= 0.5 else first
    return {
        name: ((1 - share) * first[name] + share * last[name]) if first[name].is_floating_point() else nearer[name]
        for name in first
    }


def renormalised(network: Network, batches: Iterable[Any]) -> bool:
    """Take the statistics of all BatchNorm layers anew, in place, as plain averages over ``batches``.

    Returns:
        whether there was any such layer. The network is in eval mode afterwards.
    """
    import torch

    layers = [m for m in network.module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    layers = [layer for layer in layers if layer.track_running_stats]
    if not layers:
        return False
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over the batches
        layer.train()
    with torch.no_grad():
        for x in batches:
            network.forward(x)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.module.eval()
    return True
