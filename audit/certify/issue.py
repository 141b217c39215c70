"""Issue the certificate of a finished run: commitments to the data, statement, signature."""

from __future__ import annotations

import base64
import hashlib
import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import CouldNotRun, UsageError
from audit.inputs.config import CertificateSection
from audit.inputs.data import Arrays
from audit.record.digest import load_or_create_key
from audit.record.files import write_bytes
from audit.record.result import AuditResult
from audit.record.rundir import RunDir

from .certificate import build_statement
from .envelope import encode, sign
from .keys import load_private_key

COMMITMENTS = "commitments.json"


def commit_data(run: RunDir, files: Mapping[str, Arrays]) -> None:
    """Commit to every data file under the run's own random key, kept in ``private/``.

    `audit purge` destroys the key: from then on nobody can test a guess against the certificate.
    """
    key = load_or_create_key(run.commitment_key)
    commitments = {role: data.fingerprint(key) for role, data in files.items()}
    write_bytes(run.private / COMMITMENTS, json.dumps(commitments, sort_keys=True).encode(), private=True)


def issue(run: RunDir, result: AuditResult, signer: CertificateSection) -> Path | None:
    """Write the signed certificate, or the bare statement where no key is given; return its path.

    None where a model has no digest: nothing is certified that cannot be named. The record says why.

    Raises:
        CouldNotRun: the run was purged before a certificate was issued.
        UsageError: the key cannot be used, or the report is missing.
    """
    for stale in (run.certificate, run.statement):
        stale.unlink(missing_ok=True)
    if any(item.sha256 is None for item in result.inputs if item.kind != "data"):
        return None
    try:
        commitments = json.loads((run.private / COMMITMENTS).read_text(encoding="utf-8"))
        report = hashlib.sha256(run.report.read_bytes()).hexdigest()
    except OSError as error:
        raise CouldNotRun(f"{run.path} has no commitments or no report: run the audit again.") from error
    subjects = [(item.name, item.sha256 or "") for item in result.inputs if item.role == "unlearned"]
    statement = build_statement(
        result,
        subjects=subjects,
        commitments=commitments,
        issued=datetime.now(UTC),
        valid_days=int(result.policy.values["valid_days"]),
        signer_name=signer.signer_name,
        signer_role=signer.signer_role,
        run_json_sha256=hashlib.sha256(run.result.read_bytes()).hexdigest(),
        report_sha256=report,
    )
    key = signing_key(signer)
    if key is None:
        write_bytes(run.statement, encode(statement))
        return run.statement
    write_bytes(run.certificate, sign(encode(statement), key))
    return run.certificate


def check_signer(signer: CertificateSection) -> None:
    """Called first, so that a wrong key costs no audit.

    Raises:
        UsageError: see ``signing_key``.
    """
    signing_key(signer)


def signer_of(run: RunDir, sign_key: Path | None) -> CertificateSection:
    """The signer of a run's own configuration, with another key where one is given."""
    try:
        section = tomllib.loads(run.config.read_text(encoding="utf-8")).get("certificate", {})
    except (OSError, tomllib.TOMLDecodeError):
        section = {}
    found = CertificateSection.model_validate(section)
    return found if sign_key is None else found.model_copy(update={"sign_key": sign_key})


def signing_key(signer: CertificateSection) -> Ed25519PrivateKey | None:
    """The signer's private key; None where none is given.

    Raises:
        UsageError: the key is missing or cannot be used.
    """
    if signer.sign_key is None:
        return None
    if not signer.sign_key.is_file():
        raise UsageError(f"no signing key at {signer.sign_key}: make one with `audit keygen`.")
    return load_private_key(signer.sign_key)


def check_bound(run: RunDir) -> None:
    """Refuse a ``run.json`` that is not the one its certificate (or unsigned statement) was issued for.

    This finds an edited record; only `audit verify` proves who signed the certificate.

    Raises:
        CouldNotRun: the digests differ, or the certificate cannot be read.
    """
    try:
        if run.certificate.is_file():
            statement = json.loads(base64.b64decode(json.loads(run.certificate.read_bytes())["payload"]))
        elif run.statement.is_file():
            statement = json.loads(run.statement.read_bytes())
        else:
            return
        (bound,) = (
            item["digest"]["sha256"]
            for item in statement["predicate"]["configuration"]
            if item["name"] == run.result.name
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CouldNotRun(f"{run.path}: its certificate cannot be read: run `audit score` to issue it anew.") from error
    if bound != hashlib.sha256(run.result.read_bytes()).hexdigest():
        raise CouldNotRun(
            f"{run.result} is not the record that its certificate was issued for: it was edited. Judge the evidence "
            "again with `audit score`."
        )
