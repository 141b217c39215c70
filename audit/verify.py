"""Verification of certificates, offline and without torch.

The order of the steps is part of the design: nothing is read from the payload before its signature holds, and
the signature is checked with the key that the caller trusts, never with one named in the envelope.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .certificate import (
    EXTENSION,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    TIME_FORMAT,
    VERIFIED_VERSIONS,
    in_toto_result,
    key_id,
    pae,
)
from .digest import sha256_file
from .errors import AuditError, CouldNotRun, ExitCode, UsageError
from .result import FindingStatus, Outcome

MAX_BYTES = 8 * 1024 * 1024
MAX_DIGITS = 20  # a 64-bit integer with its sign
QUALIFIERS = ("", "transfer", "with trace")
CLOCK_SKEW = timedelta(minutes=5)

_ASK = "ask the signer for a certificate made by this tool."
_Field = TypeVar("_Field")


class CertificateError(AuditError):
    """The certificate does not hold; the message says which step refused it."""

    exit_code = ExitCode.FAIL


@dataclass(frozen=True)
class Verified:
    """A certificate that holds. That it holds does not mean that the audit passed: look at ``verdict``.

    Attributes:
        verdict: what the audit found.
        qualifier: "" for a plain verdict; "transfer" or "with trace" for a PASS that only some policies admit.
        statement: the signed in-toto statement.
        key_id: SHA-256 of the public key that verified it.
        expires: when it stops to hold.
    """

    verdict: Outcome
    qualifier: str
    statement: dict[str, Any]
    key_id: str
    expires: datetime


def read_certificate(path: Path) -> bytes:
    """Read a certificate file, never more than `verify_certificate` accepts (and one byte).

    Raises:
        CouldNotRun: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CouldNotRun(f"cannot read {path} ({error.strerror}): name a certificate file.") from error


def verify_certificate(
    envelope: bytes,
    *,
    public_key_pem: bytes,
    model_files: Sequence[Path],
    policy_sha256: str | None = None,
    max_age_days: int | None = None,
    now: datetime,
) -> Verified:
    """Verify a certificate against a trusted key and the files of the model.

    Steps: size and strict JSON, payload type, signature, statement, its types and version, model digests,
    result against verdict, policy, dates.

    Args:
        envelope: the bytes of ``certificate.dsse.json``.
        public_key_pem: the signer's Ed25519 public key, which did not come along with the certificate.
        model_files: every file of the unlearned model; matched by content, names do not matter.
        policy_sha256: the policy that the audit must have used, if it matters.
        max_age_days: the greatest age to accept, if it matters.
        now: the current time, with a time zone.

    Returns:
        What was verified. A certificate of a failed audit verifies too.

    Raises:
        CertificateError: a step refused the certificate; the message says why.
        UsageError: the public key is not an Ed25519 public key in PEM.
        CouldNotRun: a model file cannot be read.
        ValueError: ``now`` has no time zone.

    Sources:
        https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
        https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
    """
    if now.tzinfo is None:
        raise ValueError("the current time needs a time zone")
    key = _public_key(public_key_pem)
    payload = open_envelope(envelope, key)
    statement = parse_json(payload, "the statement")
    predicate, extension = _check_types(statement)
    _check_subjects(_field(statement, "subject", list), model_files)
    verdict, qualifier = _check_result(predicate, extension)
    if policy_sha256 is not None:
        _check_policy(_field(predicate, "configuration", list), policy_sha256)
    expires = _check_dates(extension, max_age_days, now)
    return Verified(verdict, qualifier, statement, key_id(key), expires)


def open_envelope(envelope: bytes, key: Ed25519PublicKey) -> bytes:
    """Check a DSSE envelope and return its payload bytes, unparsed.

    Args:
        envelope: the bytes of the envelope.
        key: the trusted key; the ``keyid`` in the envelope is ignored.

    Raises:
        CertificateError: the envelope is malformed, of another type, or not signed by this key.
    """
    document = parse_json(envelope, "the envelope")
    if not isinstance(document, dict) or document.keys() != {"payload", "payloadType", "signatures"}:
        raise CertificateError(f"the envelope has not exactly payload, payloadType and signatures: {_ASK}")
    if document["payloadType"] != PAYLOAD_TYPE:
        raise CertificateError(f"the payload type is not {PAYLOAD_TYPE}: {_ASK}")
    signatures = document["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise CertificateError(f"the envelope has not exactly one signature: {_ASK}")
    entry = signatures[0]
    if (
        not isinstance(entry, dict)
        or not {"sig"} <= entry.keys() <= {"sig", "keyid"}
        or not isinstance(entry.get("keyid", ""), str)
    ):
        raise CertificateError(f"the signature entry has not exactly sig and, optionally, keyid: {_ASK}")
    payload = _base64(document["payload"], "payload")
    try:
        key.verify(_base64(entry["sig"], "signature"), pae(PAYLOAD_TYPE, payload))
    except InvalidSignature:
        raise CertificateError(
            "the signature is not this key's signature of this content: check that the key is the signer's, "
            "and fetch the certificate again; do not rely on this copy."
        ) from None
    return payload


def parse_json(data: bytes, what: str) -> Any:
    """Parse JSON strictly.

    Refused: more than 8 MiB, anything but UTF-8, a byte order mark, duplicate keys, NaN and infinities,
    numbers out of range, unpaired surrogates, excessive nesting, trailing data.

    Args:
        data: the bytes.
        what: what they are, for the message.

    Raises:
        CertificateError: the bytes are no strict JSON.
    """
    if len(data) > MAX_BYTES:
        raise CertificateError(f"{what} is larger than {MAX_BYTES} bytes: this is no certificate; {_ASK}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses unpaired surrogates
    except RecursionError:
        raise CertificateError(f"{what} is no strict JSON (nested too deeply): {_ASK}") from None
    except ValueError as error:
        raise CertificateError(f"{what} is no strict JSON ({ascii(str(error))[1:-1]}): {_ASK}") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate key")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _bounded_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("integer out of range")
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("number out of range")
    return value


def _base64(text: object, what: str) -> bytes:
    """Decode base64 of either alphabet; only the canonical spelling of the bytes is accepted."""
    try:
        if not isinstance(text, str):
            raise TypeError
        altchars = b"-_" if "-" in text or "_" in text else b"+/"
        data = base64.b64decode(text, altchars=altchars, validate=True)
        if base64.b64encode(data, altchars).decode("ascii") != text:
            raise ValueError
    except (TypeError, ValueError, binascii.Error):
        raise CertificateError(f"the {what} is not canonical base64: {_ASK}") from None
    return data


def _public_key(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("the key is not an Ed25519 public key in PEM: use the file that audit keygen wrote.")
    return key


def _field(container: object, key: str, kind: type[_Field]) -> _Field:
    value = container.get(key) if isinstance(container, dict) else None
    if not isinstance(value, kind):
        raise CertificateError(f"the statement has no valid {key!r}: {_ASK}")
    return value


def _check_types(statement: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The statement is one of ours; returns its predicate and our extension."""
    if _field(statement, "_type", str) != STATEMENT_TYPE:
        raise CertificateError(f"the statement type is not {STATEMENT_TYPE}: {_ASK}")
    if _field(statement, "predicateType", str) != PREDICATE_TYPE:
        raise CertificateError(f"the predicate type is not {PREDICATE_TYPE}: {_ASK}")
    predicate: dict[str, Any] = _field(statement, "predicate", dict)
    extension: dict[str, Any] = _field(predicate, EXTENSION, dict)
    if _field(extension, "schemaVersion", str) not in VERIFIED_VERSIONS:
        raise CertificateError(
            f"the certificate's schema version is none of {', '.join(VERIFIED_VERSIONS)}: verify it with the version "
            "of this tool that made it."
        )
    return predicate, extension


def _check_subjects(subjects: list[Any], model_files: Sequence[Path]) -> None:
    """The given files are the certified ones: none missing, none extra, none twice."""
    named: dict[str, str] = {}
    for subject in subjects:
        digest = _field(_field(subject, "digest", dict), "sha256", str)
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise CertificateError(f"a subject has no valid SHA-256 digest: {_ASK}")
        if digest in named:
            raise CertificateError(f"the certificate names one subject twice: {_ASK}")
        named[digest] = ascii(subject.get("name", ""))
    if not named:
        raise CertificateError(f"the certificate names no subject: {_ASK}")
    given: dict[str, Path] = {}
    for path in model_files:
        digest = sha256_file(path)
        if digest in given:
            raise CertificateError(f"{given[digest]} and {path} are the same file: give every file once.")
        given[digest] = path
    extra = ", ".join(str(path) for digest, path in given.items() if digest not in named)
    missing = ", ".join(name for digest, name in named.items() if digest not in given)
    if extra:
        raise CertificateError(
            f"the certificate is not about {extra}: it covers other content; give the certified files, or "
            "audit this model."
        )
    if missing:
        raise CertificateError(f"files of the certified model are missing ({missing}): give all of them.")


def _check_result(predicate: dict[str, Any], extension: dict[str, Any]) -> tuple[Outcome, str]:
    """What others read (``result``, ``passedTests``) claims no more than our verdict and findings."""
    name = _field(extension, "verdict", str)
    if name not in set(Outcome):
        raise CertificateError(f"the certificate's verdict is unknown: {_ASK}")
    verdict = Outcome(name)
    qualifier = extension.get("qualifier", "")  # absent in version 1.0
    if qualifier not in QUALIFIERS or (qualifier and verdict is not Outcome.PASS):
        raise CertificateError(f"the certificate's qualifier is unknown: {_ASK}")
    if _field(predicate, "result", str) != in_toto_result(verdict, qualifier):
        raise CertificateError(f"the certificate's result contradicts its verdict {verdict}: {_ASK}")
    passed = {
        _field(finding, "id", str)
        for finding in _field(extension, "findings", list)
        if _field(finding, "status", str) == FindingStatus.PASS
    }
    for test in _field(predicate, "passedTests", list):
        if not isinstance(test, str) or test not in passed:
            raise CertificateError(f"the certificate lists a test as passed whose finding did not: {_ASK}")
    return verdict, qualifier


def _check_policy(configuration: list[Any], policy_sha256: str) -> None:
    digests = [
        _field(_field(item, "digest", dict), "sha256", str)
        for item in configuration
        if _field(item, "name", str) == "policy"
    ]
    if digests != [policy_sha256.lower()]:
        raise CertificateError(
            "the audit was judged by another policy: verify with that one, or ask for an audit under yours."
        )


def _check_dates(extension: dict[str, Any], max_age_days: int | None, now: datetime) -> datetime:
    issued = _time(extension, "issuedOn")
    expires = _time(extension, "expiresOn")
    if now >= expires:
        raise CertificateError(f"the certificate expired on {expires:{TIME_FORMAT}}: audit the model again.")
    if max_age_days is not None and (now - issued) / timedelta(days=1) > max_age_days:
        raise CertificateError(
            f"the certificate is older than {max_age_days} days (issued {issued:{TIME_FORMAT}}): audit the model again."
        )
    if issued - now > CLOCK_SKEW:
        raise CertificateError(
            f"the certificate is dated in the future ({issued:{TIME_FORMAT}}): check the clocks here and at "
            "the signer's."
        )
    return expires


def _time(extension: dict[str, Any], key: str) -> datetime:
    text = _field(extension, key, str)
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
            raise ValueError
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise CertificateError(f"the certificate's {key} is no UTC time: {_ASK}") from None
