"""Token log-probabilities that somebody computed: one ``.npz`` a model, rows of any length one after another.

Keys for each set: ``<set>.logprobs`` (tokens,), ``<set>.offsets`` (rows + 1,), where row i is ``offsets[i]`` to
``offsets[i + 1]``; optional ``<set>.mean`` and ``<set>.variance`` (tokens,) of log-probabilities over the vocabulary.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from audit.inputs.npz import npz_of

from .layout import Layout, Log, read_bytes
from .texts import FILES, Tokens, finite, read_texts, rows_of


class TokenFiles(Layout):
    """One file a model; sets are files of texts."""

    global_ids = True
    name = "tokens"
    words = "model.npz with <set>.logprobs (tokens,) and <set>.offsets (rows + 1,), optional .mean and .variance"
    sets: ClassVar = FILES
    meaning = "file of texts, a line each: id, text"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:
        """All sets."""
        log, path = Log(), Path(source)
        arrays = npz_of(io.BytesIO(read_bytes(path, log)), path)
        for role, name in names.items():
            texts = read_texts(Path(name), role, log, group_key)
            rows = _ragged(arrays, role, len(texts), str(path))
            log.sets[role] = rows_of(texts, [[row] for row in rows], None)
        return log


def _ragged(arrays: Mapping[str, np.ndarray[Any, Any]], role: str, count: int, where: str) -> list[Tokens]:
    absent = [key for key in (f"{role}.logprobs", f"{role}.offsets") if key not in arrays]
    if absent:
        raise ValueError(f"{where} has no {', '.join(absent)}: export the log-probabilities of that set")
    offsets = arrays[f"{role}.offsets"]
    if offsets.dtype.kind not in "iu" or offsets.shape != (count + 1,) or offsets[0] != 0:
        raise ValueError(f"{where}: {role}.offsets is {offsets.dtype} {offsets.shape}, from 0, for {count} rows: "
                         f"({count + 1},) integers are expected")  # fmt: skip
    empty = np.flatnonzero(np.diff(offsets.astype(np.int64)) <= 0)
    if len(empty):
        raise ValueError(f"{where}: {role}, row {empty[0]} has no tokens: leave it out of the texts and of all models")
    columns: dict[str, np.ndarray[Any, Any] | None] = {}
    for key in ("logprobs", "mean", "variance"):
        values = arrays.get(f"{role}.{key}")
        if values is not None and (values.shape != (int(offsets[-1]),) or values.dtype.kind != "f"):
            raise ValueError(
                f"{where}: {role}.{key} is {values.dtype} {values.shape}, not ({int(offsets[-1])},) floats"
            )
        if values is not None and not (np.isfinite(values).all() and (key != "variance" or (values >= 0).all())):
            raise ValueError(f"{where}: {role}.{key} has values that are not finite or below 0: export them again")
        columns[key] = values if values is None else values.astype(np.float64)
    found = []
    for i in range(count):
        part = slice(int(offsets[i]), int(offsets[i + 1]))
        logprobs, mean, variance = (None if c is None else c[part] for c in columns.values())
        assert logprobs is not None
        found.append(Tokens(finite(logprobs, f"{where}: {role}, row {i}"), mean, variance))
    return found
