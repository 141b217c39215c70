"""Copies of one network that are trained on at once, each on batches of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Floats, Ints, Network, NotApplicable
from attacks.memory import give_back, is_out_of_memory
from attacks.tasks import Task
from attacks.tasks.classification import Classification

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

CLASSES = Classification()
REACHED = 0.95  # our choice: share of a network's numbers that training on must reach
BLOCK = 512  # our choice: rows that are scored at once, for each copy


class Clones:
    """Stacked copies of a network in eval mode: BatchNorm keeps its stored statistics, nothing is dropped out.

    Trained by Adam. The rate of each tensor is ``rate`` times the root mean square of the weights that it belongs to
    (a bias takes that of its layer's weight), so that it needs no recipe and no data: one step moves each weight by
    about that share of a typical one. Memory: weights, gradients and two moments of all copies, and the activations
    of one batch (or ``BLOCK`` rows) a copy; where that is too much, copies take turns and blocks are halved.

    Args:
        network: a copy that belongs to the attack; it is not changed.
        copies: how many, >= 1.
        rate: relative step, > 0.
        task: says which loss training lowers.
        block: rows that are scored at once for each copy, at most ``BLOCK``; batches of training are the attack's own.

    Raises:
        NotApplicable: the network has no parameters.

    Attributes:
        trained: share of the network's numbers that the first step's gradient reached, in [0, 1]; None before it. A
            network that holds its weights as buffers or plain tensors, or cuts the gradient off, cannot be trained on,
            and then nothing shows.
    """

    def __init__(self, network: Network, copies: int, rate: float, task: Task = CLASSES, block: int = BLOCK) -> None:
        import torch

        self.network, self.copies, self.task = network, copies, task
        own = {name: p.detach() for name, p in network.module.named_parameters() if p.is_floating_point()}
        if not own:
            raise NotApplicable("the network has no parameters to train: make its weights parameters")
        self.state: Tensors = {name: torch.stack([p] * copies).requires_grad_(True) for name, p in own.items()}
        groups = [{"params": [self.state[name]], "lr": rate * scale} for name, scale in _scales(own).items()]
        self.optimiser = torch.optim.Adam(groups, fused=True)
        self.trained: float | None = None
        self.block = min(block, BLOCK)
        #: of long rows like those given, how many go through at once, copy by copy; None = as many as there are
        self.rows: Callable[[Any], int] | None = getattr(network, "rows", None)
        self.together = copies > 1 and self.rows is None and not _better_alone(network.module)

    def step(self, x: Any, y: np.ndarray[Any, Any]) -> None:
        """One step of every copy.

        Args:
            x: (copies, b, ...) inputs, or a mapping of such tensors.
            y: (copies, b) classes, or (copies, b, k) numbers.
        """
        self.optimiser.zero_grad()
        try:
            reached = self._learn(x, y)
        except RuntimeError as error:
            if not self.together or not is_out_of_memory(error):
                raise
            reached = None
        if reached is None:
            self.together = False
            self.optimiser.zero_grad()
            give_back()
            reached = self._learn(x, y)
        if not reached:  # the forward pass cuts the gradient off
            self.trained = 0.0
            return
        if self.trained is None:
            self.trained = self._reached()
        self.optimiser.step()

    def _learn(self, x: Any, y: np.ndarray[Any, Any]) -> bool:
        """Gradients of all copies: together, or one after the other, which holds the activations of one."""
        import torch

        size = y.shape[1]
        at_once = self.rows(_part(x, 0, slice(0, 1))) if self.rows else size
        parts = [slice(start, start + at_once) for start in range(0, size, at_once)]
        for k, rows in [(None, parts[0])] if self.together else product(range(self.copies), parts):
            logits = self._stacked(x) if k is None else self._alone(_part(x, k, rows), k)
            truth = torch.as_tensor(y if k is None else y[k, rows], device=logits.device)
            together = truth.flatten(0, 1) if k is None else truth
            loss = self.task.training_loss(logits.flatten(0, -2), together) / size
            if not loss.requires_grad:
                return False
            torch.autograd.backward(loss)
        return True

    def _reached(self) -> float:
        """Tensors with some gradient, over all floats of the network but what normalisation layers have counted."""
        moved = sum(t[0].numel() for t in self.state.values() if t.grad is not None and bool(t.grad.any()))
        return moved / max(1, moved_or_held(self.network.module))

    def logits(self, rows: Callable[[slice], Any], count: int) -> Floats:
        """Logits (copies, count, C) of rows, in blocks; ``rows`` gives the inputs of a slice."""
        import torch

        parts: list[Floats] = []
        most = self.rows(rows(slice(0, 1))) if self.rows else BLOCK
        start = 0
        while start < count:
            stop = min(start + min(self.block, most), count)
            try:
                with torch.no_grad():
                    parts.append(self._shared(rows(slice(start, stop))).cpu().double().numpy())
                start, short = stop, False
            except RuntimeError as error:
                if stop - start == 1 or not is_out_of_memory(error):
                    raise
                short = True
            if short:
                self.block = (stop - start) // 2
                give_back()
        return np.concatenate(parts, axis=1)

    def _shared(self, x: Any) -> torch.Tensor:
        """Logits (copies, b, C) of inputs (b, ...) that go through every copy."""
        import torch

        return self._stacked(x, None) if self.together else torch.stack([self._alone(x, k) for k in range(self.copies)])

    def _stacked(self, x: Any, own: int | None = 0) -> torch.Tensor:
        """Logits (copies, b, C) of all copies at once; ``own``: the axis of ``x`` that counts them."""
        import torch
        from torch.func import vmap

        return torch.as_tensor(vmap(self.network.functional, in_dims=(0, own))(self.state, x))

    def _alone(self, x: Any, k: int) -> torch.Tensor:
        """Logits (b, C) of one copy."""
        import torch

        return torch.as_tensor(self.network.functional({name: t[k] for name, t in self.state.items()}, x))


def moved_or_held(module: torch.nn.Module) -> int:
    """Floats of parameters, buffers and plain tensor attributes; those that BatchNorm and its kin counted apart."""
    import torch
    from torch.nn.modules.batchnorm import _NormBase

    held: dict[int, int] = {}
    for part in module.modules():
        own = [*part.__dict__.values(), *part._parameters.values()]
        own += [] if isinstance(part, _NormBase) else part._buffers.values()
        held |= {id(t): t.numel() for t in own if isinstance(t, torch.Tensor) and t.is_floating_point()}
    return sum(held.values())


def unreached(trained: float) -> str:
    """Why training on says nothing where its gradient does not reach the network's numbers; "" where it does."""
    if trained >= REACHED:
        return ""
    return f"training on reaches {trained:.0%} of the audited model's numbers alone: make the others parameters"


def _part(x: Any, k: int, rows: slice) -> Any:
    return {name: tensor[k, rows] for name, tensor in x.items()} if isinstance(x, dict) else x[k, rows]


def _scales(own: Tensors) -> dict[str, float]:
    """Root mean square of each tensor; of a bias that of its layer's weight; 1 where all are zero."""
    scales = {}
    for name, tensor in own.items():
        typical = own.get(name.removesuffix("bias") + "weight", tensor) if name.endswith("bias") else tensor
        scales[name] = float(typical.square().mean().sqrt()) or 1.0
    return scales


def _better_alone(module: torch.nn.Module) -> bool:
    """One copy after the other: stacked convolutions become grouped ones, which are slower (measured), and torch's
    fused attention does not know stacks."""
    from torch.nn import MultiheadAttention
    from torch.nn.modules.conv import _ConvNd

    return any(isinstance(part, (_ConvNd, MultiheadAttention)) for part in module.modules())


def orders(rows: Sequence[Ints], steps: int, batch: int, rng: np.random.Generator) -> Ints:
    """Row indices (copies, steps, b) of batches: passes over each copy's rows, shuffled anew each time.

    Args:
        rows: of each copy, each of at least one row.
        steps: batches.
        batch: rows in each; fewer where the smallest set has fewer.
        rng: draws the orders.
    """
    size = min(batch, *map(len, rows))
    passes = -(-steps * size // min(map(len, rows)))
    drawn = [np.concatenate([rng.permutation(own) for _ in range(passes)])[: steps * size] for own in rows]
    return np.stack(drawn).reshape(len(rows), steps, size).astype(np.int64)
