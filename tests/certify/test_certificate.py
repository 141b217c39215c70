"""Certificates: building, signing, and every step of verification."""

import base64
import copy
import hashlib
import json
import random
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cases.certified import (
    DIGESTS,
    ENVELOPE,
    ISSUED,
    KEY,
    ORIGINAL,
    POLICY,
    PUBLIC,
    RETRAINED,
    RUN,
    SECRET,
    WEIGHTS,
    audit_result,
    finding,
    statement,
    verify,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from audit.certify.certificate import VERIFIED_VERSIONS
from audit.certify.envelope import (
    MAX_BYTES,
    CertificateError,
    encode,
    open_envelope,
    pae,
    parse_json,
    read_certificate,
    sign,
)
from audit.certify.keys import generate_keypair, key_id, load_private_key
from audit.errors import CouldNotRun, ExitCode, UsageError
from audit.record.findings import FindingStatus
from audit.record.inputs import InputRecord
from audit.record.result import Outcome

Change = Callable[[dict[str, Any]], object]


def resign(change: Change) -> bytes:
    """A certificate, validly signed by the right key, whose statement was changed first."""
    document = copy.deepcopy(statement())
    change(document)
    return sign(encode(document), KEY)


def reshape(change: Change) -> bytes:
    """A certificate whose envelope was changed after signing."""
    document = json.loads(ENVELOPE)
    change(document)
    return json.dumps(document).encode()


def extension(document: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = document["predicate"]["unlearningAudit"]
    return inner


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, content in WEIGHTS.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in WEIGHTS]


# Signing


def test_pre_authentication_encoding_of_the_dsse_protocol() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected
    assert pae("application/vnd.exämple+json", b"") == "DSSEv1 29 application/vnd.exämple+json 0 ".encode()


def test_published_dsse_vector_single_signature() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/master/testvectors/vectors.json, "single-signature"
    envelope = json.loads(sign(b'{"_type":"https://in-toto.io/Statement/v1"}', KEY))
    assert envelope["payload"] == "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ=="
    assert envelope["signatures"][0]["sig"] == (
        "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="
    )


def test_published_dsse_vector_in_the_url_safe_alphabet_opens() -> None:
    # As above, "url-safe-base64". The payload is no JSON; opening must not care.
    sig = "P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw=="
    envelope = {
        "payload": "-_-_Pj8=",
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": sig, "keyid": "A"}],
    }
    assert open_envelope(json.dumps(envelope).encode(), KEY.public_key()) == b"\xfb\xff\xbf\x3e\x3f"


def test_signature_holds_on_an_independent_path() -> None:
    envelope = json.loads(ENVELOPE)
    payload = base64.standard_b64decode(envelope["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    raw = KEY.public_key().public_bytes_raw()
    public = Ed25519PublicKey.from_public_bytes(raw)
    public.verify(base64.standard_b64decode(envelope["signatures"][0]["sig"]), signed)
    assert envelope["signatures"][0]["keyid"] == hashlib.sha256(raw).hexdigest() == key_id(public)


def test_an_independent_implementation_accepts_the_envelope() -> None:
    """securesystemslib, which in-toto and TUF verify with, reads the same bytes and refuses changed ones."""
    envelope = Envelope.from_dict(json.loads(ENVELOPE))
    raw = KEY.public_key().public_bytes_raw().hex()
    trusted = SSlibKey(key_id(KEY.public_key()), "ed25519", "ed25519", {"public": raw})
    assert set(envelope.verify([trusted], threshold=1)) == {trusted.keyid}
    assert envelope.payload == encode(statement())
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([trusted], threshold=1)


def test_the_documented_key_id_is_the_one_that_another_implementation_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of docs/security.md, run as it stands; the id that securesystemslib makes itself finds no signature."""
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "keyid" in block]
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "audit.key.pub").write_bytes(pem)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    envelope = Envelope.from_dict(json.loads(ENVELOPE))
    trusted = SSlibKey(names["keyid"], "ed25519", "ed25519", {"public": names["raw"].hex()})
    assert set(envelope.verify([trusted], threshold=1)) == {names["keyid"]}
    own = SSlibKey.from_crypto(KEY.public_key())
    assert own.keyid != names["keyid"]
    with pytest.raises(VerificationError):
        envelope.verify([own], threshold=1)


def test_bytes_are_deterministic_ascii_and_refuse_nan() -> None:
    assert sign(encode(statement()), KEY) == ENVELOPE
    assert encode({"b": 1, "a": "ä"}) == b'{"a":"\\u00e4","b":1}'
    with pytest.raises(ValueError, match="JSON"):
        encode({"a": float("nan")})


def test_keypair_round_trip_and_permissions(tmp_path: Path) -> None:
    private, public = tmp_path / "audit.key", tmp_path / "audit.pub"
    generate_keypair(private, public)
    if sys.platform != "win32":
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = load_private_key(private)
    loaded = serialization.load_pem_public_key(public.read_bytes())
    assert isinstance(loaded, Ed25519PublicKey)
    assert key_id(loaded) == key_id(key.public_key())
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        generate_keypair(tmp_path / "new.key", public)
    with pytest.raises(UsageError, match="exists"):
        generate_keypair(private, tmp_path / "new.pub")
    assert (private.read_bytes(), public.read_bytes()) == before
    assert sorted(tmp_path.iterdir()) == [private, public]


def test_a_failed_keypair_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        generate_keypair(tmp_path / "same", tmp_path / "same")
    with pytest.raises(CouldNotRun, match="make its folder writable"):
        generate_keypair(tmp_path / "key", tmp_path / "absent" / "pub")
    assert list(tmp_path.iterdir()) == []


def test_other_private_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    encrypted = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    for content in (b"", b"no key", PUBLIC, encrypted):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="audit keygen"):
            load_private_key(path)
    with pytest.raises(UsageError, match="cannot read"):
        load_private_key(tmp_path / "absent")


# Statement


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_a_pass_maps_to_passed(outcome: Outcome, files: list[Path]) -> None:
    built = statement(audit_result(outcome))
    assert built["predicate"]["result"] == ("PASSED" if outcome is Outcome.PASS else "FAILED")
    verified = verify(sign(encode(built), KEY), files)
    assert verified.verdict is outcome


def test_tests_are_listed_so_that_nothing_unproven_looks_passed() -> None:
    findings = [finding(f"a.mandatory_{status.name}", status) for status in FindingStatus]
    findings += [finding(f"a.other_{status.name}", status, "supplementary") for status in FindingStatus]
    predicate = statement(audit_result(Outcome.FAIL, *findings))["predicate"]
    assert predicate["passedTests"] == ["a.mandatory_PASS", "a.other_PASS"]
    assert predicate["warnedTests"] == []
    unproven = {f"a.mandatory_{name}" for name in ("INCONCLUSIVE", "NOT_COVERED", "SKIPPED", "ERROR")}
    assert set(predicate["failedTests"]) == {"a.mandatory_FAIL", "a.other_FAIL"} | unproven


def test_statement_says_what_was_done() -> None:
    built = statement()
    assert built["_type"] == "https://in-toto.io/Statement/v1"
    assert built["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert {s["name"]: s["digest"]["sha256"] for s in built["subject"]} == DIGESTS
    configuration = {c["name"]: c["digest"]["sha256"] for c in built["predicate"]["configuration"]}
    expected = {"policy": POLICY, "run.json": RUN, "original": ORIGINAL, "retrained/0": RETRAINED}
    assert configuration == expected
    inner = extension(built)
    assert inner["issuedOn"] == "2026-03-01T12:00:00Z"
    assert inner["expiresOn"] == "2026-05-30T12:00:00Z"
    assert inner["scope"] == "At most 5 points."
    assert inner["signer"] == {"name": "A. Auditor", "role": "independent auditor"}
    assert inner["commitments"] == {"forget": "e" * 64}
    assert inner["findings"][0]["interval"] == {"low": 0.48, "high": 0.54, "level": 0.9}
    assert inner["findings"][0]["n"] == {"forget": 200, "holdout": 400, "references": None}
    assert inner["attacks"][0]["version"] == "1"
    assert inner["subjectSeen"] == "model"


def test_time_of_issue_is_converted_to_utc() -> None:
    local = ISSUED.astimezone(timezone(timedelta(hours=5)))
    assert statement(issued=local) == statement()
    with pytest.raises(ValueError, match="time zone"):
        statement(issued=ISSUED.replace(tzinfo=None))


def test_no_prose_about_records_no_chart_and_no_path_gets_in() -> None:
    text = encode(statement()).decode()
    for secret in (SECRET, "0.123456", "/home/someone"):
        assert secret not in text


def test_an_audit_of_outputs_says_that_the_model_was_not_seen() -> None:
    result = audit_result()
    outputs = InputRecord(role="unlearned", name="logits.npz", kind="outputs")
    result = result.model_copy(update={"inputs": (outputs,)})
    assert extension(statement(result))["subjectSeen"] == "outputs"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subjects": []}, "at least one file"),
        ({"subjects": [*DIGESTS.items(), ("copy", next(iter(DIGESTS.values())))]}, "same content"),
        ({"subjects": [("a", digest) for digest in DIGESTS.values()]}, "same name"),
        ({"subjects": [("a", "A" * 64)]}, "64 lower-case hex"),
        ({"subjects": [("a", "0" * 64)]}, "audited model has SHA-256"),
        ({"subjects": [("a\x1b[31m", next(iter(DIGESTS.values())))]}, "not printable"),
        ({"subjects": [("a\udcff", next(iter(DIGESTS.values())))]}, "not printable"),
        ({"commitments": {"forget": "short"}}, "commitment of forget"),
        ({"run_json_sha256": "0" * 63}, "digest of run.json"),
        ({"report_sha256": "0" * 64 + "\n"}, "digest of the report"),
        ({"valid_days": 0}, "cannot be valid for 0 days"),
        ({"valid_days": 10**12}, "cannot be valid"),
        ({"signer_name": ""}, "signer's name"),
    ],
)
def test_invalid_statements_are_not_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        statement(**changes)


# Verification


def test_round_trip(files: list[Path]) -> None:
    verified = verify(ENVELOPE, files[::-1], policy_sha256=POLICY, max_age_days=1)
    assert verified.verdict is Outcome.PASS
    assert verified.statement == statement()
    assert verified.key_id == key_id(KEY.public_key())
    assert verified.expires == ISSUED + timedelta(days=90)


def test_names_of_model_files_do_not_matter(files: list[Path]) -> None:
    renamed = [path.rename(path.with_suffix(".moved")) for path in files]
    assert verify(ENVELOPE, renamed).verdict is Outcome.PASS


def test_either_alphabet_and_no_keyid_are_accepted(files: list[Path]) -> None:
    def url_safe(document: dict[str, Any]) -> None:
        document["payload"] = document["payload"].replace("+", "-").replace("/", "_")
        sig = document["signatures"][0]["sig"]
        document["signatures"] = [{"sig": sig.replace("+", "-").replace("/", "_")}]

    assert verify(reshape(url_safe), files).verdict is Outcome.PASS


def test_the_key_in_the_envelope_is_never_trusted(files: list[Path]) -> None:
    other = Ed25519PrivateKey.generate()
    forged = json.loads(sign(encode(statement()), other))
    forged["signatures"][0]["keyid"] = key_id(KEY.public_key())
    with pytest.raises(CertificateError, match="not this key's signature"):
        verify(json.dumps(forged).encode(), files)


def flip(text: str, position: int) -> str:
    data = bytearray(base64.b64decode(text))
    data[position] ^= 1
    return base64.b64encode(data).decode()


def noncanonical(text: str) -> str:
    """The same bytes with other unused bits in the last character before the padding."""
    stem, padding = text.rstrip("="), len(text) - len(text.rstrip("="))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = stem[:-1] + alphabet[alphabet.index(stem[-1]) ^ 1] + "=" * padding
    assert padding
    assert base64.b64decode(other) == base64.b64decode(text)
    return other


ENVELOPE_CHANGES: dict[str, tuple[Change, str]] = {
    "payload byte": (lambda d: d.update(payload=flip(d["payload"], 100)), "not this key's signature"),
    "signature byte": (
        lambda d: d["signatures"][0].update(sig=flip(d["signatures"][0]["sig"], 0)),
        "not this key's signature",
    ),
    "signature length": (lambda d: d["signatures"][0].update(sig="AAAA"), "not this key's signature"),
    "type byte": (lambda d: d.update(payloadType="application/vnd.in-toto+jsoN"), "payload type"),
    "type kind": (lambda d: d.update(payloadType=None), "payload type"),
    "unknown key": (lambda d: d.update(extra=1), "not exactly payload"),
    "missing key": (lambda d: d.pop("payload"), "not exactly payload"),
    "no signature": (lambda d: d.update(signatures=[]), "exactly one signature"),
    "two signatures": (lambda d: d.update(signatures=d["signatures"] * 2), "exactly one signature"),
    "signatures kind": (lambda d: d.update(signatures={"0": 1}), "exactly one signature"),
    "signature entry": (lambda d: d.update(signatures=["sig"]), "signature entry"),
    "signature extra": (lambda d: d["signatures"][0].update(cert=""), "signature entry"),
    "keyid kind": (lambda d: d["signatures"][0].update(keyid=1), "signature entry"),
    "sig missing": (lambda d: d["signatures"][0].pop("sig"), "signature entry"),
    "sig kind": (lambda d: d["signatures"][0].update(sig=1), "signature is not canonical base64"),
    "payload kind": (lambda d: d.update(payload=["e30="]), "payload is not canonical base64"),
    "last character": (
        lambda d: d["signatures"][0].update(sig=noncanonical(d["signatures"][0]["sig"])),
        "signature is not canonical base64",
    ),
    "no padding": (
        lambda d: d["signatures"][0].update(sig=d["signatures"][0]["sig"].rstrip("=")),
        "signature is not canonical base64",
    ),
    "line break": (lambda d: d.update(payload=d["payload"] + "\n"), "payload is not canonical base64"),
    "not ASCII": (lambda d: d.update(payload="é" + d["payload"]), "payload is not canonical base64"),
    "mixed alphabets": (lambda d: d.update(payload="+_+_Pj8="), "payload is not canonical base64"),
}


@pytest.mark.parametrize("name", ENVELOPE_CHANGES)
def test_a_changed_envelope_is_refused_with_its_own_reason(name: str, files: list[Path]) -> None:
    change, message = ENVELOPE_CHANGES[name]
    with pytest.raises(CertificateError, match=message) as caught:
        verify(reshape(change), files)
    assert caught.value.exit_code is ExitCode.FAIL


STATEMENT_CHANGES: dict[str, tuple[Change, str]] = {
    "type": (lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"), "statement type"),
    "predicate type": (lambda d: d.update(predicateType="https://example.com"), "predicate type"),
    "predicate": (lambda d: d.update(predicate=[]), "no valid 'predicate'"),
    "extension": (lambda d: d["predicate"].pop("unlearningAudit"), "no valid 'unlearningAudit'"),
    "version": (lambda d: extension(d).update(schemaVersion="2.0"), "schema version"),
    "subject kind": (lambda d: d.update(subject={}), "no valid 'subject'"),
    "no subject": (lambda d: d.update(subject=[]), "names no subject"),
    "subject twice": (lambda d: d["subject"].append(d["subject"][0]), "one subject twice"),
    "subject entry": (lambda d: d.update(subject=["x"]), "no valid 'digest'"),
    "subject digest": (lambda d: d["subject"][0].update(digest={"md5": "0"}), "no valid 'sha256'"),
    "upper case": (lambda d: d["subject"][0].update(digest={"sha256": "A" * 64}), "valid SHA-256"),
    "fail as passed": (lambda d: extension(d).update(verdict="FAIL"), "contradicts its verdict"),
    "inconclusive as passed": (
        lambda d: extension(d).update(verdict="INCONCLUSIVE"),
        "contradicts its verdict",
    ),
    "warned": (lambda d: d["predicate"].update(result="WARNED"), "contradicts its verdict"),
    "pass as failed": (lambda d: d["predicate"].update(result="FAILED"), "contradicts its verdict"),
    "verdict": (lambda d: extension(d).update(verdict="pass"), "verdict is unknown"),
    "passed test": (lambda d: d["predicate"]["passedTests"].append("a.b"), "lists a test as passed"),
    "passed test kind": (lambda d: d["predicate"].update(passedTests=[[]]), "lists a test as passed"),
    "finding status": (
        lambda d: extension(d)["findings"][0].update(status="NOT DETECTED"),
        "lists a test as passed",
    ),
    "findings": (lambda d: extension(d).update(findings=[1]), "no valid 'status'"),
    "issued": (lambda d: extension(d).update(issuedOn="2026-03-01"), "issuedOn is no UTC time"),
    "expires": (lambda d: extension(d).update(expiresOn="2026-02-31T00:00:00Z"), "expiresOn is no UTC"),
    "expires offset": (
        lambda d: extension(d).update(expiresOn="2027-02-01T00:00:00+00:00"),
        "expiresOn is no UTC",
    ),
    "expires never": (lambda d: extension(d).pop("expiresOn"), "no valid 'expiresOn'"),
}


@pytest.mark.parametrize("name", STATEMENT_CHANGES)
def test_a_signed_but_wrong_statement_is_refused_with_its_own_reason(name: str, files: list[Path]) -> None:
    change, message = STATEMENT_CHANGES[name]
    with pytest.raises(CertificateError, match=message):
        verify(resign(change), files)


@pytest.mark.parametrize("payload", [b"", b"[]", b'"x"', b"null", b'{"a":1,"a":2}', b"{}{}", b'{"a":NaN}'])
def test_a_signed_payload_that_is_no_statement_is_refused(payload: bytes, files: list[Path]) -> None:
    with pytest.raises(CertificateError, match="the statement"):
        verify(sign(payload, KEY), files)


def test_the_signature_is_checked_before_the_payload_is_parsed(files: list[Path]) -> None:
    forged = sign(b'{"a":1,"a":2}', Ed25519PrivateKey.generate())
    with pytest.raises(CertificateError, match="not this key's signature"):
        verify(forged, files)


def test_wrong_keys(files: list[Path]) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(CertificateError, match="not this key's signature"):
        verify(ENVELOPE, files, public_key_pem=pem)
    for content in (b"", b"no key", PUBLIC[:-40]):
        with pytest.raises(UsageError, match="not an Ed25519 public key"):
            verify(ENVELOPE, files, public_key_pem=content)


def test_model_files_must_be_exactly_the_certified_ones(files: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other weights")
    duplicate = tmp_path / "duplicate"
    duplicate.write_bytes(files[0].read_bytes())
    for given_files, message in [
        ([files[0], other], "not about .*other"),
        ([*files, other], "not about .*other"),
        (files[:1], r"missing \('head.safetensors'\)"),
        ([], "are missing"),
        ([*files, duplicate], "same file"),
        ([*files, files[0]], "same file"),
    ]:
        with pytest.raises(CertificateError, match=message):
            verify(ENVELOPE, given_files)
    with pytest.raises(CouldNotRun, match="cannot read"):
        verify(ENVELOPE, [*files, tmp_path / "absent"])


def test_one_flipped_byte_of_the_weights_is_noticed(files: list[Path]) -> None:
    files[0].write_bytes(bytes([WEIGHTS[files[0].name][0] ^ 1]) + WEIGHTS[files[0].name][1:])
    with pytest.raises(CertificateError, match="not about"):
        verify(ENVELOPE, files)


def test_policy(files: list[Path]) -> None:
    assert verify(ENVELOPE, files, policy_sha256=POLICY.upper())
    with pytest.raises(CertificateError, match="another policy"):
        verify(ENVELOPE, files, policy_sha256="0" * 64)
    two = resign(lambda d: d["predicate"]["configuration"].append(d["predicate"]["configuration"][0]))
    with pytest.raises(CertificateError, match="another policy"):
        verify(two, files, policy_sha256=POLICY)


@pytest.mark.parametrize(
    ("age", "max_age", "message"),
    [
        (timedelta(days=90), None, "expired on 2026-05-30"),
        (timedelta(days=400), 10**12, "expired on"),
        (timedelta(days=30, seconds=1), 30, "older than 30 days"),
        (-timedelta(minutes=5, seconds=1), None, "dated in the future"),
        (-timedelta(days=10), 30, "dated in the future"),
    ],
)
def test_dates_refused(age: timedelta, max_age: int | None, message: str, files: list[Path]) -> None:
    with pytest.raises(CertificateError, match=message):
        verify(ENVELOPE, files, now=ISSUED + age, max_age_days=max_age)


@pytest.mark.parametrize(
    ("age", "max_age"),
    [
        (timedelta(days=90, seconds=-1), None),
        (timedelta(days=30), 30),
        (timedelta(days=1), 10**12),
        (-timedelta(minutes=5), 0),
    ],
)
def test_dates_accepted(age: timedelta, max_age: int | None, files: list[Path]) -> None:
    east = timezone(timedelta(hours=9))
    assert verify(ENVELOPE, files, now=(ISSUED + age).astimezone(east), max_age_days=max_age)


def test_now_needs_a_time_zone(files: list[Path]) -> None:
    with pytest.raises(ValueError, match="time zone"):
        verify(ENVELOPE, files, now=ISSUED.replace(tzinfo=None))


# Strict JSON


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"{}\x00", "Extra data"),
        (b'{"a": 1, "a": 1}', "duplicate key"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "duplicate key"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[Infinity]", "Infinity is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e999]", "number out of range"),
        (b"[" + b"9" * 10_000 + b"]", "integer out of range"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'"\xff"', "utf-8"),
        ("{}".encode("utf-16"), "utf-8"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b'"' + b"a" * MAX_BYTES + b'"', "larger than 8388608 bytes"),
        (b'{"a": 01}', "delimiter"),
        (b'{"a": 1,}', "property name"),
        (b"'a'", "Expecting value"),
    ],
)
def test_lax_json_is_refused(data: bytes, message: str, files: list[Path]) -> None:
    with pytest.raises(CertificateError, match=message):
        verify(data, files)


def test_ordinary_json_is_read() -> None:
    value = {"a": [1, -2.5, 1e-3, True, None, "ä \U0001f600"], "seed": 2**64 - 1, "low": -(2**63)}
    for ensure_ascii in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ensure_ascii).encode(), "x") == value


def test_no_more_than_the_cap_is_read(tmp_path: Path) -> None:
    path = tmp_path / "certificate.dsse.json"
    path.write_bytes(ENVELOPE)
    assert read_certificate(path) == ENVELOPE
    path.write_bytes(bytes(MAX_BYTES + 1000))
    assert len(read_certificate(path)) == MAX_BYTES + 1
    with pytest.raises(CouldNotRun, match="name a certificate file"):
        read_certificate(tmp_path)


# Hostile input


def test_ten_thousand_mutations_verify_no_other_payload() -> None:
    """Single bytes, and pieces that are dropped, doubled, swapped, moved or spliced in from another certificate."""
    generator = random.Random(20260301)
    key, payload = KEY.public_key(), encode(statement())
    other = sign(encode(statement(audit_result(Outcome.FAIL))), KEY)
    number = refused = changed = 0
    while changed < 10_000:
        number += 1
        mutated = _mutated(bytearray(ENVELOPE), other, generator, structured=number % 2 == 1)
        if mutated == ENVELOPE:  # a splice of bytes that both certificates share
            continue
        changed += 1
        try:
            opened = open_envelope(bytes(mutated), key)
        except CertificateError:
            refused += 1
            continue
        assert opened == payload
    # Only the key hint may change; a hit there is rare, as it is a small part of the envelope.
    assert refused > 9_500


def _mutated(data: bytearray, other: bytes, generator: random.Random, *, structured: bool) -> bytearray:
    start = generator.randrange(len(data))
    if not structured:
        data[start] ^= generator.randrange(1, 256)
        return data
    end = min(len(data), start + generator.randrange(1, 200))
    piece, kind = data[start:end], generator.randrange(5)
    if kind == 0:
        return data[:start] + data[end:]
    if kind == 1:
        return data[:end] + piece + data[end:]
    if kind == 2:
        return data[:start] + bytearray(reversed(piece)) + data[end:]
    rest = data[:start] + data[end:]
    if kind == 3:
        place = generator.randrange(len(rest))
        return rest[:place] + piece + rest[place:]
    return data[:start] + other[start:end] + data[end:]  # of the same length: a splice, not a shift


def test_no_byte_of_the_signature_can_change_and_none_of_the_payload_either() -> None:
    document, key = json.loads(ENVELOPE), KEY.public_key()
    for position in range(64):
        changed = copy.deepcopy(document)
        changed["signatures"][0]["sig"] = flip(document["signatures"][0]["sig"], position)
        with pytest.raises(CertificateError, match="not this key's signature"):
            open_envelope(json.dumps(changed).encode(), key)
    for position in range(0, len(encode(statement())), 97):
        changed = {**document, "payload": flip(document["payload"], position)}
        with pytest.raises(CertificateError, match="not this key's signature"):
            open_envelope(json.dumps(changed).encode(), key)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(CertificateError):
        verify(data, [])


@settings(max_examples=150, deadline=None)
@given(payload=json_values, payload_type=json_values, signatures=json_values)
def test_arbitrary_envelopes_raise_nothing_else(payload: Any, payload_type: Any, signatures: Any) -> None:
    for kind in (payload_type, "application/vnd.in-toto+json"):
        for entry in (signatures, [signatures], [{"sig": signatures}], [{"sig": "AAAA", "keyid": ""}]):
            document = {"payload": payload, "payloadType": kind, "signatures": entry}
            with pytest.raises(CertificateError):
                verify(json.dumps(document).encode(), [])


PATHS = [
    ("_type",),
    ("subject",),
    ("subject", 0),
    ("subject", 0, "digest"),
    ("subject", 0, "name"),
    ("predicate",),
    ("predicate", "result"),
    ("predicate", "configuration"),
    ("predicate", "configuration", 0),
    ("predicate", "configuration", 0, "digest"),
    ("predicate", "passedTests"),
    *(("predicate", "unlearningAudit", key) for key in ("schemaVersion", "verdict", "findings", "issuedOn")),
    ("predicate", "unlearningAudit", "expiresOn"),
    ("predicate", "unlearningAudit", "findings", 0),
]


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(PATHS), value=json_values)
def test_arbitrary_signed_statements_raise_nothing_else(path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(statement())
    container: Any = document
    for step in path[:-1]:
        container = container[step]
    container[path[-1]] = value
    envelope = sign(json.dumps(document).encode(), KEY)
    with pytest.raises(CertificateError):  # at the latest, because no model file is given
        verify(envelope, [], policy_sha256=POLICY)


def test_verification_imports_no_torch() -> None:
    code = "import sys, audit.certify.verify; sys.exit(bool({'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# Qualified verdicts and older versions


@pytest.mark.parametrize("qualifier", ["transfer", "with trace"])  # the third rests on findings: test_identical
def test_a_qualified_pass_is_a_warning_to_others(qualifier: str, files: list[Path]) -> None:
    result = audit_result()
    qualified = result.model_copy(update={"verdict": result.verdict.model_copy(update={"qualifier": qualifier})})
    envelope = sign(encode(statement(qualified)), KEY)
    assert json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]["result"] == "WARNED"
    verified = verify(envelope, files)
    assert (verified.verdict, verified.qualifier) == (Outcome.PASS, qualifier)


def _passed_in_silence(document: dict[str, Any]) -> None:
    extension(document)["qualifier"] = "transfer"  # but the result still says PASSED


def _unknown(document: dict[str, Any]) -> None:
    extension(document)["qualifier"] = "mostly"


def _qualified_failure(document: dict[str, Any]) -> None:
    extension(document).update(verdict="FAIL", qualifier="transfer")
    document["predicate"]["result"] = "FAILED"


@pytest.mark.parametrize("change", [_passed_in_silence, _unknown, _qualified_failure])
def test_qualifiers_that_do_not_fit_are_refused(change: Change, files: list[Path]) -> None:
    with pytest.raises(CertificateError, match=r"qualifier|contradicts"):
        verify(resign(change), files)


@pytest.mark.parametrize("version", VERIFIED_VERSIONS)
def test_certificates_of_every_version_verify_for_ever(version: str, files: list[Path]) -> None:
    golden = (Path(__file__).parents[1] / "golden" / f"certificate-{version}.dsse.json").read_bytes()
    verified = verify(golden, files)
    assert (verified.verdict, verified.qualifier) == (Outcome.PASS, "")
    assert verified.statement["predicate"]["unlearningAudit"]["schemaVersion"] == version
