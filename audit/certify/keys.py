"""Ed25519 keys: made once, kept readable by their owner only, read once as PEM."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import CouldNotRun, UsageError
from audit.record.readonce import opened, read_once

from .passphrase import VARIABLE, passphrase

LONGEST = 64 * 1024  # bytes of a key file
_P = 2**255 - 19
#: y of the points whose order divides 8: a "signature" under such a key holds for almost any content
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL = {0, 1, _P - 1, _ORDER_8, _P - _ORDER_8}


def generate_keypair(private: Path, public: Path, secret: bytes | None = None) -> None:
    """Write a new Ed25519 key pair as PEM files; nothing is ever overwritten.

    Args:
        private: the private key (PKCS8), created with mode 0600.
        public: the public key (SubjectPublicKeyInfo), for whoever verifies.
        secret: the passphrase that encrypts the private key; without one it lies there in the clear.

    Raises:
        UsageError: one of the files exists.
        CouldNotRun: one of the files cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    lock = serialization.NoEncryption() if secret is None else serialization.BestAvailableEncryption(secret)
    content = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    shared = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if public.exists():
        raise UsageError(f"{public} exists and is not overwritten: name another file for the public key.")
    _write_new(private, content, 0o600)
    try:
        _write_new(public, shared, 0o644)
    except BaseException:
        private.unlink()
        raise


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key written by `generate_keypair`; its passphrase, where it has one, is asked for.

    Raises:
        UsageError: the file cannot be read, can be read by others, is no Ed25519 private key in PEM, or the passphrase
            is missing or wrong.
    """
    try:
        with opened(path) as stream:
            mode, content = os.fstat(stream.fileno()).st_mode, stream.read(LONGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}): name a private key file.") from error
    key = _private(path, content)
    if mode & 0o077:
        raise UsageError(
            f"{path} can be read or written by others, who can then sign in your name: `chmod 600 {path}`, and make a "
            "new key with `audit keygen` if somebody may have read it."
        )
    return key


def _private(path: Path, content: bytes) -> Ed25519PrivateKey:
    key: object = None
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:  # it is encrypted
        key = _unlocked(path, content)
    except (ValueError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is not an Ed25519 private key in PEM: make one with audit keygen.")
    return key


def _unlocked(path: Path, content: bytes) -> object:
    secret = passphrase(str(path))
    try:
        return serialization.load_pem_private_key(content, password=secret)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"the passphrase does not open {path}: give the right one (on the terminal, or in {VARIABLE}), or make "
            "another key with audit keygen."
        ) from None


def key_id(public_key: Ed25519PublicKey) -> str:
    """SHA-256 (hex) of the raw 32-byte public key: a hint in the envelope, never a reason to trust."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


def read_public_key(path: Path) -> bytes:
    """The bytes of a public key file.

    Raises:
        CouldNotRun: it cannot be read.
    """
    try:
        return read_once(path, LONGEST)
    except OSError as error:
        raise CouldNotRun(f"cannot read {path} ({error.strerror}): name the signer's public key.") from error


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Read a public key written by `generate_keypair`.

    Raises:
        UsageError: the bytes are not an Ed25519 public key in PEM, or one of those that nobody has made: not in the
            canonical form, or of small order, so that signatures of others hold under it.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("the key is not an Ed25519 public key in PEM: use the file that audit keygen wrote.")
    y = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
    if y >= _P or y in _SMALL:
        raise UsageError(
            "the key is a weak Ed25519 public key (of small order, or not canonical): signatures under it prove "
            "nothing. Use the file that audit keygen wrote."
        )
    return key


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except BaseException:
            path.unlink()
            raise
    except FileExistsError as error:
        raise UsageError(f"{path} exists and is not overwritten: name another file for the key.") from error
    except OSError as error:
        raise CouldNotRun(f"cannot write {path} ({error.strerror}): make its folder writable.") from error
