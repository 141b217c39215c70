"""The release gate: denied unless a valid PASS exists for exactly this model under this policy or a stricter one.

The order of trust is that of `audit.certify.verify`. A FAIL of the same model that verifies denies too, whatever
passes beside it and however old it is: somebody asked, and the answer was no. Offline, without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.policy.policy import COVERED, Policy
from audit.record.findings import WEAKER_ACCESS
from audit.record.inputs import INTERNAL
from audit.record.result import Outcome

from .certificate import EXTENSION, STATEMENT_TYPE
from .consistency import ADMITTED, denied_by
from .envelope import CertificateError, parse_json, read_certificate
from .strictness import weaker
from .verify import Verified, verify_certificate

ORDER = tuple(COVERED)


@dataclass(frozen=True)
class Demand:
    """What a release needs.

    Attributes:
        keys: trusted public keys, in PEM; any of them.
        model_files: every file of the model that is to be released.
        policy: the least strict policy that is accepted, and the SHA-256 of its file.
        policy_sha256: see above.
        access: the least access that the claim must grant the adversary; "" = any.
        max_age_days: greatest age of a certificate, if it matters.
    """

    keys: tuple[bytes, ...]
    model_files: tuple[Path, ...]
    policy: Policy
    policy_sha256: str
    access: str = ""
    max_age_days: int | None = None


@dataclass(frozen=True)
class Decision:
    """What one certificate is worth to this demand."""

    certificate: str
    allowed: bool
    reason: str
    failed: bool = False


def decide(certificates: Sequence[Path], demand: Demand, now: datetime) -> tuple[bool, tuple[Decision, ...]]:
    """Judge every certificate; allowed where one allows it and none is an authentic FAIL of this model.

    Raises:
        CouldNotRun: a certificate or a model file exists and cannot be read.
        UsageError: a key is no Ed25519 public key.
    """
    decisions = tuple(_decide(path, demand, now) for path in certificates)
    failed = any(decision.failed for decision in decisions)
    return any(decision.allowed for decision in decisions) and not failed, decisions


def _decide(path: Path, demand: Demand, now: datetime) -> Decision:
    if not path.exists():
        return Decision(str(path), False, "there is no such file: audit the model, and keep its certificate")
    content = read_certificate(path)
    if _unsigned(content):
        return Decision(str(path), False, "it is not signed: run the audit, or `audit score`, with --sign-key")
    refused = ""
    for key in demand.keys:
        try:
            verified = verify_certificate(
                content,
                public_key_pem=key,
                model_files=demand.model_files,
                max_age_days=demand.max_age_days,
                now=now,
            )
        except CertificateError as error:
            refused = str(error)
            continue
        reason = _insufficient(verified, demand)
        return Decision(str(path), not reason, reason or "a valid PASS", _fails(verified, demand))
    return Decision(str(path), False, refused)


def _fails(verified: Verified, demand: Demand) -> bool:
    """A FAIL, or what is one at a weaker access that the demand covers: a stronger adversary can do as much."""
    if verified.verdict is Outcome.FAIL:
        return True
    gates = verified.statement["predicate"][EXTENSION].get("gates", [])
    broken = [gate["name"] for gate in gates if not gate["ok"] and gate["name"].startswith(WEAKER_ACCESS)]
    levels = {name.removeprefix(WEAKER_ACCESS) for name in broken}
    asked = ORDER[: ORDER.index(demand.access) + 1] if demand.access else ORDER
    return verified.verdict is not Outcome.PASS and not levels.isdisjoint(asked)


def _unsigned(content: bytes) -> bool:
    try:
        document = parse_json(content, "the certificate")
    except CertificateError:
        return False
    return isinstance(document, dict) and document.get("_type") == STATEMENT_TYPE


def _insufficient(verified: Verified, demand: Demand) -> str:
    """Why an authentic certificate of this model does not allow the release; "" where it does."""
    if verified.verdict is not Outcome.PASS:
        return f"the audit's verdict is {verified.verdict}, not PASS"
    predicate: dict[str, Any] = verified.statement["predicate"]
    extension: dict[str, Any] = predicate[EXTENSION]
    claim = extension.get("claim", {})
    access = claim.get("access") if isinstance(claim, dict) else None
    if not isinstance(access, str) or access not in COVERED:
        return "the certificate does not say what access was claimed: audit the model again"
    if claim.get("release") == INTERNAL:
        return "the claim declares that the model is not released (internal): audit it for the release that it is for"
    if demand.access and ORDER.index(access) < ORDER.index(demand.access):
        return f"the claim grants the adversary {access}, less than {demand.access}: audit at that access"
    if verified.policy_sha256 == demand.policy_sha256.lower():
        return _denied(demand.policy, extension, verified.qualifier)
    if verified.qualifier and not getattr(demand.policy, ADMITTED[verified.qualifier]):
        return f"the PASS is qualified ({verified.qualifier}), which the policy {demand.policy.name} does not admit"
    policy = extension.get("policy")
    if not isinstance(policy, dict) or not isinstance(policy.get("values"), dict):
        return "it was judged by another policy, and its version does not say which: ask for an audit under yours"
    gap = weaker(policy["values"], demand.policy, str(claim.get("kind")), COVERED[access])
    if gap:
        return f"it was judged by a policy weaker than {demand.policy.name}: {gap}"
    return f"its own content contradicts the PASS: {verified.contradiction}" if verified.contradiction else ""


def _denied(policy: Policy, extension: dict[str, Any], qualifier: str) -> str:
    """What the wanted policy itself says of the findings, whatever values the certificate ascribes to it."""
    try:
        denied = denied_by(policy.model_dump(mode="json"), extension, qualifier)
    except ValueError as error:
        return f"it is malformed: {error}"
    return f"its own content contradicts the PASS: {denied}" if denied else ""
