"""Commands around certificates: keygen, verify, gate, commit open. None of them imports torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audit.errors import AuditError, ExitCode, UsageError

from .ending import VERDICT_EXIT

Key = Annotated[Path, typer.Option(help="The signer's public key, obtained from the signer.")]
Model = Annotated[list[Path], typer.Option(help="The model that is in your hands; repeat for several files.")]
MaxAge = Annotated[int | None, typer.Option(help="Greatest age of the certificate in days.", min=0)]
Certificate = Annotated[Path, typer.Argument(metavar="CERT", help="certificate.dsse.json")]

commit = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Commitments to data sets in certificates.")


class Access(StrEnum):
    """Access levels at which a claim can PASS, weakest first."""

    LOGITS = "logits"
    FEATURES = "features"
    WEIGHTS = "weights"


class Role(StrEnum):
    """Data sets that a certificate commits to."""

    FORGET = "forget"
    RETAIN = "retain"
    HOLDOUT = "holdout"
    TEST = "test"
    AUXILIARY = "auxiliary"
    CONCEPTS = "concepts"


def keygen(
    path: Annotated[Path, typer.Argument(help="Private key to write; the public key gets .pub added.")] = Path(
        "audit.key"
    ),
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase",
            help="Encrypt the key. The passphrase comes from AUDIT_KEY_PASSPHRASE, from the file descriptor that "
            "AUDIT_KEY_PASSPHRASE_FD names, or is asked for.",
        ),
    ] = False,
) -> None:
    """Make an Ed25519 key pair for signing certificates.

    Signing with an encrypted key looks for its passphrase in the same places.
    """
    from audit.certify.keys import generate_keypair
    from audit.certify.passphrase import passphrase as ask

    public = path.with_name(path.name + ".pub")
    generate_keypair(path, public, ask(str(path), twice=True) if passphrase else None)
    typer.echo(f"{path}\n{public}")


def verify(
    certificate: Certificate,
    key: Key,
    model: Model,
    policy: Annotated[str | None, typer.Option(help="The policy that the audit must have used.")] = None,
    max_age: MaxAge = None,
) -> None:
    """Verify a certificate against a key and a model; exit 0 only for an authentic PASS of exactly this model.

    Without --policy only the policies that ship with the tool are accepted: a signer can write any other.

    Exit codes: 0 PASS, 1 FAIL or a certificate that does not hold, 3 INCONCLUSIVE, 4 could not check.
    """
    from audit.certify.envelope import read_certificate
    from audit.certify.keys import public_key, read_public_key
    from audit.certify.verify import contradicted, verify_certificate
    from audit.policy.policy import load_policy

    wanted, digest = load_policy(policy) if policy else (None, None)
    content, pem = read_certificate(certificate), read_public_key(key)
    with _naming(key):
        public_key(pem)
    with _naming(certificate):
        verified = verify_certificate(
            content,
            public_key_pem=pem,
            model_files=model,
            policy_sha256=digest,
            policy_values=None if wanted is None else wanted.model_dump(mode="json"),
            max_age_days=max_age,
            now=datetime.now(UTC),
        )
        if verified.contradiction:
            raise contradicted(verified.contradiction)
    until = "" if verified.verdict == "FAIL" else f", valid until {verified.expires:%Y-%m-%d}"  # a FAIL does not expire
    typer.echo(f"authentic, signed with key {verified.key_id}{until}")
    known = "" if verified.built_in else ", which does not ship with this version of the tool"
    version = "" if verified.policy_version is None else f", version {verified.policy_version}"
    typer.echo(
        f"judged by the policy {verified.policy!a}{version} (SHA-256 {verified.policy_sha256 or 'not stated'}){known}"
    )
    qualifier = f" ({verified.qualifier})" if verified.qualifier else ""
    typer.echo(f"verdict for this model: {verified.verdict}{qualifier}")
    if policy is None and (verified.qualifier or not verified.built_in) and verified.verdict == "PASS":
        why = "only some policies admit this kind of PASS" if verified.qualifier else "anybody can write a policy"
        typer.echo(f"{why}: name the one that you accept with --policy")
        raise typer.Exit(int(ExitCode.INCONCLUSIVE))
    raise typer.Exit(int(VERDICT_EXIT[verified.verdict.value]))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of what was read from a file name it."""
    try:
        yield
    except AuditError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def gate(
    certificates: Annotated[list[Path], typer.Argument(metavar="CERT...", help="Certificates; one PASS must hold.")],
    key: Annotated[list[Path], typer.Option(help="Public key of a signer you trust; repeat for several.")],
    model: Model,
    policy: Annotated[str, typer.Option(help="The least strict policy you accept: a name or a file.")],
    access: Annotated[Access | None, typer.Option(help="The least access that the claim must cover.")] = None,
    max_age: MaxAge = None,
) -> None:
    """Release gate: exit 0 only where a valid PASS exists for exactly this model under this policy or a stricter one.

    Expired, unsigned, wrong model, weaker policy, less access, missing: each denies, with its reason. So does a FAIL of
    the same model beside a PASS. One JSON object goes to standard output, sentences to standard error; under GitHub
    Actions every reason becomes an annotation.

    Exit codes: 0 allowed, 1 denied, 2 usage, 4 could not check.
    """
    from audit.certify.gate import Demand, decide
    from audit.certify.keys import read_public_key
    from audit.policy.policy import load_policy

    wanted, digest = load_policy(policy)
    keys = tuple(read_public_key(path) for path in key)
    demand = Demand(keys, tuple(model), wanted, digest, access or "", max_age)
    allowed, decisions = decide(certificates, demand, datetime.now(UTC))
    for decision in decisions:
        word = "holds" if decision.allowed else "denied"
        typer.echo(f"{decision.certificate}: {word}: {decision.reason}", err=True)
        if not decision.allowed and os.environ.get("GITHUB_ACTIONS") == "true":
            typer.echo(annotation("audit gate", f"{decision.certificate}: {decision.reason}"), err=True)
    if not allowed and any(decision.allowed for decision in decisions):
        typer.echo("denied: another certificate says that the same model failed", err=True)
    found = [{"certificate": d.certificate, "allowed": d.allowed, "reason": d.reason} for d in decisions]
    typer.echo(json.dumps({"allowed": allowed, "certificates": found}, sort_keys=True))
    raise typer.Exit(int(ExitCode.PASS if allowed else ExitCode.FAIL))


@commit.callback()
def _group() -> None:
    """Commitments to data sets in certificates."""


@commit.command("open")
def open_(
    certificate: Certificate,
    key: Key,
    opening: Annotated[Path, typer.Option(help="The commitment key: private/commitment.key of the run.")],
    data: Annotated[Path | None, typer.Option(help="The data set that is said to be the certified one.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="In place of --data: the audit.toml whose index lists and [data] keys make it.")
    ] = None,
    role: Annotated[Role, typer.Option(help="Which data set it is said to be.")] = Role.FORGET,
) -> None:
    """Prove that a data set is the one that a certificate commits to.

    The certificate holds a keyed digest of each data set, so that nobody can test guesses against it. Who has the key
    (the opening) can prove the match; `audit purge` destroys it, and the proof with it.

    Exit codes: 0 match, 1 no match or a certificate that does not hold, 2 usage, 4 no opening.
    """
    from audit.certify.envelope import read_certificate
    from audit.certify.keys import read_public_key
    from audit.certify.opening import opens
    from audit.inputs.given import given_of
    from audit.inputs.resolve import resolve

    if (data is None) is (config is None):
        raise UsageError("name the data set with --data, or the audit.toml that makes it with --config.")
    source = data if data is not None else given_of(resolve({}, config, variables={})[0])
    envelope = read_certificate(certificate)
    if opens(envelope, public_key_pem=read_public_key(key), opening=opening, data=source, role=role.value):
        typer.echo(f"match: {data or config} is the {role.value} set of this certificate")
        return
    typer.echo(
        f"no match: {data or config} is not the {role.value} set of this certificate, or the opening is of another run"
    )
    raise typer.Exit(int(ExitCode.FAIL))


def annotation(title: str, message: str) -> str:
    """A workflow command of GitHub Actions that shows an error; data cannot end it or begin another.

    Sources:
        https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    safe = title.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(":", "%3A").replace(",", "%2C")
    return f"::error title={safe}::{escaped}"
