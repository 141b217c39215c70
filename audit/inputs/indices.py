"""Index lists: which rows of one data set are forgotten, held out, or kept. Read without running anything."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Ints
from audit.record.readonce import read_once, sha256_of

from .archive import Unsound, check_weights
from .formats.npy import npy_of
from .naming import check_name, shown

SUFFIXES = (".npy", ".json", ".txt", ".csv", ".pt", ".pth")
LONGEST = 2**30  # bytes of an index file; our choice
NAMES = ("index", "indices", "idx", "id")  # a column of that name among several


def read_indices(source: object, rows: int, where: str) -> tuple[Ints, list[str]]:
    """Positions in a data set, counted from 0, in the order of the list, and what was understood.

    Args:
        source: a file (``SUFFIXES``), or a list or array: positions, or one boolean a row.
        rows: of the data set.
        where: name of the list, for messages.

    Raises:
        ValueError: with the remedy.
    """
    if isinstance(source, Path):
        return read_index_file(source, rows, where)[:2]
    return positions_of(_from_object(source, where), rows, where)


def read_index_file(path: Path, rows: int, where: str) -> tuple[Ints, list[str], str]:
    """As ``read_indices`` of a file, and the SHA-256 of the bytes that were read."""
    values, digest = _from_file(path, where)
    return *positions_of(values, rows, where), digest


def positions_of(values: np.ndarray[Any, Any], rows: int, where: str) -> tuple[Ints, list[str]]:
    """What an array of indices or a mask means. Raises ValueError where it means nothing, or two things."""
    said: list[str] = []
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise ValueError(f"{where} is {values.dtype} of shape {values.shape}: give row numbers, or one boolean a row")
    if len(values) == 0:
        raise ValueError(f"{where} is empty: give at least one row number")
    if values.dtype.kind == "b":
        if len(values) != rows:
            raise ValueError(f"{where} is a mask of {len(values)} rows, the data set has {rows}: make one for this set")
        chosen = np.flatnonzero(values)
        if not len(chosen):
            raise ValueError(f"{where} is a mask that chooses no row: give one that chooses some")
        return chosen, [f"{where} is a mask: {len(chosen)} of {rows} rows"]
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.round(values)).all()):
            raise ValueError(f"{where} holds numbers that are no whole ones: give row numbers")
        said.append(f"{where} holds whole floats, taken as row numbers")
    if len(values) == rows > 2 and np.isin(values, (0, 1)).all():
        raise ValueError(f"{where} has 0 or 1 for each row, a mask or row numbers: save a mask as booleans")
    low, high = values.min(), values.max()
    if low < 0:
        raise ValueError(f"{where} holds negative numbers (first: {low:.0f}), which count from the end or mark "
                         "nothing: give row numbers from 0")  # fmt: skip
    if high >= rows:
        hint = "; if they count from 1, subtract 1" if high == rows and low >= 1 else ""
        raise ValueError(f"{where} names row {high:.0f}, the data set has rows 0 to {rows - 1}: give those of "
                         f"this set{hint}")  # fmt: skip
    found = values.astype(np.int64)
    _, first = np.unique(found, return_index=True)
    if len(first) < len(found):
        said.append(f"{where} names {len(found) - len(first)} rows again: each counts once")
        found = found[np.sort(first)]
    return found, said


def _from_object(source: object, where: str) -> np.ndarray[Any, Any]:
    from .npz import array_of

    return array_of(list(source) if isinstance(source, (set, frozenset, range)) else source, where)


def _from_file(path: Path, where: str) -> tuple[np.ndarray[Any, Any], str]:
    check_name(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{where}: {shown(str(path))} is no index file: save the row numbers as .npy, .json, .txt or .csv (a "
            "pickle would run code)"
        )
    try:
        content = read_once(path, LONGEST + 1)
    except FileNotFoundError:
        raise ValueError(f"{where}: {path} does not exist: check the path") from None
    except OSError as error:
        raise ValueError(f"{where}: {path} cannot be read ({error.strerror}): give a readable file") from None
    if len(content) > LONGEST:
        raise ValueError(f"{where}: {path} is larger than {LONGEST >> 20} MiB: give row numbers alone")
    try:
        return _READERS[suffix](content), sha256_of(content)
    except Unsound as error:
        raise ValueError(f"{where}: {path} {error}") from None
    except (ValueError, RecursionError, OverflowError, UnicodeDecodeError) as error:
        text = (str(error).splitlines() or [""])[0][:200]
        raise ValueError(f"{where}: {path} holds no list of row numbers ({shown(text)}): save plain numbers") from None


def _npy(content: bytes) -> np.ndarray[Any, Any]:
    return npy_of(io.BytesIO(content), len(content))


def _json(content: bytes) -> np.ndarray[Any, Any]:
    found = json.loads(content)
    if isinstance(found, dict) and len(found) == 1:
        (found,) = found.values()
    if not isinstance(found, list):
        raise ValueError("the document is no list")
    kinds = {type(item) for item in found}
    if not kinds <= {int, float} and kinds != {bool}:
        raise ValueError("the list holds more than numbers")
    return np.array(found)


def _text(content: bytes) -> np.ndarray[Any, Any]:
    lines = (line.partition("#")[0] for line in content.decode("utf-8-sig").splitlines())
    return np.array([int(word) for line in lines for word in line.replace(",", " ").split()], dtype=np.int64)


def _csv(content: bytes) -> np.ndarray[Any, Any]:
    rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if row]
    header = rows[0] if rows and not rows[0][-1].strip().lstrip("-").isdigit() else None
    column = 0
    if header is not None:
        rows = rows[1:]
        names = [i for i, name in enumerate(header) if name.strip().lower() in NAMES]
        if len(header) > 1 and len(names) != 1:
            raise ValueError("several columns: name that of the row numbers index")
        column = names[0] if names else 0
    elif rows and len(rows[0]) > 1:
        if len(rows) > 1:
            raise ValueError("several columns without a header: name that of the row numbers index")
        rows = [[value] for value in rows[0]]
    return np.array([int(row[column]) for row in rows], dtype=np.int64)


def _torch(content: bytes) -> np.ndarray[Any, Any]:
    import pickle

    import torch

    check_weights(content)
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, TypeError, KeyError):
        raise Unsound(
            "is no plain tensor but a pickled object (a Subset or a loader, perhaps), and loading it would run code "
            "from the file: save the row numbers with numpy.save"
        ) from None
    if isinstance(found, torch.Tensor):
        return found.numpy()
    if not isinstance(found, (list, tuple)) or not all(type(item) in (int, bool) for item in found):
        raise ValueError("it holds no tensor and no list of numbers")
    return np.array(found)


_READERS = {".npy": _npy, ".json": _json, ".txt": _text, ".csv": _csv, ".pt": _torch, ".pth": _torch}
