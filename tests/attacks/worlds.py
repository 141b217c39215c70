"""Many small networks trained at once on scikit-learn digits, as views that attacks can observe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from cases.stub import StubView
from methods.base import Method, Pair
from torch import nn

from attacks.base import Attack, Bools, Case, Floats, Ints, Shadows, Signals
from audit.inputs.data import Arrays

BATCH = 128
Stack = list[torch.Tensor]


def coins(seed: int, models: int, rows: int) -> Bools:
    """Independent fair coins, (S, n)."""
    return np.random.default_rng([seed, 7]).random((models, rows)) < 0.5


def forward(stack: Stack, x: torch.Tensor) -> torch.Tensor:
    """Logits of S networks with ReLU: x (S, b, d) or (b, d) -> (S, b, C)."""
    for k in range(0, len(stack), 2):
        x = torch.matmul(x, stack[k].transpose(1, 2)) + stack[k + 1][:, None]
        x = x.relu() if k + 2 < len(stack) else x
    return x


def fresh(models: int, widths: Sequence[int], seed: int) -> Stack:
    """Weights and biases of S networks, uniform within 1/sqrt(inputs)."""
    generator = torch.Generator().manual_seed(seed)
    stack = []
    for inputs, outputs in itertools.pairwise(widths):
        for shape in ((models, outputs, inputs), (models, outputs)):
            stack.append((2 * torch.rand(shape, generator=generator) - 1) * inputs**-0.5)
    return stack


def train(
    x: Floats, y: Ints, trained: Bools, seed: int, *, steps: int, hidden: Sequence[int] = (128, 64), rate: float = 3e-3
) -> Stack:
    """Train S networks with Adam, each on its own rows.

    Args:
        x: (n, d) float32.
        y: (n,).
        trained: (S, n), which rows each network sees.
        seed: of weights and batches.
        steps: of ``BATCH`` rows each.
        hidden: widths of the hidden layers.
        rate: learning rate.
    """
    stack = [p.requires_grad_() for p in fresh(len(trained), (x.shape[1], *hidden, int(y.max()) + 1), seed)]
    inputs, labels = torch.from_numpy(np.asarray(x, dtype=np.float32)), torch.from_numpy(y)
    rows = [np.flatnonzero(mine) for mine in trained]
    rng = np.random.default_rng([seed, 8])
    optimiser = torch.optim.Adam(stack, lr=rate)
    for _ in range(steps):
        batch = torch.from_numpy(np.stack([rng.choice(mine, BATCH) for mine in rows]))
        logits = forward(stack, inputs[batch])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels[batch].flatten(), reduction="sum") / BATCH
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return [p.detach() for p in stack]


def modules(stack: Stack) -> list[nn.Module]:
    """The networks of a stack one by one, in eval mode."""
    found = []
    for k in range(len(stack[0])):
        layers: list[nn.Module] = []
        for weight, bias in zip(stack[::2], stack[1::2], strict=True):
            layer = nn.Linear(weight.shape[2], weight.shape[1])
            layer.load_state_dict({"weight": weight[k], "bias": bias[k]})
            layers += [layer, nn.ReLU()]
        found.append(nn.Sequential(*layers[:-1]).eval())
    return found


def view(module: nn.Module, case: Case, queries: dict[str, Callable[[Floats], Floats]] | None = None) -> StubView:
    """Logits of one network on all sets of a case; ``queries`` answers by name as well."""
    changes = {"": lambda x: x, **{f"@{name}": change for name, change in (queries or {}).items()}}
    sets = {}
    with torch.no_grad():
        for role, data in case.sets.items():
            x = np.asarray(data.batch(np.arange(len(data))), dtype=np.float32)
            for name, change in changes.items():
                changed = torch.from_numpy(np.asarray(change(x), dtype=np.float32))
                sets[role + name] = module(changed).numpy().astype(np.float64)
    return StubView(sets)


def case_of(x: Floats, y: Ints, rows: dict[str, Ints]) -> Case:
    """A random claim from row indices by role."""
    sets = {role: Arrays(x[index], y[index]) for role, index in rows.items()}
    return Case("random", (), sets, {role: data.y for role, data in sets.items()}, int(y.max()) + 1)


def trained_rows(n: int, rows: dict[str, Ints], member: Bools) -> Bools:
    """(S, n): retain rows and, of forget and holdout rows, those whose coin is True."""
    found = np.zeros((len(member), n), dtype=bool)
    found[:, rows["retain"]] = True
    found[:, np.concatenate([rows["forget"], rows["holdout"]])] = member
    return found


def observe(attack: Attack, views: Sequence[StubView], case: Case, original: StubView | None = None) -> list[Signals]:
    """Signals of several models, each from the same generator."""
    return [attack.observe(v, original, case, np.random.default_rng(5)) for v in views]


def shadows(attack: Attack, views: Sequence[StubView], member: Bools, case: Case) -> Shadows:
    """Shadow models as an attack meets them."""
    return Shadows(observe(attack, views, case), member)


def unlearned(
    originals: Sequence[nn.Module], method: Method, x: Floats, y: Ints, rows: dict[str, Ints], member: Bools
) -> list[nn.Module]:
    """Each network after ``method`` was asked to forget the rows of its coins."""
    candidates = np.concatenate([rows["forget"], rows["holdout"]])
    retain = Pair(torch.from_numpy(x[rows["retain"]]), torch.from_numpy(y[rows["retain"]]))
    return [
        method(model, Pair(torch.from_numpy(x[mine]), torch.from_numpy(y[mine])), retain, 1000 + k)
        for k, (model, mine) in enumerate(zip(originals, (candidates[c] for c in member), strict=True))
    ]


def auc_of(examples: Floats, n_forget: int) -> Floats:
    """AUC of forget against holdout rows, (J,)."""
    from attacks.scorers.pipelines import aucs

    inside = np.broadcast_to(np.arange(examples.shape[1]) < n_forget, examples.shape)
    return aucs(examples, inside)
