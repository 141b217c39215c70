"""`audit report` and `audit compare` on a real run, through the wrapper that maps every end to an exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import Cli, process


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run to change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_text_goes_to_standard_output_or_to_a_file(run_dir: Path, cli: Cli, tmp_path: Path) -> None:
    for name in ("markdown", "junit", "sarif", "model-card"):
        ended = cli("report", run_dir, "-f", name)
        assert ended.code == 0
        target = tmp_path / f"{name}.out"
        assert cli("report", run_dir, "-f", name, "-o", target).out.strip() == str(target)
        assert target.read_text(encoding="utf-8") == ended.out
        assert "PASS" in ended.out
    assert ET.fromstring((tmp_path / "junit.out").read_text()).attrib["failures"] == "0"
    assert ET.fromstring((tmp_path / "junit.out").read_text()).attrib["errors"] == "0"
    assert json.loads((tmp_path / "sarif.out").read_text())["version"] == "2.1.0"
    assert json.loads((tmp_path / "sarif.out").read_text())["runs"][0]["results"] == []  # a PASS raises no alert
    full = json.loads(cli("report", run_dir, "-f", "sarif", "--sarif-all", "--sarif-category", "scoring").out)
    assert {found["kind"] for found in full["runs"][0]["results"]} <= {"informational", "notApplicable"}
    assert full["runs"][0]["results"]
    assert full["runs"][0]["automationDetails"]["id"].startswith("scoring/")
    target = tmp_path / "terminal.txt"
    assert cli("report", run_dir, "-f", "terminal", "-o", target).code == 0
    assert target.read_text().startswith("PASS")


def test_pages_go_into_the_run(run_dir: Path, cli: Cli, tmp_path: Path) -> None:
    ended = cli("report", run_dir, "-f", "compliance", "--framework", "gdpr, ccpa")
    assert ended.out.strip() == str(run_dir / "compliance.html")
    assert "AI Act" not in (run_dir / "compliance.html").read_text()
    target = tmp_path / "clauses.md"
    assert cli("report", run_dir, "-f", "compliance", "-o", target).code == 0
    assert target.read_text().startswith("# Evidence by clause")
    ended = cli("report", run_dir, "-f", "compliance", "--framework", "gdrp")
    assert (ended.code, "choose from ccpa" in ended.text) == (2, True)


def test_emoji_on_an_ascii_stream(finished: Path) -> None:
    ended = process("report", finished, "-f", "markdown", env={"PYTHONIOENCODING": "ascii:replace"})
    assert ended.code == 0


def test_mlflow_takes_no_file(run_dir: Path, cli: Cli, tmp_path: Path) -> None:
    ended = cli("report", run_dir, "-f", "mlflow", "-o", tmp_path / "x")
    assert (ended.code, "leave --output out" in ended.text) == (2, True)


def test_compare(run_dir: Path, cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    assert cli("compare", run_dir, run_dir, "-o", page).out.strip() == str(page)
    assert page.read_text().startswith("<!doctype html>")
    ended = cli("compare", run_dir, run_dir)
    assert (ended.code, "PASS" in ended.out) == (0, True)
    ended = cli("compare", run_dir)
    assert (ended.code, "needs two runs or more" in ended.text) == (2, True)
    (run_dir / "run.json").write_text((run_dir / "run.json").read_text().replace("PASS", "FAIL", 1))
    assert cli("compare", run_dir, run_dir).code == 4  # an edited record
