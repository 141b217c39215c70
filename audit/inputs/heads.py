"""The head of a network: the layer whose output is the network's, and what it reads, as a linear map of features.

Linear layers, whether their weight is plain, tied or normalised; 1x1 convolutions, before or after pooling; and cosine
classifiers, which are linear in features of length 1. Which it is, the numbers of one batch say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attacks.base import Floats

if TYPE_CHECKING:
    import torch

CLOSE = 1e-4  # our choice: absolute difference of log-probabilities up to which two outputs are the same
FORM = 1e-3  # our choice: relative to the largest output, up to which a layer is the map that its weights say
Kind = Literal["linear", "cosine"]


class NoHead(ValueError):
    """The network has no head that could be told; the message is the reason."""


@dataclass(frozen=True)
class Call:
    """One call of a layer that may be the head: what it read and what it put out, (b, d) and (b, C)."""

    module: torch.nn.Module
    read: torch.Tensor
    out: torch.Tensor


@dataclass(frozen=True)
class Head:
    """The head: logits = ``weight`` @ features + ``bias``.

    Attributes:
        module: the layer.
        kind: cosine: features and weights have length 1, and ``scale`` multiplies.
    """

    module: torch.nn.Module
    kind: Kind = "linear"
    scale: float = 1.0

    def features(self, read: torch.Tensor) -> torch.Tensor:
        """What the head reads of a batch as features (b, d).

        Raises:
            ValueError: it reads no vector a row.
        """
        import torch

        vectors = _pooled(self.module, read)
        if vectors is None:
            raise ValueError(
                f"the head's input has shape {tuple(read.shape)}, not (rows, features): name the final linear layer on "
                "pooled features with --head"
            )
        return vectors if self.kind == "linear" else torch.nn.functional.normalize(vectors, dim=1)

    @property
    def outputs(self) -> int:
        """How many outputs it computes."""
        return len(_weights(self.module)[0])

    def weights(self) -> tuple[Floats, Floats]:
        """Weight (C, d) and bias (C,), C >= 2: one logit is that of the second of two classes."""
        weight, bias = _weights(self.module)
        if self.kind == "cosine":
            weight = self.scale * weight / np.linalg.norm(weight, axis=1, keepdims=True)
        if len(weight) == 1:
            weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
        return weight, bias


def candidates(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Layers that can be a head, by name."""
    import torch

    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    return {name: part for name, part in module.named_modules() if not isinstance(part, kinds) and _has_weight(part)}


@contextmanager
def calls_of(layers: Sequence[torch.nn.Module]) -> Iterator[list[Call]]:
    """Calls of layers during the passes inside the block, in their order, as each layer left its output."""
    called: list[Call] = []

    def note(module: torch.nn.Module, arguments: tuple[Any, ...], out: Any) -> None:
        read, put = (_pooled(module, value) for value in (arguments[0] if arguments else None, out))
        if read is not None and put is not None:
            called.append(Call(module, read, put.clone()))  # an activation may work in place

    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield called
    finally:
        for handle in handles:
            handle.remove()


def chosen(module: torch.nn.Module, name: str | None, output: torch.Tensor, calls: Sequence[Call]) -> Head:
    """The named head, or the last layer called whose output is the network's.

    Args:
        module: the network.
        name: of its head, where the user gave one.
        output: of one pass.
        calls: of the layers that can be its head, in that pass.

    Raises:
        NoHead: there is none that could be told.
        ValueError: the name fits none.
    """
    layers = candidates(module)
    known = f"(layers that can be one: {', '.join(layers) or 'none'})"
    if name is not None and name not in layers:
        raise ValueError(
            f"--head {name} is no linear layer of the model: choose one of {', '.join(layers) or '(none)'}"
        )
    if name is None:
        found = matching(calls, output)
    else:
        found = next((one for one in reversed(calls) if one.module is layers[name]), None)
        if found is None:
            raise ValueError(f"--head {name} is not called with (rows, features): choose another layer")
    if found is None:
        raise NoHead(
            f"cannot find the head: no linear layer's output is the model's output. Name it with --head {known}"
        )
    head = head_of(found)
    if head is None:
        last = next(layer for layer, part in layers.items() if part is found.module)
        raise NoHead(f"the last layer ({last}) computes neither a linear map nor a cosine of what it reads {known}")
    return head


def parameters_of(module: torch.nn.Module, head: Head) -> frozenset[str]:
    """State-dict names of a network that belong to its head."""
    names = [name for name, part in module.named_modules() if part is head.module]
    inside = tuple(f"{name}." for name in names if name)
    return frozenset(key for key in module.state_dict() if key.startswith(inside) or ("" in names and "." not in key))


def nothing_before(module: torch.nn.Module, head: Head) -> bool:
    """A network holds no parameter and no buffer outside its head, which then reads the inputs, or what a fixed rule
    makes of them."""
    return not module.state_dict().keys() - parameters_of(module, head)


def matching(calls: Sequence[Call], output: torch.Tensor) -> Call | None:
    """The last call whose output is the network's, but for what a softmax does not see."""
    import torch

    for found in reversed(calls):
        if found.out.shape == output.shape and torch.allclose(comparable(found.out), comparable(output), atol=CLOSE):
            return found
    return None


def head_of(found: Call) -> Head | None:
    """The head that a layer is; None where its numbers are no linear map, and no cosine, of what it reads."""
    import torch

    if type(found.module) is torch.nn.Linear:
        return Head(found.module)
    weight, bias = _weights(found.module)
    read, out = (value.detach().cpu().double().numpy() for value in (found.read, found.out))
    if weight.shape != (out.shape[1], read.shape[1]):
        return None
    kind = found.out.dtype if found.out.is_floating_point() else torch.float32
    error = max(FORM, 8 * torch.finfo(kind).eps) * max(float(np.abs(out).max()), 1e-6)
    if np.abs(read @ weight.T + bias - out).max() <= error:
        return Head(found.module)
    lengths = np.linalg.norm(read, axis=1, keepdims=True), np.linalg.norm(weight, axis=1, keepdims=True)
    if any((length == 0).any() for length in lengths):
        return None
    cosines = (read / lengths[0]) @ (weight / lengths[1]).T
    scale = float((cosines * (out - bias)).sum() / max((cosines**2).sum(), 1e-12))
    return Head(found.module, "cosine", scale) if np.abs(scale * cosines + bias - out).max() <= error else None


def comparable(output: torch.Tensor) -> torch.Tensor:
    """Outputs that are the same but for what a softmax does not see; one column has nothing to spare."""
    import torch

    output = output.float().cpu()
    return output if output.shape[-1] == 1 else torch.log_softmax(output, -1)


def _has_weight(part: torch.nn.Module) -> bool:
    import torch

    if isinstance(part, torch.nn.modules.conv._ConvNd):
        return _is_pointwise(part)
    weight = getattr(part, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 2 and weight.is_floating_point()


def _is_pointwise(part: Any) -> bool:
    """A convolution that is the same linear map at every position."""
    ones = all(side == 1 for side in (*part.kernel_size, *part.stride))
    return ones and part.groups == 1 and not part.transposed and not any(_padding(part))


def _padding(part: Any) -> tuple[int, ...]:
    return () if isinstance(part.padding, str) else tuple(part.padding)  # of a single place no word pads


def _pooled(module: torch.nn.Module, value: Any) -> torch.Tensor | None:
    """(b, d) as it is; of a convolution the mean over positions; None of anything else."""
    import torch

    if not isinstance(value, torch.Tensor) or value.ndim < 2:
        return None
    if value.ndim == 2:
        return value
    return value.flatten(2).mean(2) if isinstance(module, torch.nn.modules.conv._ConvNd) else None


def _weights(module: Any) -> tuple[Floats, Floats]:
    weight = module.weight.detach().flatten(1).cpu().double().numpy()
    bias = getattr(module, "bias", None)
    return weight, np.zeros(len(weight)) if bias is None else bias.detach().cpu().double().numpy()
