"""Rows of tokens as data: whether they are any, which of their tokens are judged, and how much of each row that is.

Inputs have the names of Hugging Face: ``x.input_ids`` (n, t), ``x.attention_mask`` (n, t; 1 = a token, 0 = padding, at
the end of the row), ``x.labels`` (n, t; -100 = not judged, as a prompt or padding is, else the token again). ``x``
alone are tokens without padding that are judged from the second one on: the first has no probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks.base import Bools, Floats, Ints

from .data import Arrays, positions
from .spool import steps

IDS, MASK, LABELS = "input_ids", "attention_mask", "labels"
UNJUDGED = -100  # of Hugging Face
UNLIKE = 0.2  # our choice: difference of the judged shares of forget and holdout rows that is too much ...
ERRORS = 4.0  # ... where it is more than so many of its standard errors, too: our choice
RUN, PADDED = 3, 0.05  # our choice: tokens of a run that looks like padding, in so large a share of the rows


def named(x: Any) -> dict[str, Any]:
    """The parts of rows by name, arrays or tensors."""
    return dict(x) if isinstance(x, Mapping) else {IDS: x}


def judged_places(parts: Mapping[str, Any]) -> Any:
    """Where judged tokens stand, behind the first of each row: (b, t - 1) booleans, of arrays or of tensors."""
    if LABELS in parts:
        return parts[LABELS][:, 1:] != UNJUDGED
    return parts[MASK][:, 1:] != 0 if MASK in parts else parts[IDS][:, 1:] >= 0


def token_problems(files: Mapping[str, Arrays]) -> list[str]:
    """Problems: sets that are no rows of tokens, or are judged by other parts of a row; each with the remedy."""
    found = [(role, token_problem(data.x)) for role, data in files.items()]
    problems = [f"the {role} set: {problem}" for role, problem in found if problem]
    other = next((role for role in ("holdout", "test") if role in files), None)
    return problems or (_unlike(files["forget"], files[other], other) if other and "forget" in files else [])


def token_problem(x: Any) -> str:
    """Why inputs are no rows of tokens, with the remedy; "" where they are."""
    if x is None:
        return f"it has no tokens: save x.{IDS} (n, t), x.{MASK} and x.{LABELS}"
    parts = named(x)
    odd = sorted(parts.keys() - {IDS, MASK, LABELS})
    if odd or IDS not in parts:
        return f"inputs of tokens are x.{IDS}, x.{MASK} and x.{LABELS}, or x alone: rename {', '.join(odd) or 'them'}"
    ids = parts[IDS]
    if any(part.ndim != 2 or part.dtype.kind not in "iub" or part.shape != ids.shape for part in parts.values()):
        return f"x.{IDS}, x.{MASK} and x.{LABELS} must be integers of one shape (n, t): tokenise and pad the texts"
    if ids.shape[1] < 2:
        return "rows need two tokens or more: pad with any token, and say where in the mask"
    wrong = np.zeros((4, len(ids)), bool)
    for rows in steps(ids):
        wrong[:, rows] = _wrong({name: part[rows] for name, part in parts.items()})
    said = (
        "tokens are not numbered from 0 (pad with any token, and say where in the mask) in",
        f"x.{MASK} is no row of ones with zeros behind it (pad to the right) in",
        f"x.{LABELS} is not the token itself, or -100 where it is not judged, in",
        "no token behind the first is judged in",
    )
    for text, bad in zip(said, wrong, strict=True):
        if bad.any():
            return f"{text} {positions(bad)}"
    padded = _padded(ids) if len(parts) == 1 else 0
    if padded > max(1, PADDED * len(ids)):
        return (
            f"{padded} rows begin or end in {RUN} or more of one token, which looks like padding and would be judged: "
            f"save x.{IDS} with x.{MASK} (1 = a token, 0 = padding; all ones where there is none), or x.{LABELS}"
        )
    return ""


def judged_words(data: Arrays) -> str:
    """How many tokens of a row are judged."""
    counts = _judged(data.x)[0]
    return f"{counts.mean():.4g} on average, {counts.min()} at least"


def _wrong(parts: Mapping[str, Any]) -> list[Bools]:
    """Of a block of rows, (b,) each: what makes it no row of tokens, in the order of the messages."""
    ids = parts[IDS]
    mask = parts.get(MASK, np.ones_like(ids))
    holes = (mask != 0) & (mask != 1)
    holes[:, 1:] |= (mask[:, 1:] != 0) & (mask[:, :-1] == 0)
    unlike = np.zeros_like(holes)
    if LABELS in parts:
        unlike = (parts[LABELS] != UNJUDGED) & ((parts[LABELS] != ids) | (mask == 0))
    return [(ids < 0).any(1), holes.any(1), unlike.any(1), ~judged_places(parts).any(1)]


def _padded(ids: Ints) -> int:
    """Rows that begin, or that end, in a run of the token that most rows begin, or end, with."""
    if ids.shape[1] < RUN:
        return 0
    return max(_run(ids[:, :RUN], ids[:, 0]), _run(ids[:, -RUN:], ids[:, -1]))


def _run(edge: Ints, outer: Ints) -> int:
    """Rows whose tokens at an edge are all the commonest of the outer ones."""
    values, counts = np.unique(outer, return_counts=True)
    return int((edge == values[counts.argmax()]).all(axis=1).sum())


def _judged(x: Any) -> tuple[Ints, Floats]:
    """How many tokens of each row are judged, (n,), and their share of those that could be, in (0, 1]."""
    parts = named(x)
    counts, shares = [], []
    for rows in steps(parts[IDS]):
        block = {name: part[rows] for name, part in parts.items()}
        judged = judged_places(block).sum(axis=1)
        counts.append(judged)
        shares.append(judged / (block[MASK].sum(axis=1) - 1 if MASK in block else block[IDS].shape[1] - 1))
    return np.concatenate(counts), np.concatenate(shares)


def _unlike(forget: Arrays, holdout: Arrays, other: str) -> list[str]:
    """Forget rows that are judged by another part of themselves than holdout rows: their scores say something else."""
    mine, theirs = (_judged(data.x)[1] for data in (forget, holdout))
    error = float(np.sqrt(mine.var() / len(mine) + theirs.var() / len(theirs)))
    if abs(mine.mean() - theirs.mean()) <= max(UNLIKE, ERRORS * error):
        return []
    return [
        f"{mine.mean():.0%} of the tokens of forget rows are judged and {theirs.mean():.0%} of those of {other} rows "
        f"(more than {100 * UNLIKE:.0f} points and {ERRORS:.0f} standard errors apart): judge the same part of every "
        f"row (x.{LABELS})"
    ]
