"""A data set in memory: inputs, labels, and whose rows they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Floats, Inputs, Ints
from audit.record.digest import keyed_digest

from .spool import LARGE, pick, steps

SHOWN_ROWS = 10  # positions in a message


@dataclass(frozen=True)
class Arrays:
    """A data set of n examples. Inputs that are larger than memory lie in a file that is mapped (`audit.inputs.spool`).

    Attributes:
        x: inputs, (n, ...) or a mapping of such arrays (keys ``x.<name>`` in the file); None where the models are
            precomputed outputs and no input is given.
        y: classes, (n,), int64; zeros where rows have none.
        ids: row identifiers (n,) or None.
        group: data subject of each row (n,) or None.
        request: deletion request of each row (n,) or None.
        targets: numbers or flags that rows are labelled with, (n, k); ``y`` is then zero. None where rows have classes.
    """

    x: Inputs | None
    y: Ints
    ids: np.ndarray[Any, Any] | None = None
    group: np.ndarray[Any, Any] | None = None
    request: np.ndarray[Any, Any] | None = None
    targets: Floats | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs."""
        parts = self.x.values() if isinstance(self.x, Mapping) else () if self.x is None else (self.x,)
        return sum(part.nbytes for part in parts)

    def batch(self, index: Ints) -> Inputs:
        """Inputs of the rows ``index``; raises ValueError where the set has none."""
        if self.x is None:
            raise ValueError("this data set has no inputs x")
        if isinstance(self.x, Mapping):
            return {name: pick(array, index) for name, array in self.x.items()}
        return pick(self.x, index)

    def take(self, index: Ints) -> Arrays:
        """The subset of rows ``index``, in that order. All rows of a set that is larger than memory are no copy."""
        if len(index) == len(self) and self.nbytes > LARGE and np.array_equal(index, np.arange(len(self))):
            return self
        x = None if self.x is None else self.batch(index)
        others = (None if a is None else a[index] for a in (self.ids, self.group, self.request, self.targets))
        return Arrays(x, self.y[index], *others)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """All arrays by their key in the file."""
        found: dict[str, np.ndarray[Any, Any]] = {"y": self.y}
        if isinstance(self.x, Mapping):
            found |= {f"x.{name}": array for name, array in self.x.items()}
        elif self.x is not None:
            found["x"] = self.x
        for key in ("ids", "group", "request", "targets"):
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
        return None if self.x is None else list(self.hashes())

    def hashes(self) -> Iterator[bytes]:
        """The same one by one, for a set of so many rows that their hashes fill the memory; nothing without inputs."""
        if self.x is None:
            return
        parts = dict(self.x) if isinstance(self.x, Mapping) else {"x": self.x}
        longest = max(parts.values(), key=lambda part: part[:1].nbytes)
        for rows in steps(longest):
            seen = [_as_seen(parts[name][rows]) for name in sorted(parts)]
            for i in range(rows.stop - rows.start):
                row = b"".join(content[i * width : (i + 1) * width] for content, width in seen)
                yield hashlib.sha256(row).digest()


def _as_seen(block: np.ndarray[Any, Any]) -> tuple[bytes, int]:
    """Rows behind each other in the type that a network gets, and the bytes of one; -0.0 is 0.0."""
    seen = block.astype(np.float32) + np.float32(0) if block.dtype.kind == "f" else block.astype(np.int64)
    return seen.tobytes(), seen[:1].nbytes


def positions(bad: np.ndarray[Any, Any]) -> str:
    """How many rows are bad, and the first of them by position, with the remedy.

    Args:
        bad: (n, ...), whether a value is.
    """
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1)).tolist()
    first = ", ".join(map(str, rows[:SHOWN_ROWS])) + (", ..." if len(rows) > SHOWN_ROWS else "")
    return f"{len(rows)} rows: repair or drop them (positions {first}, counted from 0)"


def layout(data: Arrays) -> str:
    """Names, shape and kind of the inputs of a row, in words."""
    parts = data.x if isinstance(data.x, Mapping) else {"x": data.x}
    return ", ".join(
        f"{name} {array.shape[1:]} {'floats' if array.dtype.kind == 'f' else 'integers'}"
        for name, array in sorted(parts.items())
        if array is not None
    )
