"""Sets of logs that are arrays over one data set: index lists name their rows, by position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from attacks.base import Floats, Ints
from audit.inputs.indices import read_index_file

from .layout import Log, Rows, number

LEFT_OUT = "stand in several sets: every row belongs to one"


def positions_of(names: Mapping[str, str], known: Mapping[str, Ints], rows: int, log: Log) -> dict[str, Ints]:
    """The positions of each set.

    Args:
        names: by set, a word of ``known`` or the file of a list (``.npy``, ``.json``, ``.txt``, ``.csv``).
        known: what the log itself tells, by word; rows that a list names are taken out of it.
        rows: how many there are.
        log: what was understood is said there; it keeps the digest of each list.

    Raises:
        ValueError: a list cannot be read, names rows that are not there, or rows stand in two sets.
    """
    found: dict[str, Ints] = {}
    for role, name in names.items():
        if name not in known:
            found[role], said, digest = read_index_file(Path(name), rows, f"--set {role}")
            log.keep(f"{role}/{Path(name).name}", digest)
            log.said += said
    listed = np.concatenate([np.zeros(0, dtype=np.int64), *found.values()])
    if len(np.unique(listed)) < len(listed):
        raise ValueError(f"{len(listed) - len(np.unique(listed))} rows {LEFT_OUT}; correct the lists")
    for role, name in names.items():
        if name in known:
            found[role] = np.setdiff1d(known[name], listed)
    return found


def add(log: Log, role: str, signal: str, values: Floats, index: Ints, prefix: str, origin: str) -> None:
    """Values (n,) at some positions as rows of a set, under ids that name the positions."""
    rows = log.sets.setdefault(role, Rows())
    column = {f"{prefix}{i}": number(float(values[i]), f"{prefix}{i} of {signal}") for i in index.tolist()}
    rows.add(signal, column, origin)
