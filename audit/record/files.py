"""Files written whole or not at all, and read back without pickle."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import secrets
import stat
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
def replacing(path: Path, *, private: bool = False, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of ``path`` when the block ends without an exception.

    Its name is random, it is made and never opened where something stands, and it is locked while it is written, so
    that ``sweep`` leaves it alone.

    Args:
        path: the file to replace; where it is a symbolic link, the link is replaced and not followed.
        private: readable by its owner only.
        durable: wait until it is on the disk. Not needed where a power cut may cost it, because whoever reads it
            notices damage and makes it again; a killed process loses nothing either way.

    Raises:
        CouldNotRun: the disk is full or the folder cannot be written.
    """
    temporary = None
    try:
        temporary, descriptor = temporary_file(path.parent, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
            temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def temporary_file(folder: Path, mode: int) -> tuple[Path, int]:
    """A new file that nobody else can have prepared, locked by this process."""
    while True:
        path = folder / f".audit-{secrets.token_hex(16)}.tmp"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with suppress(OSError):  # a file system without locks; nothing is swept there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # swept between the two calls


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder; what a living one writes is locked and stays."""
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if _TEMPORARY.fullmatch(path.name)]:
            with suppress(OSError):
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)


#: ours, and those of versions that named them after the file and the process
_TEMPORARY = re.compile(r"\.audit-[0-9a-f]{32}\.tmp|\..+\.[0-9]+\.tmp")


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace a file atomically."""
    with replacing(path, private=private) as stream:
        stream.write(content)


def write_output(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write where a person asked for it: a file atomically, a link's target and not the link; a device or a pipe is
    written through.

    Args:
        path: where.
        content: what.
        private: a file is readable by its owner only.

    Raises:
        CouldNotRun: it cannot be written, or is neither a file nor something to write through.
    """
    try:
        target = path.resolve()
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
        if stat.S_ISREG(mode):
            write_bytes(target, content, private=private)
        elif stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
            with path.open("wb", buffering=0) as stream:
                left = memoryview(content)
                while left:
                    left = left[stream.write(left) or 0 :]
        else:
            raise CouldNotRun(f"cannot write {path}: it is no file; name a file, a pipe or a device.")
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError) as error:
        raise CouldNotRun(
            f"cannot write {path} ({getattr(error, 'strerror', None) or error}): name a file in a writable folder."
        ) from error


def write_private(path: Path, content: bytes | memoryview, *, durable: bool = True) -> None:
    """Replace a file atomically that its owner alone can read; ``durable`` as in ``replacing``."""
    with replacing(path, private=True, durable=durable) as stream:
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
