"""Arrays that may be larger than memory: gathered block by block, in memory or in a temporary file that is mapped.

Up to ``LARGE`` bytes an array stays in memory. A larger one is written to a file without a name in the folder for
temporary files (``TMPDIR``), so that nobody else can change it, and mapped: the system keeps as much of it in memory as
there is room for. Each such array takes its size in temporary disk space.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, Any]
LARGE = 2**28  # bytes of one array in memory; our choice
BLOCK = 2**24  # bytes at once; our choice
MOST_TEXT = 2**30  # bytes of an array of text, which stays in memory; our choice
LONGEST_TEXT = 2**10  # characters of a name; our choice


class Gathered:
    """Rows of one array as they come, block by block.

    Args:
        name: of the array, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: list[Array] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._rows = 0
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None

    def add(self, block: Array) -> None:
        """Take the next rows, (b, ...).

        Raises:
            ValueError: their shape or type does not fit those before.
        """
        shape = block.shape[1:]
        if self._parts and shape != self._parts[0].shape[1:]:
            raise ValueError(
                f"{self.name} has rows of shape {self._parts[0].shape[1:]} and of {shape}: make them alike"
            )
        if self._file is not None:
            self._write(block)
            return
        self._parts.append(block)
        self._rows += len(block)
        self._bytes += block.nbytes
        if block.dtype.kind in "US":
            self._check_text(block)
            return
        if self._bytes > LARGE:
            self._spill()

    @property
    def width(self) -> int:
        """Columns of the rows so far; 0 where they are single values."""
        return self._parts[0].shape[1] if self._parts and self._parts[0].ndim > 1 else 0

    def array(self) -> Array:
        """All rows in order."""
        if self._file is None:
            if not self._parts:
                return np.empty((0,))
            return self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        shape, dtype = self._parts[0].shape[1:], self._parts[0].dtype
        self._file.flush()
        content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._file.close()
        return np.frombuffer(content, dtype).reshape((self._rows, *shape))

    def _check_text(self, block: Array) -> None:
        """Text of fixed width takes the width of the longest in every row."""
        width = max(part.dtype.itemsize for part in (self._parts[0], block))
        if width * self._rows > MOST_TEXT:
            raise ValueError(f"{self.name} holds a text of {width // 4} characters: use short names, or numbers")

    def _spill(self) -> None:
        self._rows = 0
        dtype = np.result_type(*self._parts)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until all rows are there
        parts, self._parts = self._parts, [np.empty((0, *self._parts[0].shape[1:]), dtype)]
        while parts:
            self._write(parts.pop(0))

    def _write(self, block: Array) -> None:
        assert self._file is not None
        dtype = self._parts[0].dtype
        if block.dtype != dtype and not np.can_cast(block.dtype, dtype, "safe"):
            raise ValueError(f"{self.name} is {dtype} at first and {block.dtype} in later rows: save one type")
        content = np.ascontiguousarray(block, dtype)
        try:
            self._file.write(content.reshape(-1).view(np.uint8).data if content.size else b"")
        except OSError as error:
            raise ValueError(
                f"{self.name} is larger than {LARGE >> 20} MiB and the folder for temporary files has no room for it "
                f"({os.strerror(error.errno or 0)}): name another one with TMPDIR"
            ) from None
        self._rows += len(block)


def text_array(values: list[str], name: str) -> Array:
    """Text of fixed width. Raises ValueError where one is so long that all rows would take its memory."""
    longest = max(map(len, values), default=0)
    if longest > LONGEST_TEXT:
        raise ValueError(
            f"{name} holds a text of {longest} characters: use names of at most {LONGEST_TEXT}, or numbers"
        )
    return np.array(values, dtype=str)


def gathered(blocks: Iterable[Array], name: str) -> Array:
    """One array of its blocks. Raises ValueError as ``Gathered.add``."""
    found = Gathered(name)
    for block in blocks:
        found.add(block)
    return found.array()


def steps(array: Array) -> Iterator[slice]:
    """Slices of rows, each of about ``BLOCK`` bytes."""
    row = max(1, math.prod(array.shape[1:]) * array.dtype.itemsize)
    size = max(1, BLOCK // row)
    for start in range(0, len(array), size):
        yield slice(start, min(start + size, len(array)))


def batches(rows: int, row: int, batch: int) -> Iterator[slice]:
    """Slices of whole batches, each of about a quarter of ``LARGE``; one where all is less.

    Args:
        rows: how many.
        row: bytes of one.
        batch: rows of one batch.
    """
    size = batch * max(1, LARGE // 4 // max(1, row * batch))
    for start in range(0, max(1, rows), size):
        yield slice(start, min(start + size, rows))


def pick(array: Array, index: Array) -> Array:
    """A copy of the rows ``index``, in that order; it may be larger than memory."""
    if len(index) * math.prod(array.shape[1:]) * array.dtype.itemsize <= LARGE:
        return np.asarray(array[index])
    size = max(1, BLOCK // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    return gathered((array[index[start : start + size]] for start in range(0, len(index), size)), "a set")
