"""Ed25519 keys: made once, kept readable by their owner only, read as PEM."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import CouldNotRun, UsageError


def generate_keypair(private: Path, public: Path) -> None:
    """Write a new Ed25519 key pair as PEM files; nothing is ever overwritten.

    Args:
        private: the private key (PKCS8, not encrypted), created with mode 0600.
        public: the public key (SubjectPublicKeyInfo), for whoever verifies.

    Raises:
        UsageError: one of the files exists.
        CouldNotRun: one of the files cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shared = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if public.exists():
        raise UsageError(f"{public} exists and is not overwritten: name another file for the public key.")
    _write_new(private, secret, 0o600)
    try:
        _write_new(public, shared, 0o644)
    except BaseException:
        private.unlink()
        raise


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key written by `generate_keypair`.

    Raises:
        UsageError: the file cannot be read or is not an unencrypted Ed25519 private key in PEM.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}): name a private key file.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is not an unencrypted Ed25519 private key in PEM: make one with audit keygen.")
    return key


def key_id(public_key: Ed25519PublicKey) -> str:
    """SHA-256 (hex) of the raw 32-byte public key: a hint in the envelope, never a reason to trust."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


def read_public_key(path: Path) -> bytes:
    """The bytes of a public key file.

    Raises:
        CouldNotRun: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CouldNotRun(f"cannot read {path} ({error.strerror}): name the signer's public key.") from error


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Read a public key written by `generate_keypair`.

    Raises:
        UsageError: the bytes are not an Ed25519 public key in PEM.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("the key is not an Ed25519 public key in PEM: use the file that audit keygen wrote.")
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
