"""Zip archives of arrays and of weights: what their directory declares is checked against the file before it is read.

A few bytes can declare an array of a terabyte, and a small archive can unpack to a huge one. So nothing is allocated
for a member before its declared size fits the bytes that are there.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections import Counter
from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from .naming import listed, shown
from .pickled import MOST_VALUES, grows_without_end
from .spool import BLOCK, gathered

MOST_MEMBERS = 10_000
#: our choice: an archive that unpacks to more than this and to more than so many times its size is refused
LARGE, RATIO = 2**28, 100
DEFLATE = 1100  # no deflated byte makes more than 1032
NPY = b"\x93NUMPY"


class Unsound(ValueError):
    """The archive is not what it says; the message goes behind the name of the file."""


def check_directory(archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    """The members of an archive, once they are distinct, readable, and fit into it.

    Args:
        archive: open for reading.
        size: of the file, bytes.

    Raises:
        Unsound: with the remedy.
    """
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise Unsound(f"holds {len(members)} members: save no more than {MOST_MEMBERS}")
    twice = repeated(member.filename for member in members)
    if twice:
        raise Unsound(f"holds {listed(twice)} more than once, and readers differ on which counts: save it again")
    for member in members:
        _check_member(member, size)
    total = sum(member.file_size for member in members)
    if total > LARGE and total > RATIO * size:
        raise Unsound(f"unpacks {size} bytes to {total}, more than {RATIO} times its size: save it without compression")
    return members


def repeated(names: Iterable[str]) -> list[str]:
    """The names that stand there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _check_member(member: zipfile.ZipInfo, size: int) -> None:
    name = shown(member.filename)
    if member.flag_bits & 1:
        raise Unsound(f"holds {name} encrypted: save it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unsound(f"holds {name} in a compression that is not read: save it without compression")
    packed, whole = member.compress_size, member.file_size
    fits = whole == packed if member.compress_type == zipfile.ZIP_STORED else whole <= DEFLATE * packed
    if packed + member.header_offset > size or not fits:
        raise Unsound(f"declares {whole} bytes for {name}, more than the file holds: it is damaged, save it again")


def check_weights(content: bytes) -> None:
    """Check the archive of a ``.pt`` file, which torch writes without compression, and its pickle.

    Raises:
        Unsound: with the remedy.
    """
    if not content.startswith(b"PK"):
        _check_pickle(content)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = check_directory(archive, len(content))
            if any(member.filename.endswith("/constants.pkl") for member in members):
                raise Unsound(
                    "is a TorchScript program, whose code is never run: save the state dict, export the model as ONNX, "
                    "or name a function of yours that loads it (--predict)"
                )
            packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
            if packed:
                raise Unsound(
                    f"holds compressed members ({listed(packed)}), which torch.save never writes: save it again"
                )
            for member in members:
                if member.filename.endswith("data.pkl"):
                    _check_pickle(archive.read(member))
    except zipfile.BadZipFile:
        return  # torch says what is wrong with it


def _check_pickle(content: bytes) -> None:
    if grows_without_end(content):
        raise Unsound(f"holds tuples of more than {MOST_VALUES} values, each in the next: save a plain state dict")


def check_header(content: bytes) -> None:
    """Refuse a safetensors file that names a tensor twice. The library checks all else.

    Raises:
        Unsound: with the remedy.
    """
    size = int.from_bytes(content[:8], "little")
    if size > len(content) - 8:
        return
    pairs: list[list[tuple[str, Any]]] = []
    try:
        json.loads(content[8 : 8 + size], object_pairs_hook=pairs.append)
    except (ValueError, RecursionError):
        return
    twice = [name for found in pairs for name in repeated(key for key, _ in found)]
    if twice:
        raise Unsound(f"names {listed(twice)} more than once, and readers differ on which counts: save it again")


def read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    """One array of an ``.npz`` file in native byte order; its header is checked before anything is allocated.

    Raises:
        Unsound: with the remedy.
    """
    check_header_of(archive, member)
    with archive.open(member) as stream:
        array = values_of(stream, shown(member.filename))
        if stream.read(1):  # also compares the checksum, which stands at the end
            raise Unsound(f"holds more bytes in {shown(member.filename)} than its array has: save it again")
    return array


def values_of(stream: IO[bytes], name: str) -> np.ndarray[Any, Any]:
    """An array whose header was checked, in native byte order; one larger than memory lies in a file that is mapped,
    unless its columns are stored one after another (Fortran order).

    Args:
        stream: where the array starts.
        name: of the array, for messages.
    """
    shape, fortran, dtype = header_of(stream, name)
    row = math.prod(shape[1:]) * dtype.itemsize
    if fortran or not shape or shape[0] * row <= BLOCK:
        content = np.empty(math.prod(shape), dtype)
        _fill(stream, content)
        return native(content.reshape(shape, order="F" if fortran else "C"))
    rows = max(1, BLOCK // max(1, row))

    def block(start: int) -> np.ndarray[Any, Any]:
        some = min(rows, shape[0] - start)
        return native(np.frombuffer(stream.read(some * row), dtype).reshape((some, *shape[1:])))

    return gathered((block(start) for start in range(0, shape[0], rows)), name)


def check_header_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Check that an array is as large as its header says, before anything is allocated for it.

    Raises:
        Unsound: with the remedy.
    """
    name = shown(member.filename)
    with archive.open(member) as stream:
        shape, _, dtype = header_of(stream, name)
        held = member.file_size - stream.tell()
    check_declared(name, shape, dtype, held, "save it again with numpy.savez")


def _fill(stream: IO[bytes], array: np.ndarray[Any, Any]) -> None:
    """Read the values of an array from a stream, block by block: no second copy of them."""
    content = array.view(np.uint8) if array.nbytes else np.empty(0, np.uint8)
    for start in range(0, len(content), BLOCK):
        part = content[start : start + BLOCK]
        part[:] = np.frombuffer(stream.read(len(part)), np.uint8)


def native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values in the byte order of this machine, which torch needs."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def header_of(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type of an array; the stream then stands before its values.

    Raises:
        Unsound: a format of arrays that is not read.
        ValueError: no header.
    """
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise Unsound(f"holds {name} in the format {version}: save plain arrays with numpy.savez")
    return readers[version](stream)


def check_declared(name: str, shape: tuple[Any, ...], dtype: np.dtype[Any], held: int, again: str) -> None:
    """Whether the bytes that are there are those of an array of plain values.

    Args:
        name: of the array, for messages.
        shape: as the header says.
        dtype: as the header says.
        held: bytes behind the header.
        again: the remedy.

    Raises:
        Unsound: they are not.
    """
    if dtype.hasobject:
        raise Unsound(
            "holds object arrays, which are pickles and are never loaded: convert them to numbers or fixed-width "
            "strings"
        )
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise Unsound(f"declares the shape {shape} for {name}, which is none: {again}")
    count = math.prod(shape)
    if dtype.subdtype is not None or (dtype.itemsize == 0 and count > 0):
        raise Unsound(f"declares the type {dtype} for {name}: save numbers or fixed-width strings of some length")
    if count * dtype.itemsize != held:
        raise Unsound(
            f"declares {name} as {shown(str(shape))} of {dtype}, {count * dtype.itemsize} bytes, and holds {held}: "
            f"it is damaged, {again}"
        )
