"""Verification of certificates, offline and without torch.

The order of the steps is part of the design: nothing is read from the payload before its signature holds, and
the signature is checked with the key that the caller trusts, never with one named in the envelope.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.policy.policy import built_in
from audit.record.digest import sha256_path
from audit.record.findings import FindingStatus
from audit.record.result import Outcome

from .certificate import (
    ARCHITECTURE,
    EXTENSION,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    VERIFIED_VERSIONS,
    in_toto_result,
)
from .consistency import ADMITTED, contradiction, denied_by
from .envelope import ASK, CertificateError, open_envelope, parse_json
from .fields import check_dates, field, policy_of, time_of, version_of
from .keys import key_id, public_key

QUALIFIERS = ("", *ADMITTED)
#: versions whose PASS was not held against its policy when they were released: authentic for ever, and accepted by none
ANY_PASS = ("1.0", "1.1", "1.2")


@dataclass(frozen=True)
class Verified:
    """A certificate that holds. That it holds does not mean that the audit passed: look at ``verdict``.

    Attributes:
        verdict: what the audit found.
        qualifier: "" for a plain verdict; another one for a PASS that only some policies admit.
        statement: the signed in-toto statement.
        key_id: SHA-256 of the public key that verified it.
        expires: when a PASS or INCONCLUSIVE stops to hold; a FAIL does not.
        policy: name of the policy that judged, as the signer stated it; "" in a certificate that names none.
        policy_sha256: digest of its file; "" where the certificate names none or several.
        policy_version: of that policy, as it ships or as the signer stated it; None where nobody says it.
        contradiction: why the policy does not pass what a PASS says was found; "" where it does. Certificates from
            version 1.3 on are refused for it; one of an earlier version is authentic, and its PASS is worth nothing.
    """

    verdict: Outcome
    qualifier: str
    statement: dict[str, Any] = dataclasses.field(repr=False)
    key_id: str
    expires: datetime
    policy: str
    policy_sha256: str
    policy_version: int | None = None
    contradiction: str = ""

    @property
    def built_in(self) -> bool:
        """The policy is one that ships with this version of the tool."""
        return built_in(self.policy_sha256) is not None


def verify_certificate(
    envelope: bytes,
    *,
    public_key_pem: bytes,
    model_files: Sequence[Path],
    held: Mapping[str, str] | None = None,
    architecture: str | None = None,
    policy_sha256: str | None = None,
    policy_values: Mapping[str, Any] | None = None,
    max_age_days: int | None = None,
    now: datetime,
) -> Verified:
    """Verify a certificate against a trusted key and the files of the model.

    Steps: size and strict JSON, payload type, signature, statement, its types and version, model digests,
    result against verdict, policy, a PASS against its own content, dates. Dates limit what a PASS or INCONCLUSIVE is
    worth; a FAIL stays what it is.

    Args:
        envelope: the bytes of ``certificate.dsse.json``.
        public_key_pem: the signer's Ed25519 public key, which did not come along with the certificate.
        model_files: every file of the unlearned model; matched by content, names do not matter.
        held: name by digest of what a program holds in place of files: the state of a network, or outputs.
        architecture: digest of that network's code.
        policy_sha256: the policy that the audit must have used, if it matters.
        policy_values: its values, by which a PASS is then checked, whatever the certificate ascribes to the policy.
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
    key = public_key(public_key_pem)
    payload = open_envelope(envelope, key)
    statement = parse_json(payload, "the statement")
    predicate, extension = _check_types(statement)
    configuration = field(predicate, "configuration", list)
    _check_subjects(field(statement, "subject", list), {**_files(model_files), **(held or {})})
    _check_architecture(configuration, architecture)
    verdict, qualifier = _check_result(predicate, extension)
    policy, digest = policy_of(configuration, extension)
    if policy_sha256 is not None:
        _check_policy(digest, policy_sha256)
    broken = ""
    if verdict is Outcome.PASS:
        broken = _check_consistent(extension, qualifier, digest, policy_values if policy_sha256 else None)
    issued, expires = time_of(extension, "issuedOn"), time_of(extension, "expiresOn")
    if verdict is not Outcome.FAIL:
        check_dates(issued, expires, max_age_days, now)
    version = version_of(extension, built_in(digest))
    return Verified(verdict, qualifier, statement, key_id(key), expires, policy, digest, version, broken)


def _check_types(statement: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The statement is one of ours; returns its predicate and our extension."""
    if field(statement, "_type", str) != STATEMENT_TYPE:
        raise CertificateError(f"the statement type is not {STATEMENT_TYPE}: {ASK}")
    if field(statement, "predicateType", str) != PREDICATE_TYPE:
        raise CertificateError(f"the predicate type is not {PREDICATE_TYPE}: {ASK}")
    predicate: dict[str, Any] = field(statement, "predicate", dict)
    extension: dict[str, Any] = field(predicate, EXTENSION, dict)
    if field(extension, "schemaVersion", str) not in VERIFIED_VERSIONS:
        raise CertificateError(
            f"the certificate's schema version is none of {', '.join(VERIFIED_VERSIONS)}: verify it with the version "
            "of this tool that made it."
        )
    return predicate, extension


def _files(paths: Sequence[Path]) -> dict[str, str]:
    """Name by digest of the files, and folders, in hand."""
    found: dict[str, str] = {}
    for path in paths:
        digest = sha256_path(path)
        if digest in found:
            raise CertificateError(f"{found[digest]} and {path} are the same file: give every file once.")
        found[digest] = str(path)
    return found


def _check_subjects(subjects: list[Any], given: Mapping[str, str]) -> None:
    """What is in hand is what is certified: none missing, none extra."""
    named: dict[str, str] = {}
    for subject in subjects:
        digest = field(field(subject, "digest", dict), "sha256", str)
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise CertificateError(f"a subject has no valid SHA-256 digest: {ASK}")
        if digest in named:
            raise CertificateError(f"the certificate names one subject twice: {ASK}")
        named[digest] = ascii(subject.get("name", ""))
    if not named:
        raise CertificateError(f"the certificate names no subject: {ASK}")
    extra = ", ".join(name for digest, name in given.items() if digest not in named)
    missing = ", ".join(name for digest, name in named.items() if digest not in given)
    if extra:
        raise CertificateError(
            f"the certificate is not about {extra}: it covers other content; give the certified files, or "
            "audit this model."
        )
    if missing:
        raise CertificateError(f"files of the certified model are missing ({missing}): give all of them.")


def _check_architecture(configuration: list[Any], architecture: str | None) -> None:
    """A network that was audited in memory is certified with its code; a file is certified by its bytes alone."""
    name = f"{ARCHITECTURE}unlearned"
    certified = [
        field(field(item, "digest", dict), "sha256", str) for item in configuration if field(item, "name", str) == name
    ]
    if certified != ([] if architecture is None else [architecture]):
        raise CertificateError(
            "the code of this network is not the certified one: its state may be the same, what it computes need not "
            "be. Give the network as it was audited, under the same version of torch, or audit this one."
        )


def _check_result(predicate: dict[str, Any], extension: dict[str, Any]) -> tuple[Outcome, str]:
    """What others read (``result``, ``passedTests``) claims no more than our verdict and findings."""
    name = field(extension, "verdict", str)
    if name not in set(Outcome):
        raise CertificateError(f"the certificate's verdict is unknown: {ASK}")
    verdict = Outcome(name)
    qualifier = extension.get("qualifier", "")  # absent in version 1.0
    if qualifier not in QUALIFIERS or (qualifier and verdict is not Outcome.PASS):
        raise CertificateError(f"the certificate's qualifier is unknown: {ASK}")
    if field(predicate, "result", str) != in_toto_result(verdict, qualifier):
        raise CertificateError(f"the certificate's result contradicts its verdict {verdict}: {ASK}")
    passed = {
        field(finding, "id", str)
        for finding in field(extension, "findings", list)
        if field(finding, "status", str) == FindingStatus.PASS
    }
    for test in field(predicate, "passedTests", list):
        if not isinstance(test, str) or test not in passed:
            raise CertificateError(f"the certificate lists a test as passed whose finding did not: {ASK}")
    return verdict, qualifier


def _check_policy(digest: str, policy_sha256: str) -> None:
    if digest != policy_sha256.lower():
        raise CertificateError(
            "the audit was judged by another policy: verify with that one, or ask for an audit under yours."
        )


def _check_consistent(
    extension: dict[str, Any], qualifier: str, policy_sha256: str, wanted: Mapping[str, Any] | None
) -> str:
    """A PASS must not be contradicted by what the same certificate says was found, under the policy that it names.

    Returns:
        ``Verified.contradiction``.
    """
    stated: Mapping[str, Any] = field(extension.get("policy", {"values": {}}), "values", dict)  # absent before 1.2
    known = built_in(policy_sha256)
    values = wanted or (stated if known is None else known.model_dump(mode="json"))
    try:
        broken = contradiction(extension, qualifier)
        denied = denied_by(values, extension, qualifier) if values else ""
    except ValueError as error:
        raise CertificateError(f"the certificate is malformed ({error}): {ASK}") from None
    if not broken and (wanted is not None or extension["schemaVersion"] not in ANY_PASS):
        broken = denied
    if broken:
        raise contradicted(broken)
    return denied


def contradicted(why: str) -> CertificateError:
    """What to raise where a PASS is not what its own content says."""
    return CertificateError(f"the certificate says PASS, but its own content contradicts that ({why}): {ASK}")
