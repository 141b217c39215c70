"""Certificates: an in-toto test-result statement in a DSSE envelope, signed with Ed25519.

Formats: in-toto Statement v1 and test-result predicate v0.1 (https://github.com/in-toto/attestation), DSSE
v1 (https://github.com/secure-systems-lab/dsse). Our object ``unlearningAudit`` extends the predicate;
consumers that ignore it still act safely, because ``result`` is PASSED for the verdict PASS alone, and WARNED
where the policy admitted a PASS with a trace or on surrogate references. A certificate holds aggregates only: no
ids, no scores of single records, no reasons in prose, no plain digest of a data set.

Verification is in `audit.certify.verify`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audit.errors import UsageError
from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome

from .envelope import encode

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
EXTENSION = "unlearningAudit"
CERTIFICATE_VERSION = "1.3"
VERIFIED_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
ARCHITECTURE = "architecture/"  # and the role: digest of the code of a network that a program held
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

RESULTS = {Outcome.PASS: "PASSED", Outcome.FAIL: "FAILED", Outcome.INCONCLUSIVE: "FAILED"}


def in_toto_result(outcome: Outcome, qualifier: str) -> str:
    """PASSED for the plain verdict PASS alone; a qualified PASS is WARNED."""
    return "WARNED" if outcome is Outcome.PASS and qualifier else RESULTS[outcome]


_UNPROVEN = {FindingStatus.INCONCLUSIVE, FindingStatus.NOT_COVERED, FindingStatus.SKIPPED, FindingStatus.ERROR}


def build_statement(
    result: AuditResult,
    *,
    subjects: Sequence[tuple[str, str]],
    commitments: Mapping[str, str],
    issued: datetime,
    valid_days: int,
    signer_name: str,
    signer_role: str,
    run_json_sha256: str,
    report_sha256: str | None,
) -> dict[str, Any]:
    """Build the in-toto statement about one audit.

    ``passedTests`` holds the findings that passed; ``failedTests`` those that failed and the mandatory ones
    that prove nothing (inconclusive, not covered, skipped, error). ``warnedTests`` stays empty, because the
    format reads it as "passed with warnings". The exact statuses stand in the extension.

    Args:
        result: the audit.
        subjects: file name and SHA-256 of every file of the unlearned model.
        commitments: role of each data set to its `audit.record.digest.keyed_digest`.
        issued: when the certificate is issued, with a time zone.
        valid_days: days until it expires, at least 1.
        signer_name: who signs.
        signer_role: in which role, for example "controller" or "independent auditor".
        run_json_sha256: SHA-256 of ``run.json``.
        report_sha256: SHA-256 of the report, if one was rendered.

    Returns:
        The statement, ready for `encode`.

    Raises:
        UsageError: an argument is invalid, or the audited model is not among the subjects.
        ValueError: ``issued`` has no time zone.

    Sources:
        https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
    """
    _check_subjects(result, subjects)
    for name, digest in commitments.items():
        _sha256(digest, f"the commitment of {name}")
    _printable(signer_name, "signer's name")
    _printable(signer_role, "signer's role")
    start, end = _validity(issued, valid_days)
    if report_sha256 is not None:
        _sha256(report_sha256, "the report")
    extension = {
        **_judgement(result),
        **_provenance(result),
        "reportSha256": report_sha256,
        "commitments": dict(commitments),
        "evidenceCommitment": result.evidence,
        "signer": {"name": signer_name, "role": signer_role},
        "issuedOn": start,
        "expiresOn": end,
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": in_toto_result(result.verdict.outcome, result.verdict.qualifier),
            "configuration": _configuration(result, run_json_sha256),
            "passedTests": [f.id for f in result.findings if f.status is FindingStatus.PASS],
            "warnedTests": [],
            "failedTests": [f.id for f in result.findings if _failed(f)],
            EXTENSION: extension,
        },
    }


def _configuration(result: AuditResult, run_json_sha256: str) -> list[dict[str, Any]]:
    """Policy, record and the other models by digest; of networks that a program held their code as well."""
    models = [record for record in result.inputs if record.kind == "model"]
    return [
        _descriptor("policy", result.policy.sha256, result.policy.name),
        _descriptor("run.json", run_json_sha256),
        *(
            _descriptor(record.role, record.sha256, Path(record.name).name)
            for record in models
            if record.role != "unlearned" and record.sha256 is not None
        ),
        *(
            _descriptor(f"{ARCHITECTURE}{record.role}", record.architecture)
            for record in models
            if record.architecture is not None
        ),
    ]


def _judgement(result: AuditResult) -> dict[str, Any]:
    """What was found, under which policy and for which claim."""
    audited = {record.kind for record in result.inputs if record.role == "unlearned"}
    return {
        "schemaVersion": CERTIFICATE_VERSION,
        "verdict": result.verdict.outcome.value,
        "qualifier": result.verdict.qualifier,
        "look": None if result.look is None else result.look.model_dump(mode="json"),
        "scope": result.verdict.scope,
        "policy": {"name": result.policy.name, "values": dict(result.policy.values)},
        "subjectSeen": "model" if audited == {"model"} else "outputs",
        "claim": result.claim.model_dump(mode="json"),
        "assumptions": list(result.assumptions),
        "notTested": list(result.not_tested),
        "findings": [_finding(finding) for finding in result.findings],
        "gates": [{"name": gate.name, "ok": gate.ok, "effect": gate.effect} for gate in result.gates],
        "families": [family.model_dump(mode="json", exclude={"reason"}) for family in result.families],
    }


def _provenance(result: AuditResult) -> dict[str, Any]:
    """By which attacks, tool and environment."""
    shown = {"name", "version", "access", "source", "parameters", "distribution", "status"}
    return {
        "attacks": [attack.model_dump(mode="json", include=shown) for attack in result.attacks],
        "suiteSha256": suite_digest(result),
        "seed": result.seed,
        "tool": {"name": result.tool, "version": result.tool_version},
        "environment": dict(result.environment),
        "runId": result.run_id,
    }


def suite_digest(result: AuditResult) -> str:
    """SHA-256 over name, version and origin of every attack of the plan: equal for equal suites."""
    suite = sorted([attack.name, attack.version, attack.distribution] for attack in result.attacks)
    return hashlib.sha256(encode({"tool": result.tool_version, "attacks": suite})).hexdigest()


def _sha256(digest: str, what: str) -> None:
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UsageError(f"the digest of {what} is not 64 lower-case hex digits: give its SHA-256.")


def _printable(text: str, what: str) -> None:
    """Names must survive strict JSON and be harmless on a terminal."""
    if not text or not text.isprintable():
        raise UsageError(f"the {what} {text!a} is empty or not printable: choose another.")


def _check_subjects(result: AuditResult, subjects: Sequence[tuple[str, str]]) -> None:
    """Subjects are valid and distinct, and the model that was audited is among them."""
    for name, digest in subjects:
        _printable(name, "file name")
        _sha256(digest, name)
    digests = {digest for _, digest in subjects}
    if not subjects or len(digests) != len(subjects) or len({name for name, _ in subjects}) != len(subjects):
        raise UsageError(
            "a certificate needs the files of the unlearned model, each once: name at least one file, and no "
            "two with the same name or the same content."
        )
    for record in result.inputs:
        if record.role == "unlearned" and record.kind == "model" and record.sha256 not in {None, *digests}:
            raise UsageError(
                f"the audited model has SHA-256 {record.sha256}, which none of the given files has: give the "
                "files as they were audited, or run the audit again."
            )


def _validity(issued: datetime, valid_days: int) -> tuple[str, str]:
    if issued.tzinfo is None:
        raise ValueError("the time of issue needs a time zone")
    start = issued.astimezone(UTC)
    try:
        end = start + timedelta(days=valid_days)
    except OverflowError:
        end = start
    if end <= start:
        raise UsageError(f"a certificate cannot be valid for {valid_days} days: give a number from 1 on.")
    return start.strftime(TIME_FORMAT), end.strftime(TIME_FORMAT)


def _descriptor(name: str, sha256: str | None, title: str | None = None) -> dict[str, Any]:
    """in-toto ResourceDescriptor."""
    _sha256(sha256 or "", name)
    descriptor: dict[str, Any] = {"name": name, "digest": {"sha256": sha256}}
    if title is not None:
        descriptor["annotations"] = {"title": title}
    return descriptor


def _failed(finding: Finding) -> bool:
    unproven = finding.role == "mandatory" and finding.status in _UNPROVEN
    return unproven or finding.status is FindingStatus.FAIL


def _finding(finding: Finding) -> dict[str, Any]:
    fields = finding.model_dump(
        mode="json",
        include={
            *("id", "kind", "role", "family", "status", "estimate", "unit"),
            *("interval", "margin", "p", "control"),
        },
    )
    fields["pAdjusted"] = finding.p_adjusted
    fields["n"] = {
        "forget": finding.n_forget,
        "holdout": finding.n_holdout,
        "references": finding.n_references,
    }
    return fields
