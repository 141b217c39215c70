"""Files written whole or not at all, and read back without pickle."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from audit.errors import CouldNotRun


def unwritable(path: Path, error: OSError) -> CouldNotRun:
    """What to raise where a file cannot be written."""
    reason = error.strerror or f"incomplete, {error}"  # numpy counts what it could write
    return CouldNotRun(f"cannot write {path} ({reason}): free space or choose another folder.")


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of ``path`` when the block ends without an exception.

    Raises:
        CouldNotRun: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    mode = 0o600 if private else 0o666
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    with replacing(path) as stream:
        stream.write(content)


def save_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Replace a private ``.npy`` file atomically."""
    with replacing(path, private=True) as stream:
        np.save(stream, array, allow_pickle=False)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Replace a private ``.npz`` file atomically."""
    with replacing(path, private=True) as stream:
        np.savez(stream, **dict(arrays))  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]] | None:
    """Arrays of a ``.npz`` file of ours, or None where it is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
