"""Files of lines that only grow: a line is appended whole or not at all, and what was interrupted is taken back."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CHUNK = 65536


@contextmanager
def open_lines(path: Path, *, mode: int, follow: bool = True) -> Iterator[int]:
    """The descriptor of a file of lines, for reading and appending; made with ``mode`` where it is missing.

    Args:
        path: the file.
        mode: of a new one.
        follow: it may be a symbolic link.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW, mode)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def append(path: Path, line: bytes, *, mode: int) -> None:
    """Append a line to a file of the run, which is made with ``mode`` where it is missing; no link is followed.

    Raises:
        OSError: it cannot be written, or is a link or no regular file.
    """
    with open_lines(path, mode=mode, follow=False) as descriptor:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        mend_end(descriptor)
        append_line(descriptor, line, sync=False)


def read_all(descriptor: int) -> bytes:
    """All bytes of an open file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = list(iter(lambda: os.read(descriptor, _CHUNK), b""))
    return b"".join(parts)


def append_line(descriptor: int, line: bytes, *, sync: bool) -> None:
    """Append a line; where that fails, take back what was written of it.

    Args:
        descriptor: of the file, which ends with a whole line (``mend_end``).
        line: without its end.
        sync: wait until the disk has it.

    Raises:
        OSError: the disk is full, or fails.
    """
    size = os.fstat(descriptor).st_size
    try:
        rest = memoryview(line + b"\n")
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):  # what then is left has no end of line, and is seen by that
            os.ftruncate(descriptor, size)
        raise


def mend_end(descriptor: int) -> None:
    """Take back a last line without its end: whoever wrote it was interrupted."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    end = size
    while end > 0:
        start = max(0, end - _CHUNK)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            os.ftruncate(descriptor, start + at + 1)
            return
        end = start
    os.ftruncate(descriptor, 0)
