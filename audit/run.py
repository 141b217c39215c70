"""One audit from configuration to ``run.json``: load, collect, judge, write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from .case import LoadedCase, load_case, project_key
from .config import Config
from .engine import build_attacks, collect, run_identifier
from .evidence import read_evidence
from .ledger import forget_digest, open_look
from .policy import Policy, load_policy
from .records import write_records
from .references import check_training, remember_shadows, silent, with_trained
from .result import AuditResult, LookRecord, to_json
from .rundir import RunDir, write_bytes
from .scoring import judge, score_all
from .training.service import Progress, Trained
from .units import Event, Notify


@dataclass(frozen=True)
class Prepared:
    """A checked case with the directory its run will live in; ``trained`` says what the audit trained for it."""

    config: Config
    policy: Policy
    policy_sha256: str
    case: LoadedCase
    run: RunDir
    run_id: str
    trained: Trained | None = None


def prepare(config: Config, *, train: bool = True, notify: Callable[[Progress], None] = silent) -> Prepared:
    """Load and check everything, and train the references and shadow models that are asked for.

    Args:
        config: the resolved configuration.
        train: False leaves the training out (for a plan); nothing is then written but the project key.
        notify: called after every trained model.

    Raises:
        InputError, UsageError, CouldNotRun: see their messages.
    """
    policy, policy_sha256 = load_policy(config.policy)
    case, trained = load_case(config, policy), None
    check_training(config, case.claim.kind)
    if train and config.training.asked:
        case, trained = with_trained(config, case, notify)
    run_id = run_identifier(config, policy_sha256, case, build_attacks(), project_key(config))
    return Prepared(config, policy, policy_sha256, case, RunDir(config.out / run_id), run_id, trained)


def _silent(_event: Event) -> None:
    """Ignore progress."""


def run_audit(prepared: Prepared, *, fresh: bool = False, notify: Notify = _silent) -> AuditResult:
    """Run (or continue) an audit and write ``run.json``.

    Args:
        prepared: from ``prepare``.
        fresh: discard observations and signals of an earlier run of the same case.
        notify: called after every work unit.

    Returns:
        the result.
    """
    run = prepared.run
    if fresh:
        for folder in (run.observations, run.signals, run.evidence):
            shutil.rmtree(folder, ignore_errors=True)
    run.create()
    run.log("start", run_id=prepared.run_id)
    write_bytes(run.config, _toml(prepared.config).encode())
    remember_shadows(run, prepared.config, prepared.case)
    look = _look(prepared)  # counted before anything is scored
    evidence = collect(prepared.config, prepared.case, build_attacks(), run, prepared.run_id, notify, look)
    evidence.save(run)
    everything = score_all(evidence)
    write_records(run, evidence, everything[1])
    result = judge(evidence, prepared.policy, prepared.policy_sha256, everything)
    write_bytes(run.result, to_json(result).encode("ascii"))
    run.log("finished", verdict=result.verdict.outcome.value)
    return result


def _look(prepared: Prepared) -> LookRecord | None:
    """Count this look in the ledger, where one is declared."""
    config, case = prepared.config, prepared.case
    if config.claim.ledger is None:
        return None
    forget = case.files["forget"]
    rows = forget.row_hashes() or [case.fingerprints["forget"].encode()]
    return open_look(
        config.claim.ledger,
        forget=forget_digest(rows, project_key(config)),
        unlearned=case.digests["unlearned"],
        run_id=prepared.run_id,
        policy=prepared.policy.name,
    )


def score_run(run: RunDir, policy_name: str) -> AuditResult:
    """Judge a finished run again under another policy, without touching a model; replaces ``run.json``.

    Raises:
        CouldNotRun: the run is not finished or was purged.
    """
    policy, policy_sha256 = load_policy(policy_name)
    result = judge(read_evidence(run), policy, policy_sha256)
    write_bytes(run.result, to_json(result).encode("ascii"))
    run.log("scored", policy=policy.name, verdict=result.verdict.outcome.value)
    return result


def _toml(config: Config) -> str:
    """The resolved configuration as TOML (paths as given to this run)."""
    document = config.model_dump(mode="json", exclude_none=True)
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for section, table in document.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    import json

    return json.dumps(
        value, ensure_ascii=False
    )  # strings, numbers, booleans and lists are written alike in TOML and JSON
