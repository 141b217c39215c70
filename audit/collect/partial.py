"""A network with some of its weights zeroed, without changing the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Bools, Floats
from audit.inputs.contained import forward_pass
from audit.inputs.data import Arrays
from audit.inputs.forward import Passes
from audit.inputs.targets import TorchTarget

if TYPE_CHECKING:
    import torch


def agreement(network: TorchTarget, kept: Sequence[Mapping[str, Bools]], sets: Mapping[str, Arrays]) -> list[float]:
    """How often a network labels rows as before where only some units of its weight matrices stay.

    Args:
        network: of which only copies of weights are changed.
        kept: for each question, (n,) units that stay by name of the tensor.
        sets: rows to ask about, by role.

    Returns:
        a share in [0, 1] for each question.

    Raises:
        ValueError: rows are tokens, which are not labelled.
    """
    if network.reader is not None:
        raise ValueError("rows of tokens have no label that could stay the same")
    module = network.module
    state = module.state_dict()
    columns = turned(module)
    rows = list(sets.values())
    before = np.concatenate([outputs(network, {}, data).argmax(axis=1) for data in rows])
    shares = []
    for units in kept:
        changed = {}
        for name, stays in units.items():
            if not stays.all():
                mask = np.ones(state[name].ndim, dtype=int)
                mask[1 if name in columns else 0] = -1
                factor = state[name].new_tensor(stays.astype(np.float32)).reshape(tuple(mask))
                changed[name] = state[name] * factor
        after = np.concatenate([outputs(network, changed, data).argmax(axis=1) for data in rows])
        shares.append(float((after == before).mean()))
    return shares


def outputs(network: TorchTarget, changed: Mapping[str, torch.Tensor], data: Arrays) -> Floats:
    """Logits (n, C) with some tensors of the state replaced for this call."""
    import torch

    with torch.no_grad():
        parts = [called(network, changed, part).cpu().double().numpy() for part in blocks(network, data)]
    return np.concatenate(parts)


def blocks(network: TorchTarget, data: Arrays) -> Iterator[Arrays]:
    """The rows that go through at once: all, or of tokens as many as memory is kept for."""
    size = network.at_once(data)
    if len(data) <= size:
        yield data
        return
    for start in range(0, len(data), size):
        yield data.take(np.arange(start, min(start + size, len(data))))


def called(network: TorchTarget, changed: Mapping[str, torch.Tensor], data: Arrays) -> Any:
    """The same as a tensor, differentiable in what was replaced."""
    batch = data.batch(np.arange(len(data)))
    given = network.tensor(batch) if isinstance(batch, np.ndarray) else {k: network.tensor(v) for k, v in batch.items()}
    with forward_pass("a forward pass of the network"):
        passes = Passes(network.module, network.output, changed, tie=False)
        return passes(given) if network.reader is None else network.reader.likelihood(passes, given)


def turned(module: torch.nn.Module) -> set[str]:
    """Tensors whose units are their second dimension: weights of embeddings and transposed convolutions."""
    import torch

    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag, torch.nn.modules.conv._ConvTransposeNd)
    return {f"{name}.weight" for name, part in module.named_modules() if isinstance(part, kinds)}
