"""UBJSON as xgboost writes it, looked through before the library reads it, which ends the process where it is damaged.

Format: https://ubjson.org (draft 12). No value is kept: only whether every length leads to something inside the file.
"""

from __future__ import annotations

import struct

DEEPEST = 32  # our choice: xgboost's own documents are nine levels deep
#: bytes of the values that have a fixed size, by their mark
SIZES = {b"Z": 0, b"T": 0, b"F": 0, b"i": 1, b"U": 1, b"C": 1, b"I": 2, b"l": 4, b"d": 4, b"L": 8, b"D": 8}
LENGTHS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}


class Damaged(ValueError):
    """A mark that is none, or a length that leads out of the file."""


def sound(content: bytes) -> bool:
    """Whether a file is one value and nothing else."""
    try:
        end = _value(content, 0, 0)
    except Damaged:
        return False
    return end == len(content)


def _value(content: bytes, at: int, depth: int) -> int:
    """Where the value that begins at ``at`` ends."""
    mark, at = content[at : at + 1], at + 1
    if mark in SIZES:
        return _within(content, at + SIZES[mark])
    if mark == b"S":
        return _text(content, at)
    if mark not in (b"{", b"[") or depth == DEEPEST:
        raise Damaged
    return _items(content, at, depth, keyed=mark == b"{")


def _items(content: bytes, at: int, depth: int, *, keyed: bool) -> int:
    """Where an object or an array ends: after so many values, or at its mark."""
    kind = b""
    if content[at : at + 1] == b"$":
        kind, at = content[at + 1 : at + 2], at + 2
        if kind not in SIZES or keyed or content[at : at + 1] != b"#":
            raise Damaged
    if content[at : at + 1] == b"#":
        count, at = _length(content, at + 1)
        if kind:
            return _within(content, at + count * SIZES[kind])
        for _ in range(count):
            at = _value(content, _text(content, at) if keyed else at, depth + 1)
        return at
    close = b"}" if keyed else b"]"
    while content[at : at + 1] != close:
        at = _value(content, _text(content, at) if keyed else at, depth + 1)
    return at + 1


def _text(content: bytes, at: int) -> int:
    length, at = _length(content, at)
    return _within(content, at + length)


def _length(content: bytes, at: int) -> tuple[int, int]:
    """A length, and where it ends."""
    mark = content[at : at + 1]
    if mark not in LENGTHS:
        raise Damaged
    end = _within(content, at + 1 + SIZES[mark])
    (length,) = struct.unpack(LENGTHS[mark], content[at + 1 : end])
    if length < 0:
        raise Damaged
    return length, end


def _within(content: bytes, at: int) -> int:
    if at > len(content):
        raise Damaged
    return at
