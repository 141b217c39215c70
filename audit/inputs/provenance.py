"""Contaminated references: a null distribution is worth what its retrains are worth.

Networks trained from scratch with seeds of their own have weight tensors that are nearly orthogonal (measured on
digits: cosine below .1). A warm start from the original keeps .94 and more after five thousand steps, a common
initial seed .64. Copies that only compute the same function are found by `copies`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import Floats

from .targets import Target, TorchTarget

#: our choice, between what was measured for independent networks (.1) and for a common initial seed (.64)
KINSHIP = 0.4
#: our choice: logits of two honest retrains differ by far more than this (relative root mean square)
COPY_DISTANCE = 1e-3

State = Mapping[str, np.ndarray[Any, Any]]


def warm_starts(models: Mapping[str, Target], public_layers: Sequence[str]) -> list[str]:
    """Problems: references whose weights are kin to the original's, the unlearned model's or another reference's.

    Only for references declared as exact retrains. The median cosine over the weight matrices (two dimensions and
    more) that are neither public nor shared by every reference. Hidden units in another order escape it.
    """
    states = {name: model.state for name, model in models.items() if isinstance(model, TorchTarget)}
    names = [name for name in states if name.startswith("retrained/")]
    if not names:
        return []
    counted = [name for name in _matrices(states[names[0]]) if not _excused(name, states, names, public_layers)]
    problems = []
    for i, name in enumerate(names):
        kin: dict[str, float] = {
            other: _kinship(states[name], states[other], counted)
            for other in ("original", "unlearned")
            if other in states
        }
        kin |= {other: _kinship(states[name], states[other], counted) for other in names[:i]}
        close = {other: value for other, value in kin.items() if value > KINSHIP}
        if close:
            other, value = max(close.items(), key=lambda item: item[1])
            problems.append(
                f"{name} is no independent retrain: its weights are kin to those of {other} (cosine {value:.2f}, "
                f"independent networks stay below {KINSHIP}). Train it from scratch with a seed of its own; if all "
                "models start from weights that never saw the forget set, declare --provenance checkpoint"
            )
    return problems


def _matrices(state: State) -> list[str]:
    return [name for name, array in state.items() if array.ndim >= 2 and array.dtype.kind == "f"]


def _excused(name: str, states: Mapping[str, State], references: list[str], public_layers: Sequence[str]) -> bool:
    """Public by declaration, or bit for bit the same in every reference and in the original (a frozen backbone)."""
    if any(name == layer or name.startswith(f"{layer}.") for layer in public_layers):
        return True
    group = [states[other] for other in [*references, "original"] if other in states]
    first = group[0][name]
    return len(group) > 1 and all(name in s and np.array_equal(s[name], first) for s in group[1:])


def _kinship(a: State, b: State, names: list[str]) -> float:
    """Median cosine of the named tensors; 0 where the networks have no tensor in common."""
    cosines = []
    for name in names:
        if name in b and a[name].shape == b[name].shape:
            x, y = a[name].ravel().astype(np.float64), b[name].ravel().astype(np.float64)
            norm = float(np.linalg.norm(x) * np.linalg.norm(y))
            cosines.append(float(x @ y) / norm if norm > 0 else 0.0)
    return float(np.median(cosines)) if cosines else 0.0


def copies(logits: dict[str, Floats]) -> list[str]:
    """Problems: pairs among the models that compute the same function, where they must be independent: every
    reference from every other model, and every further unlearned run from the other runs.

    Args:
        logits: model name -> logits on the same rows, (n, C).
    """
    problems = []
    runs = [name for name in logits if name.startswith("unlearned/")]
    names = [name for name in logits if name.startswith("retrained/")]
    must = "a reference must be an independent retrain from scratch with a seed of its own; remove or retrain it"
    again = "a further unlearned run needs a seed of its own; remove it or run the procedure again"
    pairs = [
        (name, other, must) for i, name in enumerate(names) for other in ["original", "unlearned", *runs, *names[:i]]
    ]
    pairs += [(name, other, again) for i, name in enumerate(runs) for other in ["original", "unlearned", *runs[:i]]]
    for name, other, remedy in pairs:
        if other in logits and _distance(logits[name], logits[other]) < COPY_DISTANCE:
            problems.append(f"{name} computes the same function as {other}: {remedy}")
    return problems


def _distance(a: Floats, b: Floats) -> float:
    """Root mean square difference of centred logits, relative to their spread."""
    a, b = (z - z.mean(axis=1, keepdims=True) for z in (a, b))
    return float(np.sqrt(((a - b) ** 2).mean()) / max(float(a.std()), 1e-12))
