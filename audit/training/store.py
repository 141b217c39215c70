"""Trained models on disk, by content address. Two processes side by side train nothing twice."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from audit.errors import CouldNotRun
from audit.record.files import replacing, sweep

if TYPE_CHECKING:
    import torch

_DOMAIN = b"unlearn-audit/store-entry/v1"


def is_address(key: str) -> bool:
    """Is it 64 lower-case hex digits, as every address is?"""
    return re.fullmatch("[0-9a-f]{64}", key) is not None


def model_path(folder: Path, key: str) -> Path:
    """Where a model is, or would be."""
    return folder / f"{key}.safetensors"


def discard(folder: Path, keys: Iterable[str]) -> None:
    """Remove models from a folder; missing ones, and names that are no addresses, are no error.

    Raises:
        CouldNotRun: one cannot be removed.
    """
    failed = []
    for key in filter(is_address, keys):
        for path in (model_path(folder, key), model_path(folder, key).with_suffix(".json"), folder / "locks" / key):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                failed.append(f"{path} ({error.strerror})")
    if failed:
        raise CouldNotRun(f"models trained on forget rows are left: delete by hand {', '.join(failed)}")


class Lock:
    """The right to train one model. The kernel releases it when the process ends, however it ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def release(self) -> None:
        """Let others have it; more than once does no harm."""
        self._file.close()


class Store:
    """A folder with ``<key>.safetensors`` and ``<key>.json`` for each model, readable by its owner only.

    Every entry carries a keyed digest over its address, model and facts: an entry that someone else put there, moved
    or changed counts as missing. No link is followed.

    Args:
        folder: made with mode 0700 where it is missing.
        secret: the project key, under which the entries are digested.

    Raises:
        CouldNotRun: the folder cannot be made, is a link, or may be written by others.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self.folder, self._secret = folder, secret
        self._locks = folder / "locks"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._locks.mkdir(mode=0o700, exist_ok=True)
            for place in (folder, self._locks):
                _refuse_shared(place)
        except OSError as error:
            raise CouldNotRun(f"cannot write {folder} ({error.strerror}): choose another folder.") from error
        sweep(folder)

    def path(self, key: str) -> Path:
        """Where the model is, or would be."""
        return model_path(self.folder, key)

    def facts(self, key: str) -> dict[str, Any] | None:
        """Name, seed, final loss, steps, seconds and digest of a model; None where it is missing or not ours."""
        found = self._entry(key)
        return None if found is None else found[0]

    def has(self, key: str) -> bool:
        """Is the model there, whole, unchanged and ours?"""
        return self._entry(key) is not None

    def read(self, key: str) -> bytes | None:
        """The state dict of a model as safetensors; None where it is missing or not ours."""
        found = self._entry(key)
        return None if found is None else found[1]

    def load(self, key: str) -> dict[str, torch.Tensor] | None:
        """The state dict of a model on the CPU; None where it is missing or not ours."""
        from safetensors.torch import load

        state = self.read(key)
        return None if state is None else load(state)

    def save(self, key: str, state: bytes, facts: Mapping[str, Any]) -> str:
        """Keep a model: its state dict as safetensors, and what is known of its training; return its SHA-256.

        Raises:
            CouldNotRun: the disk is full or the folder cannot be written.
        """
        with replacing(self.path(key), private=True) as stream:
            stream.write(state)
        facts = {**facts, "sha256": hashlib.sha256(state).hexdigest()}
        facts["mac"] = self._mac(key, facts)
        with replacing(self.path(key).with_suffix(".json"), private=True) as stream:
            stream.write(json.dumps(facts, sort_keys=True).encode())
        return str(facts["sha256"])

    def lock(self, key: str) -> Lock | None:
        """Claim a model; None where someone else trains it now.

        Raises:
            CouldNotRun: the folder cannot be written.
        """
        path = self._locks / key
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")
        except OSError as error:
            raise CouldNotRun(f"cannot write {path} ({error.strerror}): make the folder writable.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:
            file.close()
            raise CouldNotRun(f"cannot lock {path} ({error.strerror}): use a file system with locks.") from error
        return Lock(file)

    def discard(self, keys: Iterable[str]) -> None:
        """Remove models; missing ones are no error."""
        discard(self.folder, keys)

    def _entry(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """Facts and model from one reading of each file, where both are ours."""
        try:
            facts = json.loads(_read_regular(self.path(key).with_suffix(".json")))
            state = _read_regular(self.path(key))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(facts, dict) or facts.get("sha256") != hashlib.sha256(state).hexdigest():
            return None
        mac = facts.get("mac")
        sound = isinstance(mac, str) and hmac.compare_digest(ascii(mac), ascii(self._mac(key, facts)))
        return (facts, state) if sound else None

    def _mac(self, key: str, facts: Mapping[str, Any]) -> str:
        """Keyed digest of an entry: its address, and its facts with the digest of the model among them."""
        signed = json.dumps([key, {name: value for name, value in facts.items() if name != "mac"}], sort_keys=True)
        return hmac.digest(self._secret, _DOMAIN + signed.encode(), "sha256").hex()


def _refuse_shared(folder: Path) -> None:
    """Who may write a folder may put models there, and links that lead elsewhere."""
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise CouldNotRun(f"{folder} is a link, which the store of trained models does not follow: name its target.")
    if found.st_mode & 0o022:
        raise CouldNotRun(f"others may write {folder}, and so put models there: chmod go-w {folder}")
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        raise CouldNotRun(f"{folder} belongs to another user, who may put models there: name a folder of your own.")


def _read_regular(path: Path) -> bytes:
    """The bytes of a regular file, no link followed; raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        return stream.read()
