"""Is there a record behind an exit code? What the process that watches an audit checks after it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.certify.issue import read_bound
from audit.errors import CouldNotRun
from audit.record.result import AuditResult, to_json
from audit.record.rundir import RunDir, open_run

if TYPE_CHECKING:
    from audit.run import Finished


def digests_of(run: RunDir, certificate: Path | None) -> dict[str, str]:
    """SHA-256 of the files that stand behind an exit code, by name."""
    paths = [run.result, run.report, *([] if certificate is None else [certificate])]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def line_of(finished: Finished, code: int) -> dict[str, Any]:
    """The line on standard output."""
    verdict, run, certificate = finished.result.verdict, finished.run, finished.certificate
    return {
        "verdict": verdict.outcome.value,
        "qualifier": verdict.qualifier,
        "exit_code": code,
        "run": str(run.path),
        "report": str(run.report),
        "certificate": None if certificate is None else str(certificate),
    }


def check_record(said: dict[str, Any], code: int) -> str:
    """Check what an audit says that it wrote, and return its line for standard output.

    The record on disk is the one that was written a moment ago, strict, of the verdict that the exit code says; its
    certificate was issued for it and says the same.

    Args:
        said: ``line`` and ``digests``, as the audit told them.
        code: how it ended.

    Raises:
        CouldNotRun: one of this does not hold.
    """
    line, digests = said["line"], said["digests"]
    run = open_run(Path(line["run"]))
    certificate = None if line["certificate"] is None else Path(line["certificate"])
    try:
        content = run.result.read_bytes()
        same = digests_of(run, certificate) == digests
        result = AuditResult.model_validate_json(content)
        strict = to_json(result).encode("ascii") == content
    except (OSError, ValueError) as error:
        raise CouldNotRun(f"{run.path}: the record cannot be read back ({type(error).__name__}): run again.") from error
    if not same or not strict:
        raise CouldNotRun(f"{run.path}: the record is not what was written a moment ago: see who writes there.")
    outcome = result.verdict.outcome.value
    if (outcome, result.verdict.qualifier) != (line["verdict"], line["qualifier"]) or line["exit_code"] != code:
        raise CouldNotRun(f"{run.path}: the record says {outcome}, the command ended with {code}: run again.")
    read_bound(run)
    return json.dumps(line, sort_keys=True)
