"""Arrays on disk that are known to be ours: float32, memory-mapped, and sealed by the project key."""

from __future__ import annotations

import hashlib
import io
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audit.inputs.spool import steps
from audit.record.files import replacing
from audit.record.readonce import opened
from audit.record.seal import is_ours, put_seal

HELD = 128  # maps kept open: each holds a descriptor
Array = np.ndarray[Any, Any]


class Kept(Protocol):
    """Where arrays stay that are computed once."""

    def keep(self, path: Path, values: Array) -> Array | None:
        """Keep an array as float32; what ``mapped`` then gives."""

    def mapped(self, path: Path) -> Array | None:
        """An array that was kept, read-only, or None."""


class SealedArrays:
    """Keeps arrays on disk and maps them (implements ``Kept``).

    Args:
        key: the project key; arrays that it did not seal are none of ours.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._held: dict[Path, Array] = {}

    def keep(self, path: Path, values: Array) -> Array | None:
        """Keep an array as float32, and map it."""
        digest = hashlib.sha256()
        with replacing(path, private=True, durable=False) as stream:  # sealed: damage is noticed
            for block in _saved(values):
                stream.write(block)
                digest.update(block)
        put_seal(path, self._key, digest.hexdigest())
        self._held.pop(path, None)
        return self.mapped(path)

    def mapped(self, path: Path) -> Array | None:
        """A memory-mapped array of ours, or None where it is missing, damaged, or not what was sealed."""
        if path not in self._held:
            found = _map(path)
            if found is None or not is_ours(path, self._key, found[1]):
                return None
            if len(self._held) >= HELD:
                self._held.pop(next(iter(self._held)))
            self._held[path] = found[0]
        return self._held[path]


def finite(values: Array) -> bool:
    """No NaN and no infinity, looked at block by block."""
    return all(bool(np.isfinite(values[rows]).all()) for rows in steps(values))


def _saved(values: Array) -> Iterator[bytes]:
    """The bytes of an ``.npy`` file of float32, block by block: an array may be larger than memory."""
    head = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(head, shape)
    yield head.getvalue()
    for rows in steps(values):
        yield np.ascontiguousarray(values[rows], "<f4").tobytes()


def _map(path: Path) -> tuple[Array, str] | None:
    """The array of a ``.npy`` file of ours, memory-mapped, and the SHA-256 of the file, by one descriptor."""
    try:
        with opened(path) as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            np.lib.format.read_magic(stream)
            shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
            array = np.frombuffer(content, kind, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
            return array, hashlib.sha256(content).hexdigest()
    except (OSError, ValueError, EOFError):
        return None
