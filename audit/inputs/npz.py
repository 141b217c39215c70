"""Data sets from ``.npz`` files, read without pickle, and from arrays that a program holds: checked alike."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from attacks.base import Inputs
from audit.record.readonce import opened

from .archive import NPY, Unsound, check_directory, native, read_array
from .data import Arrays, positions
from .naming import is_odd, listed
from .usercode import describe

KEYS = ("y", "ids", "group", "request")
MAX_ITEM = 8  # bytes: extended floats have no canonical encoding


def read_npz(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an ``.npz`` file, object arrays refused.

    Raises:
        ValueError: with a message that ends in the remedy.
    """
    try:
        with opened(path) as stream:  # np.load leaves a damaged file open
            return npz_of(stream, path)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): give a readable .npz file") from None


def npz_of(stream: IO[bytes], path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an open ``.npz`` file; ``path`` is for messages.

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
            return {name.removesuffix(".npy"): read_array(archive, member) for name, member in members.items()}
    except Unsound as error:
        raise ValueError(f"{path} {error}") from None
    except MemoryError:
        raise ValueError(f"{path} does not fit into the memory of this machine: give fewer rows") from None
    except Exception as error:  # zip archives and headers fail in many ways
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is no readable .npz file ({describe(error)}): {again}") from None


def read_data(path: Path, *, need_inputs: bool) -> Arrays:
    """Read one data set: ``x`` (or ``x.<name>``), ``y``, optional ``ids``, ``group``, ``request``.

    Raises:
        ValueError: with every problem of this file, each with its remedy, one a line.
    """
    return _checked(read_npz(path), str(path), need_inputs=need_inputs)


def data_of(source: object, where: str, *, need_inputs: bool) -> Arrays:
    """One data set that a program holds: ``(x, y)``, or a mapping with the keys of a file.

    Args:
        source: arrays, or what numpy makes arrays of.
        where: what it is, for messages.
        need_inputs: whether the set needs inputs.

    Raises:
        ValueError: as ``read_data``.
    """
    if isinstance(source, tuple) and len(source) == 2:
        source = {"x": source[0], "y": source[1]}
    if not isinstance(source, Mapping):
        raise ValueError(
            f"{where} is a {type(source).__name__}: give a path, (x, y), or a mapping with x, y and optionally ids, "
            "group, request"
        )
    parts: dict[str, Any] = {}
    for key, value in source.items():
        if key == "x" and isinstance(value, Mapping):
            parts |= {f"x.{name}": part for name, part in value.items()}
        elif value is not None:
            parts[str(key)] = value
    return _checked(
        {key: array_of(value, f"{where}: {key}") for key, value in parts.items()}, where, need_inputs=need_inputs
    )


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


def _checked(found: Mapping[str, np.ndarray[Any, Any]], where: str, *, need_inputs: bool) -> Arrays:
    inputs: Inputs | None = found.get("x")
    named = {key[2:]: value for key, value in found.items() if key.startswith("x.")}
    if inputs is None and named:
        inputs = named
    unknown = [repr(key) for key in found if key not in ("x", *KEYS) and not key.startswith("x.")]
    problems = []
    if unknown:
        many = "unknown keys" if len(unknown) > 1 else "an unknown key"
        problems.append(f"{where} has {many} {listed(unknown)}: use x (or x.<name>), y, ids, group, request")
    if "x" in found and named:
        problems.append(f"{where} has both x and x.<name>: keep one form")
    if inputs is None and need_inputs:
        problems.append(f"{where} has no inputs: add the key x")
    if "y" not in found:
        problems.append(f"{where} has no labels: add the key y")
    if problems:
        raise ValueError("\n".join(problems))
    data = Arrays(inputs, found["y"], found.get("ids"), found.get("group"), found.get("request"))
    problems = _content_problems(where, data)
    if problems:
        raise ValueError("\n".join(problems))
    return Arrays(data.x, data.y.astype(np.int64), _text(data.ids), _text(data.group), _text(data.request))


def _text(values: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any] | None:
    """Byte strings as text, so that the same name is the same in every set."""
    return values if values is None or values.dtype.kind != "S" else np.char.decode(values, "utf-8", "replace")


def _finite(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether each value is finite as the float32 that a network gets."""
    with np.errstate(over="ignore"):
        return np.asarray(np.isfinite(array.astype(np.float32)))


def _encodable(array: np.ndarray[Any, Any]) -> bool:
    try:
        "".join(array.ravel().tolist()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _content_problems(where: str, data: Arrays) -> list[str]:
    problems = []
    if data.y.ndim != 1 or data.y.dtype.kind not in "iu":
        problems.append(
            f"{where}: y must be integer class labels of shape (n,), got {data.y.dtype} {data.y.shape}: convert it"
        )
        return problems
    if len(data.y) == 0:
        problems.append(f"{where} is empty: give at least one row")
        return problems
    for key, array in data.arrays().items():
        if array.shape[:1] != (len(data.y),):
            problems.append(f"{where}: {key} has shape {array.shape}, y has {len(data.y)} rows: align them")
        elif array.dtype.kind == "O":
            problems.append(f"{where}: {key} is an object array: convert it to numbers or fixed-width strings")
        elif key in ("ids", "group", "request") and (array.ndim != 1 or array.dtype.kind not in "biufSU"):
            problems.append(
                f"{where}: {key} must be one number or string a row, got {array.dtype} {array.shape}: convert it"
            )
        elif key.startswith("x") and (array.dtype.kind not in "fiub" or array.dtype.itemsize > MAX_ITEM):
            problems.append(f"{where}: {key} has dtype {array.dtype}: save numbers of at most 64 bits")
        elif key.startswith("x") and array.size == 0:
            problems.append(f"{where}: {key} has shape {array.shape}, no value at all: give inputs")
        elif array.dtype.kind == "U" and not _encodable(array):
            problems.append(f"{where}: {key} holds text that is no Unicode (a lone surrogate): repair it")
        elif array.dtype.kind == "f" and not _finite(array).all():
            problems.append(f"{where}: {key} holds NaN or infinite values in {positions(~_finite(array))}")
    return problems
