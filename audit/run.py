"""One audit from configuration to ``run.json``: load, collect, judge, write."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .certify.ledger import check_ledger, forget_digest, look_again, open_look
from .collect.engine import build_attacks, collect, run_identifier
from .collect.evidence import read_evidence
from .collect.units import Event, Notify
from .errors import UsageError
from .inputs.case import LoadedCase, load_case, project_key
from .inputs.config import Config
from .judge.records import write_records
from .judge.scoring import judge, score_all
from .policy.policy import Policy, load_policy
from .record.result import AuditResult, to_json
from .record.run_records import LookRecord
from .record.rundir import RunDir, write_bytes
from .training.references import check_training, remember_shadows, silent, with_trained
from .training.service import Trained
from .training.session import Progress


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
    if config.claim.ledger is not None:
        check_ledger(config.claim.ledger)
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
    _replace_result(run, result)
    run.log("finished", verdict=result.verdict.outcome.value)
    return result


def _look(prepared: Prepared) -> LookRecord | None:
    """Count this look in the ledger, where one is declared."""
    config, case = prepared.config, prepared.case
    if config.claim.ledger is None:
        return None

    def forget(key: bytes | None) -> str:
        key = key or project_key(config)
        data = case.files["forget"]
        return forget_digest(data.row_hashes() or [data.fingerprint(key).encode()], key)

    return open_look(
        config.claim.ledger,
        forget=forget,
        unlearned=case.digests["unlearned"],
        run_id=prepared.run_id,
        policy=(prepared.policy.name, prepared.policy_sha256),
    )


def score_run(run: RunDir, policy_name: str, ledger: Path | None = None) -> AuditResult:
    """Judge a finished run again under another policy, without touching a model.

    Another policy is another look: where the run declares a ledger, it is counted there. The record that stood in
    the run is kept (``RunDir.keep_earlier``).

    Args:
        run: a finished run.
        policy_name: the policy to judge by.
        ledger: where the run's ledger lies now, if not where the run found it.

    Raises:
        UsageError: the run's ledger cannot be used.
        CouldNotRun: the run is not finished or was purged.
    """
    policy, policy_sha256 = load_policy(policy_name)
    evidence = read_evidence(run)
    first = evidence.facts.look
    if first is not None:
        look = look_again(ledger or _ledger(run), head=first.ledger_head, policy=(policy.name, policy_sha256))
        evidence.facts = evidence.facts.model_copy(update={"look": look})
    result = judge(evidence, policy, policy_sha256)
    _replace_result(run, result)
    run.log("scored", policy=policy.name, verdict=result.verdict.outcome.value)
    return result


def _replace_result(run: RunDir, result: AuditResult) -> None:
    """Write ``run.json``; another record that stood there is kept."""
    content = to_json(result).encode("ascii")
    if run.result.is_file() and run.result.read_bytes() != content:
        run.keep_earlier()
    write_bytes(run.result, content)


def _ledger(run: RunDir) -> Path:
    """The ledger in the configuration of a run that counted a look."""
    try:
        return Path(tomllib.loads(run.config.read_text(encoding="utf-8"))["claim"]["ledger"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError):
        raise UsageError(
            f"{run.path} counted a look, but its config.toml names no ledger: name it with --ledger."
        ) from None


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
