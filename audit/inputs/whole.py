"""One data set and index lists: the sets of a case as rows of it. What no list names is retained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from attacks.base import Ints

from .indices import read_indices
from .raw import Raw


def divided(raw: Raw, indices: Mapping[str, Any]) -> tuple[dict[str, Raw], list[str]]:
    """The sets by role, and what was understood.

    Args:
        raw: the one data set.
        indices: by role, each a file or a list; ``forget`` among them.

    Raises:
        ValueError: a list means nothing, two of them share rows, or nothing is left to retain; one problem a line.
    """
    if "forget" not in indices:
        raise ValueError("--data is one set of which a list names the rows to be forgotten: add --forget-index FILE")
    rows = _rows(raw)
    found: dict[str, Ints] = {}
    said: list[str] = []
    problems: list[str] = []
    for role, source in indices.items():
        try:
            found[role], notes = read_indices(source, rows, f"--{role}-index")
            said += notes
        except ValueError as error:
            problems += str(error).splitlines()
    problems += _shared(found)
    if problems:
        raise ValueError("\n".join(problems))
    rest = np.setdiff1d(np.arange(rows), np.concatenate(list(found.values())))
    if "retain" not in found:
        if not len(rest):
            raise ValueError("the index lists name every row of --data, none is left to retain: name fewer")
        found["retain"] = rest
        said.append(f"{len(rest)} of {rows} rows stand in no index list: they are the retain set")
    elif len(rest):
        said.append(f"{len(rest)} of {rows} rows stand in no index list: they are left out")
    bare = replace(raw, said=())
    return {role: bare.take(index) for role, index in found.items()}, [*raw.said, *said]


def _rows(raw: Raw) -> int:
    counts = {key: len(array) if array.ndim else 0 for key, array in raw.arrays.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"--data has arrays of different length ({counts}): align them")
    return next(iter(counts.values()))


def _shared(found: Mapping[str, Ints]) -> list[str]:
    names = list(found)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return [
        f"--{a}-index and --{b}-index share {count} rows: name each row in one list"
        for a, b in pairs
        if (count := len(np.intersect1d(found[a], found[b])))
    ]
