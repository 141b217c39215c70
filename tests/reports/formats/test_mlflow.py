"""The export against a real tracking store: SQLite in a temporary folder, read back by MLflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit.errors import UsageError
from audit.record.result import AuditResult, Outcome, to_json
from audit.record.rundir import RunDir
from reports.formats.mlflow import export_mlflow, metrics
from tests.reports.conftest import example

needs_mlflow = pytest.mark.filterwarnings("ignore")  # of MLflow and SQLAlchemy


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'unlearn-audit[mlflow]'")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'unlearn-audit[mlflow]'")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)  # artifacts of a local store go into ./mlruns
    return uri


def folder(tmp_path: Path, result: AuditResult) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.create()
    run.result.write_text(to_json(result))
    run.report.write_text("<!doctype html>")
    run.config.write_text("secret = '/home/me'")
    (run.private / "records.csv").write_text("id\n1\n")
    return run


@needs_mlflow
def test_mlflow_reads_back_what_was_written(store: str, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    result = example(Outcome.INCONCLUSIVE)
    run = folder(tmp_path, result)
    made = export_mlflow(result, run)
    client = MlflowClient(tracking_uri=store)
    read = client.get_run(made)
    assert read.data.tags["unlearning.verdict"] == "INCONCLUSIVE"
    assert read.data.tags["finding.membership.tpr_at_fpr_5e-2"].startswith("INCONCLUSIVE: ")
    assert read.data.metrics == dict(metrics(result))
    assert read.data.metrics["membership/auc"] == 0.5123
    assert "shadow/auc" not in read.data.metrics
    assert read.data.params["policy"] == "standard"
    assert read.data.params["attack.recovery.steps"] == "200"
    assert {item.path for item in client.list_artifacts(made)} == {"run.json", "report.html"}
    assert read.info.status == "FINISHED"
    assert export_mlflow(result, run) == made  # not written twice
    told = subprocess.run(
        [sys.executable, "-m", "mlflow", "runs", "describe", "--run-id", made],
        capture_output=True, text=True, check=True, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    assert json.loads(told.stdout)["data"]["tags"]["unlearning.verdict"] == "INCONCLUSIVE"


@needs_mlflow
def test_hostile_names(store: str, tmp_path: Path, hostile: AuditResult) -> None:
    from mlflow.tracking import MlflowClient

    read = MlflowClient(tracking_uri=store).get_run(export_mlflow(hostile, folder(tmp_path, hostile)))
    assert read.data.tags["unlearning.verdict"] == "FAIL"
    assert any("script" in key for key in read.data.params)


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    result = example(Outcome.PASS)
    with pytest.raises(UsageError, match=r"pip install 'unlearn-audit\[mlflow\]'"):
        export_mlflow(result, folder(tmp_path, result))
