"""Issue the certificate of a finished run: statement and signature, of what is in hand and not of what lies on disk."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import CouldNotRun, UsageError
from audit.record.files import write_bytes
from audit.record.readonce import read_once
from audit.record.result import AuditResult, parse_result, read_record
from audit.record.rundir import RunDir

from .certificate import build_statement
from .envelope import encode, sign
from .issued import Issued, head
from .keys import key_id, load_private_key


@dataclass(frozen=True)
class Signer:
    """Who signs, and with which key; without one the statement stays unsigned."""

    key: Ed25519PrivateKey | None
    name: str
    role: str


def issue(
    run: RunDir,
    result: AuditResult,
    signer: Signer,
    commitments: Mapping[str, str],
    *,
    at: datetime,
    run_json: bytes,
    report: bytes,
) -> Path | None:
    """Write the signed certificate, or the bare statement where no key is given; return its path.

    None where a model has no digest: nothing is certified that cannot be named. The record says why.

    Args:
        run: where it is written.
        result: the record.
        signer: who signs.
        commitments: keyed digest of every data file, by role.
        at: when it is issued.
        run_json: the bytes of the record as they were written.
        report: the bytes of the report.

    Raises:
        UsageError: signer or file names cannot stand in a certificate.
    """
    for stale in (run.certificate, run.statement):
        stale.unlink(missing_ok=True)
    if not _named(result):
        return None
    statement = _statement(result, signer, commitments, at, run_json, hashlib.sha256(report).hexdigest())
    if signer.key is None:
        write_bytes(run.statement, encode(statement))
        return run.statement
    write_bytes(run.certificate, sign(encode(statement), signer.key))
    return run.certificate


def foreseen(
    result: AuditResult, signer: Signer, commitments: Mapping[str, str], *, at: datetime, run_json: bytes
) -> Issued | None:
    """The head of the certificate that `issue` is about to write, for the report that it will bind.

    Raises:
        UsageError: see `issue`.
    """
    if not _named(result):
        return None
    key = "" if signer.key is None else key_id(signer.key.public_key())
    return head(_statement(result, signer, commitments, at, run_json, None), key)


def _named(result: AuditResult) -> bool:
    """Every model has a digest."""
    return all(item.sha256 is not None for item in result.inputs if item.kind != "data")


def _statement(
    result: AuditResult,
    signer: Signer,
    commitments: Mapping[str, str],
    at: datetime,
    run_json: bytes,
    report_sha256: str | None,
) -> dict[str, Any]:
    return build_statement(
        result,
        subjects=[(item.name, item.sha256 or "") for item in result.inputs if item.role == "unlearned"],
        commitments=commitments,
        issued=at,
        valid_days=int(result.policy.values["valid_days"]),
        signer_name=signer.name,
        signer_role=signer.role,
        run_json_sha256=hashlib.sha256(run_json).hexdigest(),
        report_sha256=report_sha256,
    )


def signing_key(path: Path | None) -> Ed25519PrivateKey | None:
    """The private key, read once and first, so that a wrong one costs no audit; None where none is given.

    Raises:
        UsageError: the key is missing or cannot be used.
    """
    if path is None:
        return None
    if not path.exists():
        raise UsageError(f"no signing key at {path}: make one with `audit keygen`.")
    return load_private_key(path)


def read_bound(run: RunDir) -> tuple[AuditResult, bytes]:
    """The record of a run and its bytes, refused where it is not the one that its certificate (or unsigned statement)
    was issued for.

    This finds an edited record; only `audit verify` proves who signed the certificate.

    Raises:
        CouldNotRun: the record or the certificate cannot be read, or the digests differ.
    """
    content = read_record(run.result)
    result = parse_result(content, run.result)
    bound = _bound(run)
    if bound not in (None, hashlib.sha256(content).hexdigest()):
        raise CouldNotRun(
            f"{run.result} is not the record that its certificate was issued for: it was edited. Judge the evidence "
            "again with `audit score`."
        )
    return result, content


def _bound(run: RunDir) -> str | None:
    """The digest of ``run.json`` in the certificate beside it; None where there is none."""
    try:
        if run.certificate.is_file():
            statement = json.loads(base64.b64decode(json.loads(read_once(run.certificate))["payload"]))
        elif run.statement.is_file():
            statement = json.loads(read_once(run.statement))
        else:
            return None
        (bound,) = (
            item["digest"]["sha256"]
            for item in statement["predicate"]["configuration"]
            if item["name"] == run.result.name
        )
        return str(bound)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CouldNotRun(f"{run.path}: its certificate cannot be read: run `audit score` to issue it anew.") from error
