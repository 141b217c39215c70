"""DSSE envelopes and strict JSON: the bytes around a certificate.

Format: DSSE v1 (https://github.com/secure-systems-lab/dsse). What is signed are the payload's bytes as they stand.
Nothing is read from a payload before its signature holds, and the signature is checked with the key that the caller
trusts, never with one named in the envelope. The reader accepts one spelling of every byte.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import AuditError, CouldNotRun, ExitCode
from audit.record.readonce import read_once

from .keys import key_id

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 8 * 1024 * 1024
MAX_DIGITS = 20  # a 64-bit integer with its sign
ASK = "ask the signer for a certificate made by this tool."


class CertificateError(AuditError):
    """The certificate does not hold; the message says which step refused it."""

    exit_code = ExitCode.FAIL


def encode(statement: Mapping[str, Any]) -> bytes:
    """Deterministic bytes of a statement (sorted keys, ASCII); as they stand, an unsigned certificate.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE pre-authentication encoding, the bytes that are signed.

    Sources:
        https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, private_key: Ed25519PrivateKey) -> bytes:
    """Sign the bytes of a statement.

    Args:
        payload: from `encode`; signed as they are.
        private_key: from `load_private_key`.

    Returns:
        The DSSE envelope, the content of ``certificate.dsse.json``. Ed25519 is deterministic, and so is this.
    """
    signature = private_key.sign(pae(PAYLOAD_TYPE, payload))
    envelope = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id(private_key.public_key()), "sig": base64.b64encode(signature).decode("ascii")}],
    }
    return encode(envelope) + b"\n"


def read_certificate(path: Path) -> bytes:
    """Read a certificate file, never more than `verify_certificate` accepts (and one byte).

    Raises:
        CouldNotRun: the file cannot be read.
    """
    try:
        return read_once(path, MAX_BYTES + 1)
    except OSError as error:
        raise CouldNotRun(f"cannot read {path} ({error.strerror}): name a certificate file.") from error


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
        raise CertificateError(f"the envelope has not exactly payload, payloadType and signatures: {ASK}")
    if document["payloadType"] != PAYLOAD_TYPE:
        raise CertificateError(f"the payload type is not {PAYLOAD_TYPE}: {ASK}")
    signatures = document["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise CertificateError(f"the envelope has not exactly one signature: {ASK}")
    entry = signatures[0]
    if (
        not isinstance(entry, dict)
        or not {"sig"} <= entry.keys() <= {"sig", "keyid"}
        or not isinstance(entry.get("keyid", ""), str)
    ):
        raise CertificateError(f"the signature entry has not exactly sig and, optionally, keyid: {ASK}")
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
        raise CertificateError(f"{what} is larger than {MAX_BYTES} bytes: this is no certificate; {ASK}")
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
        raise CertificateError(f"{what} is no strict JSON (nested too deeply): {ASK}") from None
    except ValueError as error:
        raise CertificateError(f"{what} is no strict JSON ({ascii(str(error))[1:-1]}): {ASK}") from None
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
        raise CertificateError(f"the {what} is not canonical base64: {ASK}") from None
    return data
