"""The structural finding: layers that are bit for bit the original's (statistics.md 9.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from audit.inputs.targets import Target, TorchTarget

from .inside import Inside

State = Mapping[str, np.ndarray[Any, Any]]


class Structure(BaseModel):
    """What the weights say without any attack.

    Attributes:
        applies: both models are networks of the same structure.
        identical: every tensor (or every stored output) is the original's.
        encoder_identical: every tensor up to the penultimate features is the original's, except those that are
            public or shared by every reference; at least one such tensor exists.
        unchanged: tensors equal to the original's, not counting public and shared ones.
        counted: tensors that count.
        excused: tensors left out because they are public or shared by every reference.
        inside: what else stands in the unlearned network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    applies: bool = False
    identical: bool = False
    encoder_identical: bool = False
    unchanged: tuple[str, ...] = ()
    counted: int = 0
    excused: tuple[str, ...] = ()
    inside: Inside = Inside()


def compare(
    unlearned: Target, original: Target | None, references: Sequence[Target], public_layers: Sequence[str]
) -> Structure:
    """Compare the unlearned model with the original, tensor by tensor."""
    if original is None:
        return Structure()
    alike = _same_code(unlearned, original)
    identical = alike and unlearned.digest() == original.digest()
    if not isinstance(unlearned, TorchTarget) or not isinstance(original, TorchTarget):
        return Structure(identical=identical)
    mine, theirs = unlearned.state, original.state
    if mine.keys() != theirs.keys():
        return Structure(identical=identical)
    others = [reference.state for reference in references]
    # step counters (num_batches_tracked) say how long was trained, not what was learned
    names = [name for name in mine if mine[name].dtype.kind == "f"]
    same = {name for name in names if _equal(mine[name], theirs[name])}
    excused = {name for name in same if _public(name, public_layers) or _shared(name, theirs, others)}
    encoder = {name for name in names if name not in unlearned.head_parameters()} - excused
    return Structure(
        applies=True,
        identical=identical,
        encoder_identical=alike and bool(encoder) and encoder <= same,
        unchanged=tuple(sorted(same - excused)),
        counted=len(set(names) - excused),
        excused=tuple(sorted(excused)),
    )


def excused_names(original: Target | None, references: Sequence[Target], public_layers: Sequence[str]) -> list[str]:
    """Tensors of the original that are public, or bit for bit the same in every reference."""
    if not isinstance(original, TorchTarget):
        return []
    theirs, others = original.state, [reference.state for reference in references]
    return [name for name in theirs if _public(name, public_layers) or _shared(name, theirs, others)]


def _same_code(a: Target, b: Target) -> bool:
    """The same weights compute the same: both are built by one factory, or held by a program with one code."""
    if not isinstance(a, TorchTarget) or not isinstance(b, TorchTarget):
        return True
    code = (a.architecture, a.factory) == (b.architecture, b.factory)
    return code and not a.unnamed and not b.unnamed


def _equal(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _public(name: str, layers: Sequence[str]) -> bool:
    return any(name == layer or name.startswith(f"{layer}.") for layer in layers)


def _shared(name: str, original: State, references: Sequence[State]) -> bool:
    """Every reference has the same tensor: it cannot come from the forget set."""
    return bool(references) and all(name in r and _equal(r[name], original[name]) for r in references)
