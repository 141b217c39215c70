"""``.npz`` files, read without pickle, and arrays that a program holds."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from audit.record.readonce import opened

from .archive import NPY, Unsound, check_directory, native, read_array
from .naming import is_odd, listed
from .usercode import describe


def read_npz(path: Path, only: Collection[str] | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an ``.npz`` file, or those of the keys ``only``; object arrays refused.

    Raises:
        ValueError: with a message that ends in the remedy.
    """
    try:
        with opened(path) as stream:  # np.load leaves a damaged file open
            return npz_of(stream, path, only)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): give a readable .npz file") from None


def keys_of(path: Path) -> tuple[str, ...]:
    """Keys of an ``.npz`` file, whatever is wrong with its arrays; () where it is none."""
    try:
        with opened(path) as stream, zipfile.ZipFile(stream) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except Exception:  # noqa: BLE001 - zip archives fail in many ways, and the reader says how
        return ()


def npz_of(stream: IO[bytes], path: Path, only: Collection[str] | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an open ``.npz`` file, or those of the keys ``only``; ``path`` is for messages.

    Raises:
        ValueError: as ``read_npz``.
    """
    again = "save it again with numpy.savez"
    try:
        size, begin = stream.seek(0, os.SEEK_END), (stream.seek(0), stream.read(len(NPY)))[1]
        if begin.startswith(NPY):
            raise ValueError(f"{path}: it holds one bare array: save named arrays with numpy.savez")
        if begin and not begin.startswith(b"PK"):  # a pickle among them
            raise ValueError(f"{path} is no .npz file: save named arrays with numpy.savez")
        with zipfile.ZipFile(stream) as archive:
            members = {member.filename: member for member in check_directory(archive, size)}
            foreign = [name for name in members if not name.endswith(".npy")]
            if foreign:
                raise Unsound(f"holds {listed(foreign)}, which are no arrays: {again}")
            odd = [name for name in members if is_odd(name)]
            if odd:
                raise Unsound(f"has keys with control characters ({listed(odd)}): rename them")
            keys = {name.removesuffix(".npy"): member for name, member in members.items()}
            return {k: read_array(archive, member) for k, member in keys.items() if only is None or k in only}
    except Unsound as error:
        raise ValueError(f"{path} {error}") from None
    except MemoryError:
        raise ValueError(f"{path} does not fit into the memory of this machine: give fewer rows") from None
    except Exception as error:  # zip archives and headers fail in many ways
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is no readable .npz file ({describe(error)}): {again}") from None


def array_of(value: Any, what: str) -> np.ndarray[Any, Any]:
    """A copy as an array, so that nobody changes it during the audit. Raises ValueError where it is none."""
    try:
        if hasattr(value, "detach"):  # a tensor, wherever it lives
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ma.MaskedArray):
            raise ValueError("it is masked: drop or fill what is masked")
        return native(np.array(value))
    except Exception as error:  # noqa: BLE001 - an object of the user's may raise anything
        raise ValueError(f"{what} is no array ({describe(error)}): give numbers of one shape a row") from None
