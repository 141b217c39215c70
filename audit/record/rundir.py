"""The run directory: its layout, its events, what is kept of an earlier judgement, purge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.errors import CouldNotRun, UsageError

from .files import replacing, sweep, unwritable, write_bytes
from .lines import append


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
        self.errors = self.private / "errors.log"
        self.earlier = path / "earlier"

    def create(self) -> None:
        """Make the folders; ``private/`` readable by its owner only.

        Raises:
            CouldNotRun: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in self._private_folders():
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)  # where it stood already, with another mode
        except OSError as error:
            raise CouldNotRun(
                f"cannot write {self.path} ({error.strerror}): choose another folder with --out."
            ) from error

    def begin(self, settings: str, *, fresh: bool) -> None:
        """Make the folders, sweep what a killed run left half-written, note the start and the configuration.

        Args:
            settings: ``config.toml``.
            fresh: discard observations, signals and evidence of an earlier run of the same case.

        Raises:
            CouldNotRun: the folder cannot be written.
        """
        if fresh:
            for folder in (self.observations, self.signals, self.evidence):
                shutil.rmtree(folder, ignore_errors=True)
        self.create()
        self.sweep()
        with suppress(OSError):
            self.errors.unlink()  # a repeated run meets its errors again
        self.log("start", run_id=self.path.name)
        write_bytes(self.config, settings.encode())

    def sweep(self) -> None:
        """Remove half-written files of killed processes."""
        for folder in (self.path, *self._private_folders()):
            sweep(folder)

    def _private_folders(self) -> tuple[Path, ...]:
        return self.private, self.observations, self.signals, self.evidence

    def keep_private(self, texts: Mapping[str, str]) -> None:
        """Write files below ``private/``, by name."""
        for name, text in texts.items():
            with replacing(self.private / name, private=True) as stream:
                stream.write(text.encode("utf-8"))

    def replace_result(self, content: bytes, *, signed: bool, private: bool = False) -> None:
        """Write ``run.json``; another record that stood there is kept, and a signed certificate that loses its place.

        Args:
            content: the record.
            signed: whether its certificate will be signed.
            private: readable by its owner only: it shows rows.
        """
        if self.result.is_file():
            loses = self.certificate.is_file() and not signed
            if loses or self.result.read_bytes() != content:
                self.keep_earlier()
        write_bytes(self.result, content, private=private)

    def log(self, event: str, **fields: Any) -> None:
        """Append one event with its time."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        try:
            append(self.events, json.dumps(line, sort_keys=True).encode(), mode=0o666)
        except OSError as error:
            raise unwritable(self.events, error) from error

    def keep_errors(self, errors: Iterable[tuple[str, str]]) -> None:
        """Keep whole texts of errors in ``private/errors.log``; what may be shared refers to them by their titles.

        Args:
            errors: title and text of each.

        Raises:
            CouldNotRun: the file cannot be written.
        """
        try:
            for title, text in errors:
                append(self.errors, f"== {title}\n{text}".encode("utf-8", "backslashreplace"), mode=0o600)
        except OSError as error:
            raise unwritable(self.errors, error) from error

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
            raise unwritable(kept, error) from error
        return kept

    def purge(self) -> bool:
        """Destroy ``private/`` with the commitment key, and half-written files; False where it was gone already.

        Raises:
            CouldNotRun: not all of it could be removed, or it is a link to somewhere else.
        """
        sweep(self.path)
        if self.private.is_symlink():
            raise CouldNotRun(
                f"{self.private} is a link, which is not followed: destroy {self.private.readlink()} by hand, then the "
                "link, and purge again."
            )
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
