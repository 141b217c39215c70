"""What `audit inspect` says of a data file, a folder, an index list, or a function that returns a data set."""

from __future__ import annotations

from pathlib import Path

from .formats.hf import is_saved
from .indices import SUFFIXES as INDEX_SUFFIXES
from .indices import read_indices
from .inspect_rows import inspect_rows
from .naming import shown
from .options import DataOptions, hook_of
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


def inspect_data(path: Path, options: DataOptions, task: str = "") -> Seen:
    """What one source of data is to an audit.

    Args:
        path: a file, a folder, or ``package.module:function``.
        options: how it is read.
        task: what was declared; "" = what the labels say.
    """
    if path.suffix.lower() in INDEX_SUFFIXES and path.is_file():
        found = _index(path)
        if found is not None:
            return found
    try:
        facts, uses = inspect_rows(read_source(path, options, "it"), options, task, str(path))
        return Seen(_kind(path), tuple(facts), tuple(uses))
    except ValueError as error:
        return Seen(_kind(path), problems=tuple(str(error).splitlines()))


def _kind(path: Path) -> str:
    if hook_of(path) is not None:
        return "function of yours that returns a data set"
    if path.is_dir():
        return "folder of save_to_disk" if is_saved(path) else "folder of pictures, a folder a class"
    return KINDS.get(path.suffix.lower(), "file")


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
