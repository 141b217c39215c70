"""Fully connected ReLU networks of any depth, many of one recipe trained at once, and the honest ways to vary it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from attacks.base import Ints

from .worlds import Net, Weights, World

VALIDATION, PATIENCE = 0.1, 3  # our choice: share of the rows that early stopping keeps, epochs that it waits


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs, batch, rate: of every training; the last rows of an epoch that fill no batch are left out.
        optimiser: ``adam``, ``adamw`` or ``sgd`` (momentum .9).
        decay: weight decay.
        scale: of the first weights, in units of uniform within 1/sqrt(fan-in).
        early: a tenth of the rows decides when to stop, and which epoch's weights are kept, for all at once.
        bf16: weights and inputs of every layer, and their gradients, rounded to bfloat16; sums in float32.
        parts: a batch's gradient is added up from so many, as that many threads do it.
    """

    epochs: float
    batch: int
    rate: float
    optimiser: str = "adam"
    decay: float = 0.0
    scale: float = 1.0
    early: bool = False
    bf16: bool = False
    parts: int = 1


#: honest trainings that are not quite the references' (our choice of sizes)
VARIATIONS = {
    "SGD": lambda r: replace(r, optimiser="sgd", rate=25 * r.rate),
    "AdamW with decay": lambda r: replace(r, optimiser="adamw", decay=0.01),
    "batch size doubled": lambda r: replace(r, batch=2 * r.batch),
    "20 % fewer epochs": lambda r: replace(r, epochs=0.8 * r.epochs),
    "larger first weights": lambda r: replace(r, scale=1.5),
    "early stopping": lambda r: replace(r, early=True),
    "bfloat16": lambda r: replace(r, bf16=True),
    "four threads": lambda r: replace(r, parts=4),
}


def first(world: World, hidden: Sequence[int], models: int, rng: np.random.Generator, scale: float = 1.0) -> Weights:
    """Fresh weights of ``models`` networks: (M, in, out) and (M, 1, out) of each layer, as torch draws them."""
    widths = [world.x.shape[1], *hidden, world.n_classes]
    drawn = []
    for before, after in pairwise(widths):
        for rows in (before, 1):
            drawn.append(scale * rng.uniform(-1, 1, (models, rows, after)) * before**-0.5)
    return [torch.tensor(w, dtype=torch.float32) for w in drawn]


def fit(
    world: World, rows: Sequence[Ints], start: Weights, rng: np.random.Generator, recipe: Recipe, y: Ints | None = None
) -> Weights:
    """Train one network for each set of rows, all at once; sets are of one size.

    Args:
        world: the problem.
        rows: M sets of rows of the world.
        start: weights of M networks.
        rng: decides the order of the rows.
        recipe: how.
        y: labels (n,) instead of the world's.
    """
    x, labels = torch.as_tensor(world.x), torch.as_tensor(world.y if y is None else y)
    kept = round((1 - VALIDATION) * len(rows[0])) if recipe.early else len(rows[0])
    mixed = [rng.permutation(own) if recipe.early else own for own in rows]
    checked = torch.as_tensor(np.stack([own[kept:] for own in mixed]))
    weights = [w.clone().requires_grad_(True) for w in start]
    optimiser = _optimiser(weights, recipe)
    best, least, waited = weights, np.inf, 0
    per_epoch = max(1, kept // recipe.batch)
    for step, batch in enumerate(_batches([own[:kept] for own in mixed], recipe, per_epoch, rng), 1):
        optimiser.zero_grad()
        for part in batch.chunk(recipe.parts, dim=1):
            torch.autograd.backward(_loss(weights, x[part], labels[part], recipe) * (part.shape[1] / batch.shape[1]))
        optimiser.step()
        if recipe.early and step % per_epoch == 0:
            with torch.no_grad():
                now = float(_loss(weights, x[checked], labels[checked], recipe))
            waited += 1
            if now < least:
                best, least, waited = [w.detach().clone() for w in weights], now, 0
            if waited == PATIENCE:
                break
    return [w.detach() for w in (best if recipe.early else weights)]


def net(weights: Weights, index: int) -> Net:
    """One network: hidden layers in float32, the head in float64."""
    hidden = tuple(w[index].numpy() for w in weights[:-2])
    return (*hidden, *(w[index].double().numpy() for w in weights[-2:]))


def module_of(net: Net) -> nn.Sequential:
    """A network as a module: linear layers with ReLU between them."""
    parts: list[nn.Module] = []
    for weight, bias in zip(net[::2], net[1::2], strict=True):
        layer = nn.Linear(*weight.shape)
        layer.weight.data.copy_(torch.as_tensor(weight.T))
        layer.bias.data.copy_(torch.as_tensor(bias[0]))
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _loss(weights: Weights, x: torch.Tensor, y: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Sum over M networks of the mean cross-entropy on their batches x (M, b, d), y (M, b)."""
    for at in range(0, len(weights), 2):
        weight = weights[at]
        if recipe.bf16:
            x, weight = x.bfloat16().float(), weight.bfloat16().float()
        x = torch.baddbmm(weights[at + 1], x, weight)
        if at + 2 < len(weights):
            x = torch.relu(x)
    return torch.nn.functional.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]


def _optimiser(weights: Weights, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(weights, lr=recipe.rate, momentum=0.9, weight_decay=recipe.decay, fused=True)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(weights, lr=recipe.rate, weight_decay=recipe.decay, fused=True)


def _batches(rows: Sequence[Ints], recipe: Recipe, per_epoch: int, rng: np.random.Generator) -> Iterator[torch.Tensor]:
    """Row indices (M, b) of every step."""
    size = min(recipe.batch, len(rows[0]))
    steps = max(1, round(recipe.epochs * per_epoch))
    for start in range(0, steps, per_epoch):
        orders = np.stack([rng.permutation(own) for own in rows])
        for at in range(min(per_epoch, steps - start)):
            yield torch.as_tensor(orders[:, at * size : (at + 1) * size])
