"""When, by whom and under which key a certificate was issued: what the report says of it on its first screen."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from audit.record.readonce import read_once
from audit.record.rundir import RunDir


@dataclass(frozen=True)
class Issued:
    """The head of a certificate. It is quoted, not verified: only `audit verify` proves who signed.

    Attributes:
        on: the day, ``2026-01-31``.
        until: the day on which it expires.
        name, role: the signer as the configuration names them.
        key: SHA-256 of the public key; "" where nothing is signed.
    """

    on: str
    until: str
    name: str
    role: str
    key: str = ""


def issued_of(run: RunDir, run_json: bytes) -> Issued | None:
    """The head of the certificate beside a record; None where there is none, or where it is another record's."""
    with suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
        found = statement_of(run, run_json)
        return None if found is None else head(*found)
    return None


def statement_of(run: RunDir, run_json: bytes) -> tuple[dict[str, Any], str] | None:
    """The statement beside a record and the key that signed it ("" for none), unverified; None as in `issued_of`."""
    for path in (run.certificate, run.statement):
        with suppress(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            document = json.loads(read_once(path))
            signed = path == run.certificate
            statement = json.loads(base64.b64decode(document["payload"])) if signed else document
            if _bound(statement) == hashlib.sha256(run_json).hexdigest():
                return statement, str(document["signatures"][0]["keyid"]) if signed else ""
    return None


def head(statement: dict[str, Any], key: str) -> Issued:
    """The head of a statement."""
    extension = statement["predicate"]["unlearningAudit"]
    return Issued(
        on=str(extension["issuedOn"])[:10],
        until=str(extension["expiresOn"])[:10],
        name=str(extension["signer"]["name"]),
        role=str(extension["signer"]["role"]),
        key=key,
    )


def _bound(statement: dict[str, Any]) -> str:
    found = {item["name"]: item["digest"]["sha256"] for item in statement["predicate"]["configuration"]}
    return str(found["run.json"])
