"""One audit from end to end: load, collect, judge, record, render, certify. The command line and Python call these.

Everything is imported where it is used: `audit/__init__.py` imports this file before all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attacks.base import Attack

    from .certify.issue import Signer
    from .collect.events import Event, Notify
    from .collect.evidence import Evidence
    from .collect.suite import Suite
    from .engine.crew import Order
    from .inputs.case import LoadedCase
    from .inputs.config import Config
    from .inputs.given import Given
    from .inputs.training_order import TrainingOrder
    from .judge.scoring import Scoring
    from .policy.policy import Policy
    from .record.result import AuditResult
    from .record.run_records import LookRecord
    from .record.rundir import RunDir
    from .training.service import Trained
    from .training.session import Progress


def _silent(_event: Event | Progress) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Prepared:
    """A checked case, and what its run is made of.

    Attributes:
        case: what is audited.
        policy: every threshold; ``policy_sha256`` is the digest of its file.
        suite: the attacks that run, and why others are left out.
        run: the directory that the run will live in.
        order: what the audit was asked to train; ``trained`` is what it trained.
        seed, batch_size: of the run.
        engine: who runs its units.
        ledger: counts the looks at the forget set, where one is declared.
        signer: who signs the certificate.
        project: folder whose ``.audit/`` holds the project key.
        settings: the configuration as ``config.toml`` keeps it.
    """

    case: LoadedCase
    policy: Policy
    policy_sha256: str
    suite: Suite
    run: RunDir
    order: TrainingOrder
    trained: Trained | None
    seed: int
    batch_size: int
    engine: Order
    ledger: Path | None
    signer: Signer
    project: Path
    settings: str


@dataclass(frozen=True)
class Finished:
    """A finished run: its record, its directory, and its certificate where one could be issued."""

    result: AuditResult
    run: RunDir
    certificate: Path | None


def prepare(
    config: Config, given: Given | None = None, *, train: bool = True, notify: Callable[[Progress], None] = _silent
) -> Prepared:
    """Load and check everything, and train the references and shadow models that are asked for.

    Args:
        config: the resolved configuration.
        given: what is to be audited, where a program holds some of it; by default the files of the configuration.
        train: False leaves the training out (for a plan); nothing is then written but the project key.
        notify: called after every trained model.

    Raises:
        InputError, UsageError, CouldNotRun: see their messages.
    """
    from .certify.issue import Signer, signing_key
    from .certify.ledger import check_ledger
    from .collect.identity import run_identifier
    from .collect.meaning import check_outputs
    from .collect.suite import all_attacks, choose
    from .engine.crew import Order
    from .inputs.case import load_case
    from .inputs.given import given_of
    from .inputs.training_order import training_order
    from .inputs.written import to_toml
    from .policy.policy import load_policy
    from .record.rundir import RunDir
    from .training.references import check_order, with_trained

    policy, policy_sha256 = load_policy(config.policy)
    section = config.certificate  # a wrong key costs no training and no audit
    signer = Signer(signing_key(section.sign_key), section.signer_name, section.signer_role)
    if config.claim.ledger is not None:
        check_ledger(config.claim.ledger)
    given = given or given_of(config)
    case, trained = load_case(given, policy.overlap_share), None
    order = training_order(config, given.project)
    check_order(order, case.claim.kind, beside_outputs=not given.unlearned_is_network)
    if given.outputs_only or (train and order.wanted.asked):  # costs nothing, or far less than what it may save
        check_outputs(case, config.batch_size)
    if train and order.wanted.asked:
        case, trained = with_trained(case, order, notify)
    suite = choose(all_attacks(), config.attacks, case.claim, policy, {*order.wanted.designs, *case.files})
    run_id = run_identifier(case, suite.chosen, policy_sha256=policy_sha256, seed=config.seed)
    return Prepared(
        case=case,
        policy=policy,
        policy_sha256=policy_sha256,
        suite=suite,
        run=RunDir(config.out / run_id),
        order=order,
        trained=trained,
        seed=config.seed,
        batch_size=config.batch_size,
        engine=Order(config.engine.executor, config.engine.workers),
        ledger=config.claim.ledger,
        signer=signer,
        project=given.project,
        settings=to_toml(config),
    )


def run_audit(prepared: Prepared, *, fresh: bool = False, notify: Notify = _silent) -> Finished:
    """Run (or continue) an audit to its certificate.

    Args:
        prepared: from ``prepare``.
        fresh: discard observations and signals of an earlier run of the same case.
        notify: called after every work unit.

    Raises:
        InputError, UsageError, CouldNotRun: see their messages.
    """
    from .certify.kept import keep
    from .collect.collect import collect
    from .engine.crew import Crew
    from .judge.records import rankings
    from .training.shadow_list import remember_shadows

    case, run = prepared.case, prepared.run
    run.begin(prepared.settings, fresh=fresh or bool(case.unnamed))  # what has no name cannot be known again
    remember_shadows(run, prepared.order, case)
    run.log("engine", name=prepared.engine.name, workers=prepared.engine.workers)
    with ExitStack() as stack:
        crew = Crew(prepared.engine, case.build.device) if prepared.engine.asked else None
        evidence = collect(
            case,
            prepared.suite,
            run,
            seed=prepared.seed,
            batch_size=prepared.batch_size,
            notify=notify,
            count_look=lambda: _count_look(prepared),
            crew=crew and stack.enter_context(crew),
            minutes=prepared.order.wanted.max_minutes,
        )
    commitment = evidence.save(run, case.key)
    policy = prepared.policy, prepared.policy_sha256
    result, scores = _judged(run, evidence, commitment, prepared.suite.classes, policy)
    run.keep_private(rankings(evidence, scores.scored))
    kept = keep(run, case.files, prepared.settings, prepared.project, case.key)
    return _record_and_certify("finished", run, result, prepared.signer, kept.commitments)


def score_run(
    run: RunDir,
    policy_name: str,
    sign_key: Path | None = None,
    ledger: Path | None = None,
    project: Path | None = None,
) -> Finished:
    """Judge a finished run again under another policy, without touching a model.

    Another policy is another look: where the run declares a ledger, it is counted there. The record that stood in
    the run is kept (``RunDir.keep_earlier``). Nothing in the run directory is believed that the project key did not
    seal, and the key that signs is never one that a file in it names.

    Args:
        run: a finished run.
        policy_name: the policy to judge by.
        sign_key: the private key that signs the new certificate; without one it stays unsigned.
        ledger: where the run's ledger lies now, if not where the run found it.
        project: folder whose ``.audit/`` holds the project key, if not where the run found it.

    Raises:
        UsageError: the run's ledger, the project key or the signing key cannot be used.
        CouldNotRun: the run is not finished, was purged, is not what the audit wrote, or was attacked by other
            versions of its attacks.
    """
    from .certify.issue import Signer, signing_key
    from .certify.kept import find_key, read_kept
    from .certify.ledger import look_again
    from .collect.evidence import read_evidence
    from .collect.suite import all_attacks
    from .collect.versions import refuse_other_versions
    from .inputs.config import CertificateSection
    from .policy.policy import load_policy
    from .record.result import read_result

    signs = signing_key(sign_key)
    policy, policy_sha256 = load_policy(policy_name)
    key, _ = find_key(run, project)
    recorded = read_result(run.result)
    commitment, suite = recorded.evidence or "", all_attacks()
    evidence, kept = read_evidence(run, key, commitment), read_kept(run, key)
    refuse_other_versions(run.path, evidence, {a.name: a.version for a in recorded.attacks}, suite)
    section = CertificateSection.model_validate(kept.settings.get("certificate", {}))
    first = evidence.facts.look
    if first is not None:
        look = look_again(ledger or kept.ledger(), head=first.ledger_head, policy=(policy.name, policy_sha256))
        evidence.facts = evidence.facts.model_copy(update={"look": look})
    result, _ = _judged(run, evidence, commitment, suite, (policy, policy_sha256))
    signer = Signer(signs, section.signer_name, section.signer_role)
    return _record_and_certify("scored", run, result, signer, kept.commitments, policy=policy.name)


def _judged(
    run: RunDir, evidence: Evidence, commitment: str, suite: Mapping[str, type[Attack]], policy: tuple[Policy, str]
) -> tuple[AuditResult, Scoring]:
    """Score and judge; what attacks said when they failed stays in the run's private part."""
    from .judge.judge import judge
    from .judge.scoring import score_all

    scores = score_all(evidence, suite)
    run.keep_errors((failed.title, failed.text) for failed in scores.failures if failed.text)
    result = judge(evidence, *policy, scores)
    return result.model_copy(update={"evidence": commitment}), scores


def _record_and_certify(
    event: str, run: RunDir, result: AuditResult, signer: Signer, commitments: Mapping[str, str], **fields: Any
) -> Finished:
    """Record, render, certify; what is certified is what is in hand, whatever becomes of the files."""
    from datetime import UTC, datetime

    from reports.render import Options, render_bytes

    from .certify.issue import foreseen, issue
    from .record.files import write_bytes
    from .record.result import to_json

    content = to_json(result).encode("ascii")
    run.replace_result(content, signed=signer.key is not None, private=result.shows_rows)
    now = datetime.now(UTC)
    issued = foreseen(result, signer, commitments, at=now, run_json=content)
    report = render_bytes(result, "html", Options(run=run, run_json=content, issued=issued))
    write_bytes(run.report, report, private=result.shows_rows)
    certificate = issue(run, result, signer, commitments, at=now, run_json=content, report=report)
    run.log(event, verdict=result.verdict.outcome.value, **fields)
    return Finished(result, run, certificate)


def _count_look(prepared: Prepared) -> LookRecord | None:
    """Count this look in the ledger, where one is declared."""
    from .certify.ledger import counted_as, open_look

    if prepared.ledger is None:
        return None
    case = prepared.case
    return open_look(
        prepared.ledger,
        forget=counted_as(case.files["forget"], case.key),
        unlearned=case.digests["unlearned"],
        run_id=prepared.run.path.name,
        policy=(prepared.policy.name, prepared.policy_sha256),
    )
