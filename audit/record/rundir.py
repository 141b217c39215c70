"""The run directory: layout, atomic writes, events, purge."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np

from audit.errors import CouldNotRun, UsageError


class RunDir:
    """Paths of one run: a shareable part and ``private/`` (what the forget set left behind)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.private = path / "private"
        self.observations = self.private / "observations"
        self.signals = self.private / "signals"
        self.evidence = self.private / "evidence"
        self.commitment_key = self.private / "commitment.key"
        self.result = path / "run.json"
        self.report = path / "report.html"
        self.certificate = path / "certificate.dsse.json"
        self.statement = path / "certificate.unsigned.json"
        self.config = path / "config.toml"
        self.events = path / "events.jsonl"
        self.earlier = path / "earlier"

    def create(self) -> None:
        """Make the folders; ``private/`` readable by its owner only.

        Raises:
            CouldNotRun: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in (self.private, self.observations, self.signals, self.evidence):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CouldNotRun(
                f"cannot write {self.path} ({error.strerror}): choose another folder with --out."
            ) from error

    def log(self, event: str, **fields: Any) -> None:
        """Append one event with its time."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        try:
            with self.events.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line, sort_keys=True) + "\n")
        except OSError as error:
            raise _unwritable(self.events, error) from error

    def keep_earlier(self) -> Path:
        """Copy record, report and certificate to ``earlier/<n>/``, before a new judgement takes their place.

        Each of these folders can be reported and verified like the run itself.

        Raises:
            CouldNotRun: the folder cannot be written.
        """
        kept = self.earlier / str(1 + sum(1 for _ in self.earlier.glob("*")))
        try:
            kept.mkdir(parents=True)
            for path in (self.result, self.report, self.certificate, self.statement):
                if path.is_file():
                    shutil.copy2(path, kept / path.name)
        except OSError as error:
            raise _unwritable(kept, error) from error
        return kept

    def purge(self) -> bool:
        """Destroy ``private/`` with the commitment key; False where it was gone already."""
        if not self.private.exists():
            return False
        try:
            shutil.rmtree(self.private)
        except OSError as error:
            raise CouldNotRun(
                f"cannot remove all of {self.private} ({error.strerror}): make it writable and purge again."
            ) from error
        return True


def open_run(path: Path) -> RunDir:
    """An existing run directory.

    Raises:
        UsageError: there is no such folder.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is no run directory: name one below the output folder.")
    return RunDir(path)


def _unwritable(path: Path, error: OSError) -> CouldNotRun:
    reason = error.strerror or f"incomplete, {error}"  # numpy counts what it could write
    return CouldNotRun(f"cannot write {path} ({reason}): free space or choose another folder.")


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of ``path`` when the block ends without an exception.

    Raises:
        CouldNotRun: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    mode = 0o600 if private else 0o666
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    with replacing(path) as stream:
        stream.write(content)


def save_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Replace a private ``.npy`` file atomically."""
    with replacing(path, private=True) as stream:
        np.save(stream, array, allow_pickle=False)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Replace a private ``.npz`` file atomically."""
    with replacing(path, private=True) as stream:
        np.savez(stream, **dict(arrays))  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]] | None:
    """Arrays of a ``.npz`` file of ours, or None where it is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
