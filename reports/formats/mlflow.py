"""Export of a finished run to MLflow (extra ``mlflow``): parameters, metrics, tags, artifacts."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from audit.errors import CouldNotRun, UsageError
from audit.record.findings import Finding
from audit.record.result import AuditResult
from reports.checks import opening
from reports.numbers import visible
from reports.render import DEFAULTS, Options
from reports.words import decides

if TYPE_CHECKING:
    from audit.record.rundir import RunDir

T = TypeVar("T")

_RECORD = "unlearning.record_sha256"


def render(result: AuditResult, options: Options) -> str:
    """Export the run that ``options.run`` names; the id, on a line of its own. See `reports.render.render`."""
    if options.run is None:
        raise UsageError("the export needs a run directory: audit into one, and name it.")
    return f"{export_mlflow(result, options.run, experiment=options.experiment)}\n"


def export_mlflow(result: AuditResult, run: RunDir, *, experiment: str = DEFAULTS.experiment) -> str:
    """Write a finished run to the tracking store that MLflow is configured for (``MLFLOW_TRACKING_URI``).

    Nothing is sent anywhere else: MLflow's usage telemetry is switched off. ``private/`` and ``config.toml`` (which
    holds absolute paths) are never uploaded. A record that is there already is not written twice.

    Args:
        result: the run record.
        run: its directory, for the artifacts.
        experiment: name of the experiment; made where it does not exist.

    Returns:
        The id of the run in MLflow.

    Raises:
        UsageError: MLflow is not installed.
        CouldNotRun: the store cannot be reached or written.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise UsageError("the export needs MLflow: pip install 'unlearn-audit[mlflow]'.") from error
    digest = hashlib.sha256(run.result.read_bytes()).hexdigest()
    try:
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        place = found.experiment_id if found else client.create_experiment(experiment)
        earlier = client.search_runs([place], filter_string=f"tags.`{_RECORD}` = '{digest}'", max_results=1)
        if earlier:
            return str(earlier[0].info.run_id)
        made = str(client.create_run(place, run_name=_key(result.run_id)).info.run_id)
        for figures in _batched(_named(metrics(result))):
            client.log_batch(made, metrics=[Metric(key, value, 0, 0) for key, value in figures])
        for asked in _batched(_named(parameters(result))):
            client.log_batch(made, params=[Param(key, _value(value)) for key, value in asked])
        for said in _batched(_named(tags(result))):
            client.log_batch(made, tags=[RunTag(key, _value(value)) for key, value in said])
        for path in (run.result, run.report, run.certificate, run.statement):
            if path.is_file():
                client.log_artifact(made, str(path))
        client.set_tag(made, _RECORD, digest)  # last: marks a complete export
        client.set_terminated(made)
    except (MlflowException, OSError) as error:
        raise CouldNotRun(
            f"MLflow refused the export: {error}\nSet MLFLOW_TRACKING_URI to your server, or to a local store such as "
            "sqlite:///mlflow.db."
        ) from error
    return made


def metrics(result: AuditResult) -> Iterator[tuple[str, float]]:
    """``<attack>/<metric>`` with its interval, control and adjusted p; absent numbers are left out."""
    for f in result.findings:
        name = f"{f.attack}/{f.metric}"
        p = f.p if f.p_adjusted is None else f.p_adjusted
        values = [("", f.estimate), (".original", f.control), (".p", p)]
        if f.interval is not None:
            values += [(".low", f.interval.low), (".high", f.interval.high)]
        yield from ((f"{name}{suffix}", value) for suffix, value in values if value is not None)
    if result.utility is not None and result.utility.unlearned is not None:
        yield "utility/unlearned", result.utility.unlearned


def parameters(result: AuditResult) -> Iterator[tuple[str, Any]]:
    """What was asked: claim, policy, seed, attacks with their parameters, digests of the models."""
    for key in ("kind", "split", "access", "strata", "provenance"):
        yield f"claim.{key}", getattr(result.claim, key)
    yield "policy", result.policy.name
    yield "policy.sha256", result.policy.sha256
    yield "seed", result.seed
    yield "tool", f"{result.tool} {result.tool_version}"
    for attack in result.attacks:
        yield f"attack.{attack.name}", attack.status
        for key in sorted(attack.parameters):
            yield f"attack.{attack.name}.{key}", attack.parameters[key]
    for item in result.inputs:
        yield f"input.{item.role}", item.sha256 or item.name


def tags(result: AuditResult) -> Iterator[tuple[str, str]]:
    """The verdict, what qualifies it, and the status of each finding that decides."""
    word, sentence = opening(result.verdict)
    yield "unlearning.verdict", result.verdict.outcome.value
    yield "unlearning.qualifier", result.verdict.qualifier
    yield "unlearning.run_id", result.run_id
    yield "mlflow.note.content", f"{word}: {sentence}\n\n{result.verdict.scope}"
    if result.verdict.warnings:
        yield "unlearning.warnings", "\n".join(result.verdict.warnings)
    yield from ((f"finding.{f.id}", _status(f)) for f in result.findings if decides(f))


def _named(pairs: Iterable[tuple[str, T]]) -> list[tuple[str, T]]:
    """Pairs with names that MLflow takes, each once: the second of a name is marked."""
    seen: dict[str, int] = {}
    found = []
    for name, value in pairs:
        key = _key(name)
        seen[key] = seen.get(key, 0) + 1
        found.append((key if seen[key] == 1 else f"{key} {seen[key]}", value))
    return found


def _batched(pairs: Sequence[tuple[str, T]], size: int = 100) -> Iterator[Sequence[tuple[str, T]]]:
    """Parts of at most ``size``, which is what a tracking server takes at once."""
    return (pairs[start : start + size] for start in range(0, len(pairs), size))


def _status(f: Finding) -> str:
    return f"{f.status.value}: {f.reason}"


def _key(text: str) -> str:
    """MLflow's names hold letters, digits and ``_-./: ``, are no paths that climb, and at most 250 characters long."""
    return re.sub(r"[^\w\-./ ]|^/+|\.\.+", "_", visible(text), flags=re.ASCII)[:200] or "_"


def _value(value: object) -> str:
    return visible(str(value))[:5000]
