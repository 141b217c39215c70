"""The published schema fits what is written, and the record is strict JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from audit.errors import CouldNotRun
from audit.result import AuditResult, read_result, to_json


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
