"""Files written whole or not at all, and read back without pickle."""

from __future__ import annotations

import hashlib
import io
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


def write_private(path: Path, content: bytes | memoryview) -> None:
    """Replace a file atomically that its owner alone can read."""
    with replacing(path, private=True) as stream:
        stream.write(content)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Replace a private ``.npz`` file atomically; return the SHA-256 of what was written, not of what lies there."""
    content = io.BytesIO()
    np.savez(content, **dict(arrays))  # type: ignore[arg-type]
    with replacing(path, private=True) as stream:
        stream.write(content.getbuffer())
    return hashlib.sha256(content.getbuffer()).hexdigest()


def read_arrays(content: bytes) -> dict[str, np.ndarray[Any, Any]] | None:
    """Arrays of the bytes of a ``.npz`` file of ours, or None where they are damaged."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
