"""The built-in recipe: one loop for one model and for many stacked models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.tasks import task_of_loss
from audit.inputs.forward import call, logits_of
from audit.inputs.recipe import RecipeSection

from .jobs import Pool, Steps
from .streams import Stream, changes

if TYPE_CHECKING:
    import torch

BLOCK = 64  # steps whose rows are drawn at once, and between two looks at the losses
Forward = Callable[[Any], "torch.Tensor"]


class Batches:
    """A pool on the device, from which batches are taken.

    Args:
        pool: canonical pool.
        augmentation: as in the recipe.
        device: of the tensors.
        output: name or position of the logits among what a network returns, where that cannot be told.

    Raises:
        ValueError: the augmentation does not fit the inputs.
    """

    def __init__(self, pool: Pool, augmentation: str, device: str, output: str | None = None) -> None:
        import torch

        self.device, self.output = device, output
        self.y = torch.from_numpy(pool.y).to(device)
        tensors = {name: torch.from_numpy(a).to(device) for name, a in pool.arrays().items() if name != "y"}
        self._x: Any = tensors["x"] if "x" in tensors else {name[2:]: t for name, t in tensors.items()}
        table = changes(augmentation, pool.x)
        self._changes = None if table is None else torch.from_numpy(table).to(device)
        self.ways = 0 if table is None else len(table)

    def inputs(self, index: torch.Tensor, change: torch.Tensor | None) -> Any:
        """Inputs of the rows ``index`` (m,), changed as ``change`` (m,) says: (m, ...) or a mapping of such."""
        if isinstance(self._x, dict):
            return {name: tensor.index_select(0, index) for name, tensor in self._x.items()}
        x: torch.Tensor = self._x.index_select(0, index)
        if change is None or self._changes is None:
            return x
        source = self._changes.index_select(0, change)
        flat = x.reshape(len(x), -1, source.shape[1])
        return flat.gather(2, source[:, None].expand(-1, flat.shape[1], -1)).reshape(x.shape)

    def logits(self, module: torch.nn.Module, x: Any, state: Mapping[str, Any] | None = None) -> torch.Tensor:
        """Logits of a network on ``inputs``, as an audit asks it; ``state`` in place of its own."""
        logits: torch.Tensor = logits_of(call(module, x, state), self.output)
        return logits


@dataclass(frozen=True, eq=False)
class Descent:
    """How the training of K models went.

    Attributes:
        loss: (K,) loss of the last step.
        diverged: (K,) first step with a loss that is not finite, counted from 1; 0 = none.
    """

    loss: np.ndarray[Any, Any]
    diverged: np.ndarray[Any, Any]


def factor(recipe: RecipeSection, step: int, steps: int) -> float:
    """Learning rate of step 0 .. steps - 1, as a share of ``lr``."""
    warm = recipe.warmup * steps
    if step < warm:
        return (step + 1) / (math.ceil(warm) + 1)
    done = (step - warm) / (steps - warm)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if recipe.schedule == "linear":
        return 1 - done
    if recipe.schedule == "step":
        return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01
    return 1.0


def make_optimiser(recipe: RecipeSection, parameters: Sequence[torch.Tensor]) -> torch.optim.Optimizer:
    """The recipe's optimiser. All of them work element by element, so stacked models do not mix."""
    import torch

    common: dict[str, Any] = {"lr": recipe.rate, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=recipe.sgd_momentum, nesterov=recipe.nesterov, **common)
    return (torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW)(parameters, **common)


def losses_of(recipe: RecipeSection, logits: torch.Tensor, y: torch.Tensor, models: int) -> torch.Tensor:
    """Mean loss of each model over its part of (models * batch) rows: (models,)."""
    loss = partial(task_of_loss(recipe.loss).training_loss, logits, y, smoothing=recipe.label_smoothing)
    found: torch.Tensor = (
        loss(reduction="mean")[None] if models == 1 else loss(reduction="none").view(models, -1).mean(1)
    )
    return found


def descend(
    recipe: RecipeSection,
    batches: Batches,
    forward: Forward,
    parameters: Sequence[torch.Tensor],
    streams: Sequence[Stream],
    steps: Steps,
) -> Descent:
    """Train K models at once, in place; models whose loss is no longer finite do not disturb the others.

    Args:
        recipe: the built-in recipe.
        batches: the data.
        forward: from K batches, one behind the other, to their logits (K * batch, C).
        parameters: what is trained.
        streams: K streams of rows, one a model.
        steps: of each model.
    """
    import torch

    models = len(streams)
    optimiser = make_optimiser(recipe, parameters)
    diverged, last = np.zeros(models, np.int64), np.zeros(models)
    drawn = _block(streams, min(BLOCK, steps.count), batches.device)
    for start in range(0, steps.count, BLOCK):
        count, left = min(BLOCK, steps.count - start), steps.count - start - BLOCK
        (index, change), seen = drawn, []
        for step in range(count):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * factor(recipe, start + step, steps.count)
            logits = forward(batches.inputs(index[step], None if change is None else change[step]))
            losses = losses_of(recipe, logits, batches.y.index_select(0, index[step]), models)
            optimiser.zero_grad()
            losses.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            seen.append(losses.detach())
        if left > 0:  # before the losses are waited for: a GPU still computes
            drawn = _block(streams, min(BLOCK, left), batches.device)
        block = torch.stack(seen).cpu().double().numpy()
        bad = ~np.isfinite(block)
        first = np.where(bad.any(0), start + 1 + bad.argmax(0), 0)
        diverged, last = np.where(diverged == 0, first, diverged), block[-1]
        if diverged.all():
            break
    return Descent(last, diverged)


def _block(
    streams: Sequence[Stream], count: int, device: str
) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor] | None]:
    """The next ``count`` steps: row numbers, and changes, (K * batch,) each."""
    import torch

    drawn = [stream.take(count) for stream in streams]
    index = torch.from_numpy(np.concatenate([d[0] for d in drawn], axis=1)).to(device).unbind(0)
    if drawn[0][1] is None:
        return index, None
    change = torch.from_numpy(np.concatenate([d[1] for d in drawn if d[1] is not None], axis=1))
    return index, change.to(device).unbind(0)
