"""What the attacks that change or repeat inputs share: chosen rows, the box of the inputs, passes in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from attacks.base import Case, Floats, Ints, NotApplicable, View

BOX_ROWS = 5000  # our choice: retain rows whose smallest and largest value make the box
DISCRETE = "needs one array of continuous inputs: a small change of discrete inputs has no meaning"
BLOCK = 512  # our choice: rows of one forward pass


def some_rows(count: int, limit: int, rng: np.random.Generator) -> Ints:
    """At most ``limit`` of ``count`` rows, sorted: the same for every model, whose generators are seeded alike."""
    return np.sort(rng.permutation(count)[:limit]).astype(np.int64)


def continuous(case: Case, role: str, rows: Ints) -> Floats:
    """Inputs of some rows, (m, ...).

    Raises:
        NotApplicable: named or discrete inputs.
    """
    x = case.sets[role].batch(rows)
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        raise NotApplicable(DISCRETE)
    return np.asarray(x, dtype=np.float64)


def box_of(case: Case) -> tuple[float, float]:
    """Smallest and largest input value over the first ``BOX_ROWS`` rows of the retain set.

    Raises:
        NotApplicable: all inputs are equal, or no floats.
    """
    x = continuous(case, "retain", np.arange(min(len(case.labels["retain"]), BOX_ROWS)))
    low, high = float(x.min()), float(x.max())
    if not high > low:
        raise NotApplicable("all inputs are equal")
    return low, high


def passed(view: View, call: Callable[[Any], Any], case: Case, role: str, rows: Ints | None = None) -> Floats:
    """What a changed network answers on a set, in blocks of ``block`` rows, without gradients.

    Args:
        view: the model, for the type and the device of its tensors.
        call: tensor (or mapping of tensors) of a batch -> logits (b, C).
        case: the case.
        role: of the set.
        rows: of the set; None = all.

    Returns:
        logits (m, C), float64. They may not be finite: the caller decides what that means.
    """
    import torch

    rows = np.arange(len(case.labels[role])) if rows is None else rows
    with torch.no_grad():
        return np.concatenate([call(x).cpu().double().numpy() for x in batches(view, case, role, rows, block(case))])


def batches(view: View, case: Case, role: str, rows: Ints, size: int = BLOCK) -> Iterator[Any]:
    """Inputs of some rows as tensors, block by block.

    BatchNorm statistics are means over blocks of ``BLOCK`` rows, whatever the user's batch size: others would be other
    statistics.
    """
    for start in range(0, len(rows), size):
        yield _tensors(view, case.sets[role].batch(rows[start : start + size]))


def block(case: Case, most: int = BLOCK) -> int:
    """Rows of one pass: at most ``most``, and no more than the user's batch size."""
    return min(most, case.batch)


def _tensors(view: View, x: Any) -> Any:
    if isinstance(x, Mapping):
        return {name: view.tensor(part) for name, part in x.items()}
    return view.tensor(x)
