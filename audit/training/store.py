"""Trained models on disk, by content address. Two processes side by side train nothing twice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from audit.errors import CouldNotRun
from audit.record.files import replacing

if TYPE_CHECKING:
    import torch


class Lock:
    """The right to train one model. The kernel releases it when the process ends, however it ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def release(self) -> None:
        """Let others have it; more than once does no harm."""
        self._file.close()


class Store:
    """A folder with ``<key>.safetensors`` and ``<key>.json`` for each model, readable by its owner only.

    Args:
        folder: made with mode 0700 where it is missing.

    Raises:
        CouldNotRun: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks = folder / "locks"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._locks.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CouldNotRun(f"cannot write {folder} ({error.strerror}): choose another folder.") from error

    def path(self, key: str) -> Path:
        """Where the model is, or would be."""
        return self.folder / f"{key}.safetensors"

    def facts(self, key: str) -> dict[str, Any] | None:
        """Name, seed, final loss, steps, seconds and digest of a model; None where it is missing or damaged."""
        try:
            facts = json.loads(self.path(key).with_suffix(".json").read_bytes())
            content = self.path(key).read_bytes()
        except (OSError, ValueError):
            return None
        sound = isinstance(facts, dict) and facts.get("sha256") == hashlib.sha256(content).hexdigest()
        return facts if sound else None

    def has(self, key: str) -> bool:
        """Is the model there, whole and unchanged?"""
        return self.facts(key) is not None

    def load(self, key: str) -> dict[str, torch.Tensor] | None:
        """The state dict of a model on the CPU; None where it is missing or damaged."""
        from safetensors.torch import load

        return load(self.path(key).read_bytes()) if self.has(key) else None

    def save(self, key: str, state: bytes, facts: Mapping[str, Any]) -> None:
        """Keep a model: its state dict as safetensors, and what is known of its training.

        Raises:
            CouldNotRun: the disk is full or the folder cannot be written.
        """
        with replacing(self.path(key), private=True) as stream:
            stream.write(state)
        facts = {**facts, "sha256": hashlib.sha256(state).hexdigest()}
        with replacing(self.path(key).with_suffix(".json"), private=True) as stream:
            stream.write(json.dumps(facts, sort_keys=True).encode())

    def lock(self, key: str) -> Lock | None:
        """Claim a model; None where someone else trains it now.

        Raises:
            CouldNotRun: the folder cannot be written.
        """
        path = self._locks / key
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
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
        for key in keys:
            for path in (self.path(key), self.path(key).with_suffix(".json")):
                with suppress(FileNotFoundError):
                    path.unlink()
