"""Rows as lists of numbers, as a table of keys may hold them: the inputs, and what every layer gets and gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from attacks.base import Floats
from audit.inputs.data import Arrays
from audit.inputs.targets import TorchTarget

Array = np.ndarray[Any, Any]

WIDTHS = (8, 16_384)  # our choice: fewer numbers agree by chance, and no table of more is looked for
ROWS = 5000  # retain rows that give the centre and the spread of the inputs
INPUT = "input"  # how a form of the rows themselves is called


@dataclass(frozen=True, eq=False)
class Form:
    """Forget rows (n, width) and holdout rows (m, width) in one form; retain rows on request, where they have it."""

    seen_as: str
    forget: Floats
    holdout: Floats
    retain: Callable[[], Floats] | None = None


def forms(
    network: TorchTarget, sides: Sequence[Arrays], retain: Arrays | None, fits: Callable[[int], bool]
) -> Iterator[Form]:
    """All forms that some tensor could hold.

    Args:
        network: whose layers are asked; not those of rows of tokens, which no attack reads either.
        sides: forget and holdout rows.
        retain: retain rows; they give the centre and the spread of each input.
        fits: is there a tensor with rows of so many numbers?
    """
    for key in parts(sides[0]):
        forget, holdout = (flat(parts(side)[key], len(side)) for side in sides)
        if forget is not None and holdout is not None and fits(forget.shape[1]):
            label = INPUT if key == "x" else f"{INPUT} {key}"
            yield from _moved(label, forget, holdout, None if retain is None else parts(retain)[key])
    if network.reader is not None or not _layers(network, sides[0].take(np.arange(1)), fits):
        return
    seen = [_layers(network, side, fits) for side in sides]
    for key, rows in seen[0].items():
        if key in seen[1]:
            yield Form(key, rows, seen[1][key])


def _moved(label: str, forget: Floats, holdout: Floats, retain: Array | None) -> Iterator[Form]:
    """Inputs as they are, less the mean of each number, and in units of its spread as well."""
    if retain is None:
        yield Form(label, forget, holdout)
        return
    rows = retain.reshape(len(retain), -1)
    some = rows[:ROWS].astype(np.float64)
    centre, spread = some.mean(axis=0), some.std(axis=0)
    yield Form(label, forget, holdout, lambda: rows)
    for what, by in (("centred", np.ones_like(spread)), ("standardised", np.where(spread > 0, spread, 1.0))):
        moved = [(side - centre) / by for side in (forget, holdout)]
        yield Form(f"{label}, {what}", moved[0], moved[1], partial(_shifted, rows, centre, by))


def _shifted(rows: Array, centre: Floats, by: Floats) -> Floats:
    return np.asarray((rows - centre) / by)


def parts(data: Arrays) -> Mapping[str, Array]:
    """Arrays of inputs by name; one without a name is ``x``."""
    if data.x is None:
        return {}
    return data.x if isinstance(data.x, Mapping) else {"x": data.x}


def flat(array: Array, rows: int) -> Floats | None:
    """(rows, width) numbers; None for other things, and for widths that are not looked for."""
    if array.dtype.kind not in "iuf" or array.ndim < 2 or len(array) != rows:
        return None
    if not WIDTHS[0] <= math.prod(array.shape[1:]) <= WIDTHS[1]:
        return None
    found = np.asarray(array, dtype=np.float64).reshape(rows, -1)
    return found if np.isfinite(found).all() else None


def _layers(network: TorchTarget, data: Arrays, fits: Callable[[int], bool]) -> dict[str, Floats]:
    """What every layer without layers inside gets and gives."""
    import torch

    caught: dict[str, Floats] = {}

    def keep(label: str, value: object) -> None:
        if isinstance(value, torch.Tensor) and value.ndim > 1 and fits(value[0].numel() if len(value) else 0):
            form = flat(value.detach().float().cpu().numpy(), len(data))
            if form is not None:
                caught.setdefault(label, form)

    def hook_of(name: str) -> Any:
        def hook(_module: object, given: tuple[object, ...], out: object) -> None:
            keep(f"the input of {name}", given[0] if given else None)
            keep(f"the output of {name}", out)

        return hook

    leaves = [(name, part) for name, part in network.module.named_modules() if next(part.children(), None) is None]
    handles = [part.register_forward_hook(hook_of(name)) for name, part in leaves]
    try:
        network.call(data.batch(np.arange(len(data))))
    finally:
        for handle in handles:
            handle.remove()
    return caught
