"""The package beside others: its own name, another module called audit, the citation, the image."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

from audit.record.version import VERSION

ROOT = Path(__file__).parents[2]


def python(code: str, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", code]  # away from the source tree, which would stand first on the path
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, env=environment)


def test_it_is_importable_by_a_name_of_its_own() -> None:
    ended = python("import unlearn_audit, audit; print(unlearn_audit.run is audit.run)", str(ROOT))
    assert ended.stdout.strip() == "True", ended.stderr


def test_another_module_named_audit_is_named(tmp_path: Path) -> None:
    (tmp_path / "audit.py").write_text("raise SystemExit('the wrong one ran')\n")
    ended = python("import unlearn_audit", f"{tmp_path}{os.pathsep}{ROOT}")
    assert "another module named audit hides that of unlearn-audit" in ended.stderr
    assert str(tmp_path / "audit.py") in ended.stderr


def test_metadata_and_citation_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], project["version"]) == (VERSION, VERSION)
    assert citation["title"] == project["name"]
    assert project["authors"]
    assert project["keywords"]
    assert (
        f"Programming Language :: Python :: {project['requires-python'].removeprefix('>=')}" in project["classifiers"]
    )


def test_the_long_description_leads_nowhere_that_is_not_there() -> None:
    """It is shown by package indexes, where a path into the repository is no link."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / project["readme"]).read_text()
    assert text.startswith(f"# {project['name']}\n")
    links = re.findall(r"\]\(([^)]+)\)|href=\"([^\"]+)\"", text)
    assert all(link.startswith("https://") for pair in links for link in pair if link)
