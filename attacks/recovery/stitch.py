"""Networks put together from two: the front of one, the back of another, with a map between them or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import Case, Floats, Network, NotApplicable, View

from .inputs import batches, block

PROBED = 8  # rows on which it is seen where a layer is read


def groups(state: Mapping[str, Any]) -> list[list[str]]:
    """Names of a state dict by the module that holds them, in the order of the modules' registration."""
    found: dict[str, list[str]] = {}
    for name in state:
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return list(found.values())


def swapped(front: Network, back: Network, last: int) -> dict[str, Any]:
    """The state of ``front`` with its ``last`` modules' parameters and buffers from ``back``."""
    mine, theirs = front.module.state_dict(), back.module.state_dict()
    taken = {name for group in groups(mine)[-last:] for name in group}
    return {name: theirs[name] if name in taken else value for name, value in mine.items()}


def entry_of(view: View, network: Network, case: Case, layer: str) -> str:
    """Where the activations of a layer stand: at its ``input`` or its ``output``.

    Raises:
        NotApplicable: they are a mean over positions, or the layer is called more than once.
    """
    import torch

    module = dict(network.module.named_modules())[layer]
    seen: list[tuple[Any, Any]] = []
    probed = min(PROBED, len(case.labels["forget"]))
    handle = module.register_forward_hook(lambda _m, args, out: seen.append((args[0], out)))
    try:
        with torch.no_grad():
            network.forward(next(batches(view, case, "forget", np.arange(probed))))
    finally:
        handle.remove()
    if len(seen) == 1:
        wanted = view.activations("forget", layer)[:PROBED]
        for place, value in zip(("input", "output"), seen[0], strict=True):
            if _same(value, wanted):
                return place
    raise NotApplicable(f"{layer}: its map would need positions")


def _same(value: Any, wanted: Floats) -> bool:
    """Is it a tensor of these numbers, up to the rounding of another batch?"""
    import torch

    if not isinstance(value, torch.Tensor) or value.shape != wanted.shape:
        return False
    return np.allclose(value.cpu().double().numpy(), wanted, rtol=1e-3, atol=1e-3)


def continued(view: View, network: Network, case: Case, role: str, layer: str, place: str, values: Floats) -> Floats:
    """Logits of ``network`` on a set when ``layer`` meets other values (n, d) than its own.

    Args:
        view: of the network, for the type and the device of its tensors.
        network: whose layers after this one are used.
        case: the case.
        role: of the set.
        layer: name of the module.
        place: ``input`` or ``output``.
        values: what stands there instead, one row each.
    """
    import torch

    module, found, size = dict(network.module.named_modules())[layer], [], block(case)
    for at, x in enumerate(batches(view, case, role, np.arange(len(values)), size)):
        now = view.tensor(values[at * size : (at + 1) * size])
        handle = _replacing(module, place, now)
        try:
            with torch.no_grad():
                found.append(network.forward(x).cpu().double().numpy())
        finally:
            handle.remove()
    return np.concatenate(found)


def _replacing(module: Any, place: str, now: Any) -> Any:
    if place == "input":
        return module.register_forward_pre_hook(lambda _m, args: (now, *args[1:]))
    return module.register_forward_hook(lambda _m, _args, _out: now)


def spaced(count: int, most: int) -> Sequence[int]:
    """At most ``most`` of 1 .. count, evenly spaced, both ends among them."""
    if count <= most:
        return range(1, count + 1)
    return [1 + round(i * (count - 1) / (most - 1)) for i in range(most)]
