"""Privacy Meter: ``signals/<algorithm>_signals.npy`` (n, models), probabilities of the true answer.

Rows of one data set by one column a model; ``..._signals_pop.npy`` beside it holds rows of the population, which no
model was trained on. (For language models it is the geometric mean over tokens.)
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from attacks.base import Floats
from audit.inputs.archive import Unsound
from audit.inputs.formats.npy import npy_of

from .layout import Layout, Log, read_bytes
from .positions import add, positions_of

POPULATION = "pop"
SUFFIX = ".npy"


class PrivacyMeter(Layout):
    """One array for all models; a model is ``FILE#COLUMN``, sets are lists of rows."""

    global_ids = True
    name = "privacy-meter"
    words = "signals/<algorithm>_signals.npy#COLUMN (columns are models, from 0)"
    sets: ClassVar = {"forget": "", "retain": "", "holdout": POPULATION}
    meaning = (
        f"file that lists row numbers (.npy, .json, .txt, .csv), or {POPULATION}: the population's array beside it"
    )

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:  # noqa: ARG002
        """One column."""
        name, _, column = source.rpartition("#")
        if not name or not column.isdecimal():
            raise ValueError(f"{source} names no column: write FILE#COLUMN, the model's column counted from 0")
        log, path = Log(), Path(name)
        values = _column(path, int(column), log)
        listed = {role: given for role, given in names.items() if given != POPULATION}
        origin = "probability of the true answer, as it is"
        for role, index in positions_of(listed, {}, len(values), log).items():
            add(log, role, "p_target", values, index, "row", origin)
        for role in set(names) - set(listed):
            beside = path.with_name(f"{path.name.removesuffix(SUFFIX)}_pop{SUFFIX}")
            population = _column(beside, int(column), log)
            add(log, role, "p_target", population, np.arange(len(population)), "pop", f"{origin}, from _pop")
        return log


def _column(path: Path, column: int, log: Log) -> Floats:
    content = read_bytes(path, log)
    try:
        found = npy_of(io.BytesIO(content), len(content))
    except Unsound as error:
        raise ValueError(f"{path} {error}") from None
    if found.ndim != 2 or found.dtype.kind not in "fiu" or column >= found.shape[1]:
        raise ValueError(f"{path} is {found.dtype} {found.shape}: (rows, models) with a column {column} is expected")
    values = found[:, column].astype(np.float64)
    outside = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(outside):
        raise ValueError(f"{path}, row {outside[0]}: {values[outside[0]]} is no probability; compute the signals again")
    return values
