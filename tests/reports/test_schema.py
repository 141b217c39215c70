"""The published schema fits what is written, and the record is strict JSON."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from audit.errors import CouldNotRun
from audit.record.attack_record import Chart, Series
from audit.record.result import AuditResult, read_result, to_json
from reports.formats.html import render_html


def test_run_json_fits_the_schema_that_audit_schema_prints(any_result: AuditResult) -> None:
    command = [sys.executable, "-m", "audit", "schema"]
    schema = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(to_json(any_result))
    jsonschema.validate(document, schema)
    document["verdict"]["outcome"] = "MAYBE"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_round_trip_and_no_nan(any_result: AuditResult, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(to_json(any_result))
    assert read_result(path) == any_result
    broken = to_json(any_result).replace(f'"seed": {any_result.seed}', '"seed": NaN')
    assert "NaN" in broken
    path.write_text(broken)
    with pytest.raises(CouldNotRun):
        read_result(path)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_runs_of_every_schema_render_for_ever(version: str, tmp_path: Path) -> None:
    golden = (Path(__file__).parents[1] / "golden" / f"run-{version}.json").read_bytes()  # demo runs of those versions
    (tmp_path / "run.json").write_bytes(golden)
    document = json.loads(golden)
    assert document["schema_version"] == version
    result = read_result(tmp_path / "run.json")
    charts = [a["charts"] if "charts" in a else [a["chart"]] if a["chart"] else [] for a in document["attacks"]]
    assert [[c.title for c in a.charts] for a in result.attacks] == [[c["title"] for c in found] for found in charts]
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "audit", "report", str(tmp_path)], check=True, capture_output=True)
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert page == render_html(result, run_sha256=hashlib.sha256(golden).hexdigest())
    assert hashlib.sha256(golden).hexdigest() in page  # of the file as it stands, not as this version would write it
    assert page.count('<tr id="finding-') == len(document["findings"])
    assert page.count('<svg class="chart"') == 2 + sum(map(len, charts))


def test_charts_that_cannot_be_drawn_are_refused() -> None:
    def series(**changes: object) -> Series:
        return Series.model_validate({"name": "s", "role": "unlearned", "x": (), "y": (), **changes})

    for changes in ({"pixels": "0011", "width": 0}, {"pixels": "001122", "width": 2}, {"pixels": "xy", "width": 1}):
        with pytest.raises(ValidationError):
            series(**changes)
    with pytest.raises(ValidationError, match="a band needs both ends"):
        series(x=(0.0, 1.0), y=(0.0, 1.0), low=(0.0,), high=(1.0,))
    for x, y in (((0.0, 1.0), (1.0, 1.0)), ((0.0, 0.0), (1.0,)), ((1.0,), ()), ((0.0, 1.0), (-1.0,))):
        with pytest.raises(ValidationError, match="edges that go upwards"):
            Chart(kind="histogram", title="t", x_label="", y_label="", series=(series(x=x, y=y),))
