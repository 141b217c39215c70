"""What `audit inspect` says of a data file, a folder, an index list, or a function that returns a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .checks import check_keys, checked
from .formats.hf import is_saved
from .indices import SUFFIXES as INDEX_SUFFIXES
from .indices import read_indices
from .labels import plain
from .naming import listed, shown
from .options import DataOptions, hook_of
from .pictures import prepared
from .raw import Raw
from .seen import Seen
from .source import DATA_SUFFIXES, read_source

KINDS = {
    ".npz": "named arrays of NumPy (.npz)",
    ".npy": "one array of NumPy (.npy)",
    ".parquet": "table (parquet)",
    ".csv": "table (text)",
    ".tsv": "table (text)",
}
ROWS = 2**62  # no row number is out of the range of a set that is not known


def is_data(path: Path) -> bool:
    """Whether a path is to be looked at as data; what may be either is decided by its content."""
    if hook_of(path) is not None:
        return True
    if path.is_dir():
        return not (path / "config.json").is_file()
    return path.suffix.lower() in (*DATA_SUFFIXES, ".txt", ".json")


def inspect_data(path: Path, options: DataOptions) -> Seen:
    """What one source of data is to an audit.

    Args:
        path: a file, a folder, or ``package.module:function``.
        options: how it is read.
    """
    if path.suffix.lower() in INDEX_SUFFIXES and path.is_file():
        found = _index(path)
        if found is not None:
            return found
    try:
        raw = read_source(path, options, "it")
        check_keys(raw.arrays, str(path), need_inputs=True)
        raw = prepared(raw, options, str(path))
        checked(raw.arrays, np.zeros(len(raw.arrays["y"]), dtype=np.int64), str(path))
        return _set(path, raw)
    except ValueError as error:
        return Seen(_kind(path), problems=tuple(str(error).splitlines()))


def _kind(path: Path) -> str:
    if hook_of(path) is not None:
        return "function of yours that returns a data set"
    if path.is_dir():
        return "folder of save_to_disk" if is_saved(path) else "folder of pictures, a folder a class"
    return KINDS.get(path.suffix.lower(), "file")


def _set(path: Path, raw: Raw) -> Seen:
    y, note = plain(raw.arrays["y"], str(path))
    values, counts = np.unique(y, return_counts=True)
    names = [f"{shown(str(value))} ({count})" for value, count in zip(values.tolist(), counts.tolist(), strict=True)]
    inputs = [f"{key} {array.shape[1:]} {array.dtype}" for key, array in raw.arrays.items() if key.startswith("x")]
    facts = [f"{len(y)} rows", f"inputs of a row: {', '.join(inputs)}", f"{len(values)} labels: {listed(names)}"]
    facts += [f"{key}: one a row" for key in ("ids", "group", "request") if key in raw.arrays]
    uses = ["a set: --forget, --retain, --holdout or --test; or the one set of --data with --forget-index"]
    uses += [*raw.said, *([note] if note else [])]
    if y.dtype.kind == "U":
        uses.append("labels are names, numbered in sorted order over all sets; [data] classes names another order")
    elif values[0] == 1:
        uses.append("labels start at 1: they count from the first output where all sets and the models say so")
    x = raw.arrays.get("x")
    if x is not None and x.dtype == np.uint8 and x.ndim > 2:
        uses.append(
            "x holds bytes, as they are: --scale 255 divides them, --channels last turns (height, width, channels)"
        )
    if "group" in raw.arrays:
        uses.append("group: as the forget set it makes the claim one about data subjects")
    return Seen(_kind(path), tuple(facts), tuple(uses))


def _index(path: Path) -> Seen | None:
    """An index list, where the file is one; None where it is something else."""
    try:
        found, said = read_indices(path, ROWS, "it")
    except ValueError as error:
        if "is a mask of" in str(error):
            return Seen("mask, one boolean a row", uses=("--forget-index, --holdout-index, ... of --data",))
        return None if path.suffix.lower() in (*DATA_SUFFIXES, ".pt", ".pth") else _no_index(path, error)
    if len(found) > 1 or path.suffix.lower() != ".csv":
        facts = (f"{len(found)} row numbers, {found.min()} to {found.max()}", *said)
        return Seen("index list", facts, ("--forget-index, --retain-index, --holdout-index or --test-index of --data",))
    return None


def _no_index(path: Path, error: Exception) -> Seen:
    return Seen(f"file {shown(path.suffix)}", problems=(f"{path}: {error}",))
