"""Zip archives of arrays: how a sound one is read and made, and how a hostile one is."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from functools import cache
from typing import Any

import numpy as np

Members = list[tuple[str, bytes]]


def members_of(content: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def packed(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=True)
    return stream.getvalue()


def header(text: bytes, values: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes(version) + size + text + b"\n" + values


def twice(found: Members, chance: random.Random) -> bytes:
    return packed([*found, (chance.choice(found)[0], npy(np.zeros(3)))])


def bomb(found: Members, chance: random.Random) -> bytes:
    """The values of one member are 400 MiB of zeros."""
    return added(zeros("x.npy"), [member for member in found if member[0] != "x.npy"])


@cache
def zeros(name: str) -> bytes:
    """An archive of a few hundred thousand bytes that unpacks to an array of 400 MiB."""
    size = 400 * 2**20 // 24 * 24
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        member.write(header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': (24, {size // 24})}}".encode()))
        for _ in range(size // 2**20):
            member.write(bytes(2**20))
        member.write(bytes(size % 2**20))
    return stream.getvalue()


def added(content: bytes, members: Members) -> bytes:
    """The same archive with further members."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, more in members:
            archive.writestr(zipfile.ZipInfo(name), more)
    return stream.getvalue()


def odd_names(found: Members, chance: random.Random) -> bytes:
    name = chance.choice(
        ("x\n.npy", "\x1b[2J.npy", "../../x.npy", "/etc/x.npy", "x.\u202e.npy", "é" * 300, ".npy", "x/y.npy", "z.npy")
    )
    return packed([*found, (name, npy(np.zeros(24)))])


def many(found: Members, chance: random.Random) -> bytes:
    return packed([*found, *((f"a{i}.npy", b"") for i in range(chance.choice((50, 12000))))])


def method(found: Members, chance: random.Random) -> bytes:
    return packed(found, chance.choice((zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)))


def directory(found: Members, chance: random.Random) -> bytes:
    """Sizes and offsets of the directory say anything."""
    content = bytearray(packed(found))
    at = content.find(b"PK\x01\x02") + chance.choice((20, 24, 42))
    content[at : at + 4] = struct.pack("<I", chance.choice((0xFFFFFFFF, 0xFFFFFFFE, 2**31, 0, 7)))
    return bytes(content)


def encrypted(found: Members, _chance: random.Random) -> bytes:
    content = bytearray(packed(found))
    content[content.find(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


ARCHIVES = (twice, bomb, odd_names, many, method, directory, encrypted)
