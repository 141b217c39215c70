"""Seals: keyed digests under the project key, by which the tool knows its own files again.

The key lies outside the run directory. Who can write that directory, but does not hold the key, can neither change a
sealed file nor put another one in its place without being found.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from .digest import KEY_BYTES
from .files import replacing
from .readonce import read_once

_DOMAIN = b"unlearn-audit/seal/v1"
_LONGEST = 256


def seal(key: bytes, what: str, digests: Mapping[str, str]) -> str:
    """HMAC-SHA256 over names and digests of files, as lower-case hex; the order of the files does not matter.

    Args:
        key: the project key, 32 bytes.
        what: what is sealed; a seal of one kind is none of another.
        digests: SHA-256 of each file by its name.

    Raises:
        ValueError: the key has another size.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a project key has {KEY_BYTES} bytes, this one has {len(key)}")
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in (_DOMAIN, what.encode(), *(text.encode() for item in sorted(digests.items()) for text in item)):
        mac.update(len(part).to_bytes(8, "big") + part)
    return mac.hexdigest()


def put_seal(path: Path, key: bytes, sha256: str) -> None:
    """Write the seal of one file beside it. A seal that a power cut damages fits nothing, and its file is made again.

    Raises:
        CouldNotRun: the disk is full or the folder cannot be written.
    """
    with replacing(_beside(path), private=True, durable=False) as stream:
        stream.write(seal(key, "file", {path.name: sha256}).encode())


def is_ours(path: Path, key: bytes, sha256: str) -> bool:
    """Whether the seal beside a file is that of a file of this name and this content."""
    try:
        found = read_once(_beside(path), _LONGEST)
    except OSError:
        return False
    return hmac.compare_digest(found, seal(key, "file", {path.name: sha256}).encode())


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.seal")
