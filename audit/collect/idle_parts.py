"""Parts of a network that no retained row uses: their ablation changes no output on retain and test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from attacks.base import Bools, Floats
from audit.inputs.data import Arrays
from audit.inputs.targets import TorchTarget

from .partial import called, outputs

if TYPE_CHECKING:
    import torch

FROZEN = ConfigDict(frozen=True, extra="forbid")

CHANGE = 1e-5  # our choice: change of a logit that counts, relative to the spread of all
SLOPE = 1e-6  # our choice: gradient relative to the steepest, below which a part is tried
TRIED = 64  # parts that are ablated at most where gradients cannot be had


class IdlePart(BaseModel):
    """One part.

    Attributes:
        name: of the module, as in the state.
        entries: weights in it.
        forget, of_forget: forget rows whose output its ablation changes, of how many.
        holdout, of_holdout: the same of holdout rows.
        also_original: a part of that name is idle in the original, too.
    """

    model_config = FROZEN

    name: str
    entries: int
    forget: int = 0
    of_forget: int = 0
    holdout: int = 0
    of_holdout: int = 0
    also_original: bool = False


def idle_parts(network: TorchTarget, original: TorchTarget, sets: Mapping[str, Arrays]) -> tuple[IdlePart, ...]:
    """Modules with weight matrices that are idle on retain and test rows, and what they answer for.

    A module's tensors are zeroed, all at once. Candidates are those whose gradients vanish on these rows; where the
    network bears no gradients, the first of all.

    Args:
        network: to search.
        original: whose idle parts are named as such.
        sets: forget, holdout, retain and test rows; a batch each.
    """
    found = _idle(network, sets)
    if not found:
        return ()
    others = set(_idle(original, sets))
    parts = []
    for name, tensors in found.items():
        changed = {role: _changed(network, tensors, sets[role]) for role in ("forget", "holdout") if role in sets}
        counts = {role: (int(rows.sum()), len(rows)) for role, rows in changed.items()}
        forget, holdout = counts.get("forget", (0, 0)), counts.get("holdout", (0, 0))
        entries = sum(tensor.numel() for tensor in tensors.values())
        parts.append(
            IdlePart(
                name=name or "(the network)",
                entries=entries,
                forget=forget[0],
                of_forget=forget[1],
                holdout=holdout[0],
                of_holdout=holdout[1],
                also_original=name in others,
            )
        )
    return tuple(parts)


def _idle(network: TorchTarget, sets: Mapping[str, Arrays]) -> dict[str, dict[str, torch.Tensor]]:
    """Zeroed tensors of each idle module by its name."""
    rows = [sets[role] for role in ("retain", "test") if role in sets]
    groups = _groups(network)
    try:
        candidates = _flat(network, groups, rows)
    except Exception:  # noqa: BLE001 - a network that bears no gradients is no error here
        candidates = list(groups)[:TRIED]
    return {
        name: groups[name] for name in candidates if not any(_changed(network, groups[name], d).any() for d in rows)
    }


def _groups(network: TorchTarget) -> dict[str, dict[str, torch.Tensor]]:
    """Tensors of each module that has a weight matrix of its own, zeroed."""
    import torch

    found: dict[str, dict[str, torch.Tensor]] = {}
    state = network.module.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            found.setdefault(name.rpartition(".")[0], {})[name] = torch.zeros_like(tensor)
    return {name: tensors for name, tensors in found.items() if any(t.ndim >= 2 for t in tensors.values())}


def _flat(
    network: TorchTarget, groups: Mapping[str, Mapping[str, torch.Tensor]], rows: list[Arrays]
) -> list[str]:
    """Modules whose gradients vanish on all rows."""
    import torch

    state = network.module.state_dict()
    leaves = {
        name: state[name].detach().clone().requires_grad_(True) for tensors in groups.values() for name in tensors
    }
    steepest = dict.fromkeys(leaves, 0.0)
    for data in rows:
        with torch.enable_grad():
            logits = called(network, leaves, data)
            weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
            slopes = torch.autograd.grad((weights * logits).sum(), list(leaves.values()), allow_unused=True)
        for name, slope in zip(leaves, slopes, strict=True):
            if slope is not None:
                steepest[name] = max(steepest[name], float(slope.abs().max()))
    limit = SLOPE * max(steepest.values(), default=0.0)
    return [name for name, tensors in groups.items() if all(steepest[t] <= limit for t in tensors)]


def _changed(network: TorchTarget, tensors: Mapping[str, torch.Tensor], data: Arrays) -> Bools:
    """(n,) rows whose logits another state changes."""
    before: Floats = outputs(network, {}, data)
    after = outputs(network, tensors, data)
    limit = CHANGE * max(float(before.std()), 1e-12)
    return ~(np.abs(after - before).max(axis=1) <= limit)
