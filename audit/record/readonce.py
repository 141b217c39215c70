"""Files read once, through one descriptor: what is hashed is what is parsed, whatever becomes of the file's name.

A name can be given to another file between two looks at it. So whoever must know what it read opens once, and hashes
and parses the same bytes. Only regular files are read: a pipe gives other bytes each time, or none and waits for ever.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def opened(path: Path, *, follow: bool = True) -> Iterator[IO[bytes]]:
    """A regular file, open for one reading; at the end it must be as it was at the beginning.

    A file that is renamed over stays open as it was. One that is written to meanwhile is refused.

    Args:
        path: the file.
        follow: it may be a symbolic link.

    Raises:
        OSError: it cannot be opened, is no regular file, or changed while it was read; ``strerror`` says so.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # a pipe must not wait
    descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb", closefd=True) as stream:
        before = os.fstat(descriptor)
        _check_regular(path, before.st_mode)
        yield stream
        if _state(os.fstat(descriptor)) != _state(before):
            changed = "it changed while it was read, try again once nothing writes to it"
            raise OSError(errno.EBUSY, changed, str(path))


def read_once(path: Path, most: int = -1, *, follow: bool = True) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file.
        most: read no more than this.
        follow: it may be a symbolic link.

    Raises:
        OSError: see ``opened``; also a file that is larger than the memory.
    """
    try:
        with opened(path, follow=follow) as stream:
            return stream.read(most)
    except MemoryError:
        raise OSError(errno.ENOMEM, "it is larger than the memory of this machine", str(path)) from None


def sha256_of(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = next((words for holds, words in KINDS if holds(mode)), "no file")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file", str(path))


def _state(found: os.stat_result) -> tuple[int, ...]:
    """What a write changes: times can be set back, but not that of the change itself."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
