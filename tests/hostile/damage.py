"""Damage that fits every format: bytes cut, flipped, zeroed, doubled or moved, and other things in a file's place."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

TERABYTE = 2**40


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3, 20))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def zeroed(content: bytes, chance: random.Random) -> bytes:
    start, length = chance.randrange(len(content)), chance.choice((1, 8, 64, 4096))
    return content[:start] + bytes(len(content[start : start + length])) + content[start + length :]


def doubled(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:]


def dropped(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[end:]


def inserted(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.randbytes(chance.choice((1, 4, 16, 512))) + content[at:]


def begun(content: bytes, chance: random.Random) -> bytes:
    """The beginning is garbage: the numbers that say how long everything is."""
    length = chance.randrange(1, 65)
    return chance.randbytes(length) + content[length:]


def ended(content: bytes, chance: random.Random) -> bytes:
    """The end is garbage: the directory of an archive."""
    length = min(chance.randrange(1, 200), len(content))
    return content[:-length] + chance.randbytes(length)


def ones(content: bytes, chance: random.Random) -> bytes:
    """Eight bytes say the largest number there is."""
    at = chance.randrange(max(1, min(len(content), 200)))
    return content[:at] + b"\xff" * 8 + content[at + 8 :]


def trailing(content: bytes, chance: random.Random) -> bytes:
    return content + chance.randbytes(chance.choice((1, 100, 5000)))


def noise(_content: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((1, 7, 300, 20000)))


def empty(_content: bytes, _chance: random.Random) -> bytes:
    return b""


def pickled(_content: bytes, chance: random.Random) -> bytes:
    """A pickle that runs a command where it is loaded."""
    command = b"cos\nsystem\n(S'touch canary'\ntR."
    return chance.choice((command, b"\x80\x02" + command, b"\x80\x04\x95" + bytes(8) + command))


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(cut, flipped, zeroed, doubled, dropped, inserted, begun, ended, ones, trailing, noise, empty, pickled),
)


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def terminal(path: Path) -> None:
    path.symlink_to("/dev/null")


def loop(path: Path) -> None:
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def sparse(path: Path) -> None:
    """A file of a terabyte that takes no room."""
    with path.open("wb") as stream:
        stream.truncate(TERABYTE)


def endless(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


def missing(_path: Path) -> None:
    """Nothing is there."""


STAND_INS: tuple[Callable[[Path], None], ...] = (
    *(folder, pipe, device, terminal, loop, dangling, sparse, endless, missing),
)
