"""Data sets: ``.npz`` files read without pickle, in memory."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Inputs, Ints
from audit.record.digest import keyed_digest

KEYS = ("y", "ids", "group", "request")
MAX_ITEM = 8  # bytes: extended floats have no canonical encoding


@dataclass(frozen=True)
class Arrays:
    """An in-memory data set of n examples.

    Attributes:
        x: inputs, (n, ...) or a mapping of such arrays (keys ``x.<name>`` in the file); None where the models are
            precomputed outputs and no input is given.
        y: labels, (n,), int64.
        ids: row identifiers (n,) or None.
        group: data subject of each row (n,) or None.
        request: deletion request of each row (n,) or None.
    """

    x: Inputs | None
    y: Ints
    ids: np.ndarray[Any, Any] | None = None
    group: np.ndarray[Any, Any] | None = None
    request: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, index: Ints) -> Inputs:
        """Inputs of the rows ``index``; raises ValueError where the set has none."""
        if self.x is None:
            raise ValueError("this data set has no inputs x")
        if isinstance(self.x, Mapping):
            return {name: array[index] for name, array in self.x.items()}
        return self.x[index]

    def take(self, index: Ints) -> Arrays:
        """The subset of rows ``index``, in that order."""
        x = None if self.x is None else self.batch(index)
        ids, group, request = (None if a is None else a[index] for a in (self.ids, self.group, self.request))
        return Arrays(x, self.y[index], ids, group, request)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """All arrays by their key in the file."""
        found: dict[str, np.ndarray[Any, Any]] = {"y": self.y}
        if isinstance(self.x, Mapping):
            found |= {f"x.{name}": array for name, array in self.x.items()}
        elif self.x is not None:
            found["x"] = self.x
        for key in ("ids", "group", "request"):
            value = getattr(self, key)
            if value is not None:
                found[key] = value
        return found

    def fingerprint(self, key: bytes) -> str:
        """HMAC-SHA256 of the content under ``key``: personal data is never bound by a bare hash."""
        return keyed_digest(key, self.arrays())

    def row_hashes(self) -> list[bytes] | None:
        """Content hash of each row's inputs as a network gets them, to find duplicates in memory; None without inputs.

        The same picture saved as float64 in one set and float32 in another is the same row.
        """
        if self.x is None:
            return None
        parts = dict(self.x) if isinstance(self.x, Mapping) else {"x": self.x}
        digests = [hashlib.sha256() for _ in range(len(self))]
        for name in sorted(parts):
            part = parts[name]
            seen = part.astype(np.float32) + np.float32(0) if part.dtype.kind == "f" else part.astype(np.int64)
            array = np.ascontiguousarray(seen)  # + 0 turned -0.0 into 0.0
            for digest, row in zip(digests, array, strict=True):
                digest.update(row.tobytes())
        return [digest.digest() for digest in digests]


def read_npz(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an ``.npz`` file, object arrays refused.

    Raises:
        ValueError: with a message that ends in the remedy.
    """
    try:
        with path.open("rb") as stream:  # np.load leaves a damaged file open
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds one bare array: save named arrays with numpy.savez")
            found = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except ValueError as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path} holds object arrays, which are pickles and are never loaded: convert them to numbers or "
                "fixed-width strings"
            ) from None
        if "allow_pickle" in str(error):  # numpy takes whatever it does not know for a pickle
            raise ValueError(f"{path} is no .npz file: save named arrays with numpy.savez") from None
        raise ValueError(f"{path}: {error}") from None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is no readable .npz file ({error}): save it again with numpy.savez") from None
    foreign = [key for key, value in found.items() if not isinstance(value, np.ndarray)]
    if foreign:
        raise ValueError(f"{path} holds {', '.join(foreign)}, which are no arrays: save it again with numpy.savez")
    return found


def read_data(path: Path, *, need_inputs: bool) -> Arrays:
    """Read one data set: ``x`` (or ``x.<name>``), ``y``, optional ``ids``, ``group``, ``request``.

    Raises:
        ValueError: with every problem of this file, each with its remedy, one a line.
    """
    found = read_npz(path)
    inputs: Inputs | None = found.get("x")
    named = {key[2:]: value for key, value in found.items() if key.startswith("x.")}
    if inputs is None and named:
        inputs = named
    problems = [
        f"{path} has an unknown key {key!r}: use x (or x.<name>), y, ids, group, request"
        for key in found
        if key not in ("x", *KEYS) and not key.startswith("x.")
    ]
    if "x" in found and named:
        problems.append(f"{path} has both x and x.<name>: keep one form")
    if inputs is None and need_inputs:
        problems.append(f"{path} has no inputs: add the key x")
    if "y" not in found:
        problems.append(f"{path} has no labels: add the key y")
    if problems:
        raise ValueError("\n".join(problems))
    data = Arrays(inputs, found["y"], found.get("ids"), found.get("group"), found.get("request"))
    problems = _content_problems(path, data)
    if problems:
        raise ValueError("\n".join(problems))
    return Arrays(data.x, data.y.astype(np.int64), _text(data.ids), _text(data.group), _text(data.request))


def _text(values: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any] | None:
    """Byte strings as text, so that the same name is the same in every set."""
    return values if values is None or values.dtype.kind != "S" else np.char.decode(values, "utf-8", "replace")


def _finite(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether each value is finite as the float32 that a network gets."""
    with np.errstate(over="ignore"):
        return np.asarray(np.isfinite(array.astype(np.float32)))


def _content_problems(path: Path, data: Arrays) -> list[str]:
    problems = []
    if data.y.ndim != 1 or data.y.dtype.kind not in "iu":
        problems.append(
            f"{path}: y must be integer class labels of shape (n,), got {data.y.dtype} {data.y.shape}: convert it"
        )
        return problems
    if len(data.y) == 0:
        problems.append(f"{path} is empty: give at least one row")
        return problems
    for key, array in data.arrays().items():
        if array.shape[:1] != (len(data.y),):
            problems.append(f"{path}: {key} has shape {array.shape}, y has {len(data.y)} rows: align them")
        elif array.dtype.kind == "O":
            problems.append(f"{path}: {key} is an object array: convert it to numbers or fixed-width strings")
        elif key in ("ids", "group", "request") and (array.ndim != 1 or array.dtype.kind not in "biufSU"):
            problems.append(
                f"{path}: {key} must be one number or string a row, got {array.dtype} {array.shape}: convert it"
            )
        elif key.startswith("x") and (array.dtype.kind not in "fiub" or array.dtype.itemsize > MAX_ITEM):
            problems.append(f"{path}: {key} has dtype {array.dtype}: save numbers of at most 64 bits")
        elif key.startswith("x") and array.size == 0:
            problems.append(f"{path}: {key} has shape {array.shape}, no value at all: give inputs")
        elif array.dtype.kind == "f" and not _finite(array).all():
            rows = int((~_finite(array).reshape(len(array), -1).all(axis=1)).sum())
            problems.append(f"{path}: {key} holds NaN or infinite values in {rows} rows: repair or drop them")
    return problems
