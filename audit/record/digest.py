"""Digests: plain SHA-256 for models and files, keyed (HMAC) commitments for personal data.

A plain hash of a small data set is a membership oracle: whoever can guess the rows can test the guess. So
data is only ever committed to under a secret key; models, policies and code get plain digests.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audit.errors import CouldNotRun

from .files import temporary_file
from .readonce import opened, read_once

KEY_BYTES = 32
MOST_FILES = 10_000  # our choice: a folder of more is no model
_DATA_DOMAIN = b"unlearn-audit/data-commitment/v1"
_STATE_DOMAIN = b"unlearn-audit/model-state/v1"

Arrays = Mapping[str, npt.NDArray[Any]]


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as lower-case hex, read in pieces.

    Args:
        path: a regular file of any size.

    Raises:
        CouldNotRun: the file cannot be read.
    """
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # a buffered reader is one
    except OSError as error:
        raise CouldNotRun(f"cannot read {path} ({error.strerror}): name a readable file, not a folder.") from error


def sha256_path(path: Path) -> str:
    """SHA-256 of a file, or of a folder as ``folder_digest`` names it.

    Raises:
        CouldNotRun: something cannot be read.
    """
    return folder_digest(path, {}) if path.is_dir() else sha256_file(path)


def folder_digest(path: Path, known: Mapping[str, str]) -> str:
    """SHA-256 over the names and digests of all files of a folder, in the order of their names, as lower-case hex.

    Folders inside count; links to folders are not followed.

    Args:
        path: the folder.
        known: digests, by name inside the folder, of files that were read already: of these the same bytes count.

    Raises:
        CouldNotRun: a file cannot be read, or there are more than ``MOST_FILES``.
    """
    names = sorted(
        (Path(place) / name).relative_to(path).as_posix() for place, _, files in os.walk(path) for name in files
    )
    if len(names) > MOST_FILES:
        raise CouldNotRun(f"{path} holds {len(names)} files: name the folder of one model alone.")
    digest = hashlib.sha256(b"unlearn-audit/folder/v1")
    for name in names:
        for part in (os.fsencode(name), (known.get(name) or sha256_file(path / name)).encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def keyed_digest(key: bytes, arrays: Arrays) -> str:
    """Commitment to a data set: HMAC-SHA256 (RFC 2104) over a canonical encoding, as lower-case hex.

    Two sets with the same content have the same commitment under the same key, whatever the order of the
    mapping and the memory layout. Without the key nobody can test a guess.

    Args:
        key: exactly 32 secret bytes, see `load_or_create_key`.
        arrays: named arrays of booleans, integers, floats, complex numbers or fixed-width strings.

    Raises:
        ValueError: the key has another size, or an array has another dtype (objects, structures, dates).
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a commitment key has {KEY_BYTES} bytes, this one has {len(key)}")
    mac = hmac.new(key, digestmod=hashlib.sha256)
    _feed(mac.update, _DATA_DOMAIN, arrays)
    return mac.hexdigest()


def state_digest(arrays: Arrays) -> str:
    """Plain SHA-256 of model weights in memory, as lower-case hex; the encoding is that of `keyed_digest`.

    Never for personal data. The value differs from the digest of any file that holds the same weights.

    Args:
        arrays: named arrays, for example a state dict as numpy arrays.

    Raises:
        ValueError: an array has a dtype without a canonical encoding.
    """
    digest = hashlib.sha256()
    _feed(digest.update, _STATE_DOMAIN, arrays)
    return digest.hexdigest()


def load_or_create_key(path: Path) -> bytes:
    """Read the 32-byte commitment key, or create it readable by its owner only.

    The key appears under its name complete or not at all; of two processes that create it at once, one wins
    and both return the winner's key.

    Args:
        path: the key file; a missing parent folder is created with mode 0700.

    Raises:
        CouldNotRun: the file cannot be read or created, is a link, or does not hold exactly 32 bytes.
    """
    try:
        if not os.path.lexists(path):
            _create_key(path)
        key = _read_key(path)
    except OSError as error:
        raise CouldNotRun(
            f"cannot read or create the commitment key {path} ({error.strerror}): make its folder writable, "
            "on a file system with permissions and hard links, and the key a file, no link."
        ) from error
    if len(key) != KEY_BYTES:
        raise CouldNotRun(
            f"{path} is not a commitment key, which has exactly {KEY_BYTES} bytes: restore it from a backup, "
            "or move it away to start with a new key (earlier commitments can then no longer be opened)."
        )
    return key


def _read_key(path: Path) -> bytes:
    """The key's bytes; read again where another process takes its temporary link away, which changes the file."""
    for _ in range(20):  # far more processes than start at once in the millisecond that a link stands
        try:
            return read_once(path, KEY_BYTES + 1, follow=False)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
    return read_once(path, KEY_BYTES + 1, follow=False)


def _create_key(path: Path) -> None:
    """Write the key to a temporary name, then link it: linking fails if someone else was first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary, descriptor = temporary_file(path.parent, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def _feed(update: Callable[[bytes | memoryview], object], domain: bytes, arrays: Arrays) -> None:
    """Feed the domain label and every part, each behind its length, so that no two inputs encode alike."""
    for part in (domain, *_parts(arrays)):
        view = memoryview(part)
        update(view.nbytes.to_bytes(8, "big"))
        update(view)


def _parts(arrays: Arrays) -> Iterator[bytes | memoryview]:
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        # Extended floats are refused for their padding bytes, which hold anything.
        if array.dtype.kind not in "biufcSU" or array.dtype.char in "gG":
            raise ValueError(
                f"array {name!r} has dtype {array.dtype}, which has no canonical bytes: convert it to "
                "numbers or fixed-width strings"
            )
        yield name.encode()
        yield array.dtype.str.encode()
        yield ",".join(map(str, array.shape)).encode()
        flat = np.ascontiguousarray(array).reshape(-1)
        yield flat.view(np.uint8).data if flat.nbytes else b""
