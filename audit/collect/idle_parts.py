"""Parts of a network that no retained row uses: their ablation changes no output on retain and test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from attacks.base import Bools
from audit.inputs.data import Arrays
from audit.inputs.targets import TorchTarget

from .partial import blocks, called, outputs

if TYPE_CHECKING:
    import torch

FROZEN = ConfigDict(frozen=True, extra="forbid")

CHANGE = 1e-5  # our choice: change of a logit that counts, relative to the spread of all
SLOPE = 1e-6  # our choice: gradient relative to the steepest, below which a part is tried
TRIED = 64  # parts that are ablated one by one at most

Tensors = dict[str, "torch.Tensor"]


class IdleParts(BaseModel):
    """Modules with weight matrices whose ablation changes no output on retain and test rows.

    Attributes:
        names: of the modules, as in the state; none that is idle in the original, too.
        entries: weights in them.
        forget, of_forget: forget rows whose output changes without them, of how many.
        holdout, of_holdout: the same of holdout rows.
    """

    model_config = FROZEN

    names: tuple[str, ...] = ()
    entries: int = 0
    forget: int = 0
    of_forget: int = 0
    holdout: int = 0
    of_holdout: int = 0


def idle_parts(network: TorchTarget, original: TorchTarget, sets: Mapping[str, Arrays]) -> IdleParts:
    """Find them, and the rows that they answer for.

    A module's tensors are zeroed. Candidates are those whose gradients vanish on retain and test rows; where the
    network bears no gradients, the first of all. They are zeroed together, and one by one where that changes an output.

    Args:
        network: to search.
        original: modules that have no gradients there either, under the same name, do not count.
        sets: forget, holdout, retain and test rows; a batch each.
    """
    before = cache(lambda role: outputs(network, {}, sets[role]))
    retained = [role for role in ("retain", "test") if role in sets]

    def changed(tensors: Tensors, role: str) -> Bools:
        limit = CHANGE * max(float(before(role).std()), 1e-12)
        return np.asarray(~(np.abs(outputs(network, tensors, sets[role]) - before(role)).max(axis=1) <= limit))

    def idle(names: Sequence[str]) -> bool:
        return not any(changed(_together(groups, names), role).any() for role in retained)

    groups = _groups(network)
    rows = [sets[role] for role in retained]
    names = _flat(network, groups, rows)
    if names:
        others = set(_flat(original, _groups(original), rows))
        names = [name for name in names if name not in others]
    if names and not idle(names):
        names = [name for name in names[:TRIED] if idle([name])]
    if not names:
        return IdleParts()
    tensors = _together(groups, names)
    found = {role: changed(tensors, role) for role in ("forget", "holdout") if role in sets}
    counts = {role: (int(rows.sum()), len(rows)) for role, rows in found.items()}
    forget, holdout = counts.get("forget", (0, 0)), counts.get("holdout", (0, 0))
    return IdleParts(
        names=tuple(name or "(the network itself)" for name in names),
        entries=sum(tensor.numel() for tensor in tensors.values()),
        forget=forget[0],
        of_forget=forget[1],
        holdout=holdout[0],
        of_holdout=holdout[1],
    )


def _together(groups: Mapping[str, Tensors], names: Sequence[str]) -> Tensors:
    return {key: tensor for name in names for key, tensor in groups[name].items()}


def _groups(network: TorchTarget) -> dict[str, Tensors]:
    """Tensors of each module that has a weight matrix of its own, zeroed."""
    import torch

    found: dict[str, Tensors] = {}
    for name, tensor in network.module.state_dict().items():
        if tensor.is_floating_point():
            found.setdefault(name.rpartition(".")[0], {})[name] = torch.zeros_like(tensor)
    return {name: tensors for name, tensors in found.items() if any(t.ndim >= 2 for t in tensors.values())}


def _flat(network: TorchTarget, groups: Mapping[str, Tensors], rows: Sequence[Arrays]) -> list[str]:
    """Modules whose gradients vanish on all rows; all modules where there are no gradients."""
    import torch

    state = network.module.state_dict()
    leaves = {
        name: state[name].detach().clone().requires_grad_(True) for tensors in groups.values() for name in tensors
    }
    steepest = dict.fromkeys(leaves, 0.0)
    try:
        for data in (part for one in rows for part in blocks(network, one)):
            with torch.enable_grad():
                logits = called(network, leaves, data)
                weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
                slopes = torch.autograd.grad((weights * logits).sum(), list(leaves.values()), allow_unused=True)
            for name, slope in zip(leaves, slopes, strict=True):
                if slope is not None:
                    steepest[name] = max(steepest[name], float(slope.abs().max()))
    except Exception:  # noqa: BLE001 - a network that bears no gradients is no error here
        return list(groups)
    limit = SLOPE * max(steepest.values(), default=0.0)
    return [name for name, tensors in groups.items() if all(steepest[t] <= limit for t in tensors)]
