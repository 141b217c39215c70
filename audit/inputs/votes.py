"""Probabilities where a model gives nothing else: as logarithms, with the step in which they are given respected.

A forest of 100 trees says 1.00 of many rows. How sure it is of them nobody can tell, beyond "more than half a step", so
they are tied at what half a step would say. Rows that are tied so are counted (`saturated`), and a figure that would
come out otherwise if they were in another order is not decided (`audit.judge.tied`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from attacks.base import Bools, Floats, Ints

from .probabilities import MOST

SLACK = 1e-2  # of the sum of a row, in any precision
ROUNDED = 1e-3  # our choice: sums that are further off come of decimals
DECIMALS = range(1, 5)  # grids of 10^-1 to 10^-4; finer ones cost no attack its sight


def step_of(outputs: np.ndarray[Any, Any]) -> float:
    """The step in which probabilities (n, C) are given: their decimals, else the rounding of their type next to 1."""
    values = np.asarray(outputs, dtype=np.float64)
    for digits in DECIMALS:
        scaled = values * 10.0**digits
        if (np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(np.abs(scaled), 1.0)).mean() >= MOST:
            return float(10.0**-digits)
    return float(np.finfo(outputs.dtype).epsneg)


def as_logits(outputs: Floats, step: float) -> Floats:
    """Logits (n, C), C >= 2, of probabilities (n, C), or (n,) of the second of two classes.

    Half a step is spread over the other classes, so that the logit-scaled confidence of a class depends on its own
    probability alone, grows with it, and is finite: log((p + a) / (1 - p + (C - 1) a)) with a = step / (2 (C - 1)).

    Raises:
        ValueError: the outputs are no probabilities.
    """
    if outputs.shape[1] == 1:
        outputs = np.column_stack([1 - outputs, outputs])
    sums, half = outputs.sum(axis=1), step / 2
    most, least = np.maximum(outputs - half, 0).sum(axis=1), (outputs + half).sum(axis=1)
    if outputs.min() < -1e-6 or most.max() > 1 + SLACK or least.min() < 1 - SLACK:
        raise ValueError(
            "its outputs are no probabilities: rows must lie between 0 and 1 and sum to 1, but for their rounding "
            f"(steps of {step:.2g})"
        )
    whole = outputs / sums[:, None] if np.abs(sums - 1).max() <= ROUNDED else _summing_to_one(outputs)
    classes = outputs.shape[1]
    p, spread = np.clip(whole, 0.0, 1.0), _spread(step, classes)
    found = np.log(p + spread)
    near = p > 0.5  # next to 1 by the distance from it, which is the finer number
    found[near] = np.log1p(p[near] - 1 + spread)
    return np.asarray(found)


def _summing_to_one(outputs: Floats) -> Floats:
    """The nearest rows that sum to 1 (Duchi et al. 2008, algorithm 1): each value moves by about half a step.

    Divided by its sum, a row with .9 and nothing else would say more than one with 1 and .1.
    """
    ordered = -np.sort(-outputs, axis=1)
    over = (np.cumsum(ordered, axis=1) - 1) / np.arange(1, outputs.shape[1] + 1)
    last = (ordered > over).sum(axis=1) - 1
    return np.asarray(np.maximum(outputs - over[np.arange(len(outputs)), last][:, None], 0.0))


def saturated(logits: Floats, labels: Ints, step: float) -> Bools:
    """Rows (n,) whose own label has probability 0 or 1, as finely as it is given.

    Args:
        logits: (n, C), from ``as_logits``.
        labels: (n,).
        step: the one they were made with.
    """
    spread = _spread(step, logits.shape[1])
    own = logits[np.arange(len(labels)), labels]
    return np.asarray((own >= np.log1p(spread - step / 2)) | (own <= np.log(spread + step / 2)))


def _spread(step: float, classes: int) -> float:
    return max(step, float(np.finfo(np.float64).epsneg)) / (2 * max(classes - 1, 1))
