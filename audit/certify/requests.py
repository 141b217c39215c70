"""Deletion requests and the audits that answer them: matched by the commitment that a run's own key opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from audit.errors import CouldNotRun, InputError, UsageError
from audit.inputs.data import Arrays
from audit.inputs.set_files import read_data
from audit.inputs.source import DATA_SUFFIXES
from audit.record.digest import KEY_BYTES
from audit.record.readonce import read_once
from audit.record.rundir import RunDir

from .certificate import EXTENSION
from .issue import read_bound
from .issued import statement_of

NOT_AUDITED = "not audited"


@dataclass(frozen=True)
class Line:
    """One deletion request and one model that it concerns.

    Attributes:
        request: as the forget set names it.
        rows: how many rows of the forget set it has.
        forget: the forget set.
        model: name of the model; "" where no model is known.
        sha256: of the model, the first 12 digits.
        verdict: PASS, FAIL or INCONCLUSIVE, with the qualifier; or "not audited".
        on: the day of the certificate.
        run: the run directory.
    """

    request: str
    rows: int
    forget: str
    model: str
    sha256: str
    verdict: str
    on: str = ""
    run: str = ""


@dataclass(frozen=True)
class Audit:
    """A finished run, with the commitment to its forget set and what opens it."""

    path: Path
    models: tuple[tuple[str, str], ...]
    verdict: str
    on: str
    commitment: str
    key: bytes

    def is_of(self, forget: Arrays) -> bool:
        """Whether this forget set, to the last value, is the one that was audited (labels may count from 1)."""
        return self.commitment in (forget.fingerprint(self.key), replace(forget, y=forget.y - 1).fingerprint(self.key))


def forget_files(given: Sequence[Path]) -> list[Path]:
    """The files as they are given, and what is named forget* in a folder and below it.

    Raises:
        UsageError: there is none.
    """
    found: list[Path] = []
    for path in given:
        inside = [p for p in sorted(path.rglob("forget*")) if p.suffix in DATA_SUFFIXES] if path.is_dir() else [path]
        if not inside or not path.exists():
            raise UsageError(f"no forget set at {path}: name a file, or a folder with files named forget*.")
        found += inside
    return found


def audits(folders: Sequence[Path]) -> tuple[list[Audit], list[Path]]:
    """The finished runs of folders, and those of which nobody can tell what they were about.

    Raises:
        CouldNotRun: a run is damaged, or its record is not the one that its certificate was issued for.
        UsageError: there is no such folder.
    """
    found, closed = [], list[Path]()
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}: name that of the runs with --runs.")
        for path in sorted(p for p in (folder, *folder.iterdir()) if (p / "run.json").is_file()):
            audit = _read(path)
            if audit is None:
                closed.append(path)
            else:
                found.append(audit)
    return found, closed


def _read(path: Path) -> Audit | None:
    """A finished run; None where nothing opens its commitment to the forget set."""
    run = RunDir(path)
    result, content = read_bound(run)
    signed = statement_of(run, content)
    if signed is None or not run.commitment_key.is_file():
        return None
    try:
        extension = signed[0]["predicate"][EXTENSION]
        commitment, on = str(extension["commitments"]["forget"]), str(extension["issuedOn"])[:10]
        key = read_once(run.commitment_key, KEY_BYTES + 1)
        if len(key) != KEY_BYTES:
            raise ValueError
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CouldNotRun(f"{path}: its certificate or commitment key is damaged: restore it from a copy.") from error
    verdict = result.verdict
    said = verdict.outcome.value + (f" ({verdict.qualifier})" if verdict.qualifier else "")
    models = tuple((item.name, item.sha256 or "") for item in result.inputs if item.role == "unlearned")
    return Audit(path, models, said, on, commitment, key)


def lines_of(path: Path, found: Sequence[Audit], named: Sequence[tuple[str, str]]) -> Iterator[Line]:
    """The lines of one forget set, request by request.

    Args:
        path: the forget set.
        found: runs, of whatever data.
        named: name and digest of the models that the requests concern.

    Raises:
        InputError: it cannot be read, or its rows name no request.
    """
    try:
        forget = read_data(path, need_inputs=False)
    except ValueError as error:
        raise InputError(str(error).splitlines()) from None
    if forget.request is None:
        raise InputError([f"{path} does not say which request a row belongs to: add an array or column `request`"])
    judged = [(name, digest, audit) for audit in found if audit.is_of(forget) for name, digest in audit.models]
    seen = {digest for _, digest, _ in judged}
    silent = [(name, digest) for name, digest in named if digest not in seen] or ([] if judged else [("", "")])
    for request, rows in zip(*np.unique(forget.request, return_counts=True), strict=True):
        for name, digest, audit in judged:
            yield Line(str(request), int(rows), str(path), name, digest[:12], audit.verdict, audit.on, str(audit.path))
        for name, digest in silent:
            yield Line(str(request), int(rows), str(path), name, digest[:12], NOT_AUDITED)


def table(lines: Sequence[Line]) -> str:
    """The lines as CSV, one header line first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Line)])
    writer.writerows([_cell(value) for value in astuple(line)] for line in lines)
    return text.getvalue()


def _cell(value: object) -> str:
    """Text that a spreadsheet does not take for a formula: ids come from others."""
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
