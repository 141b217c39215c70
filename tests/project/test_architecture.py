"""The tables of files in docs/architecture.md are what `.ci/architecture.py` makes of the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "architecture.py"
MARKERS = "before\n<!-- files: begin -->\n<!-- files: end -->\nafter\n"


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with one package of two files, the script, and a page without tables."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    (tmp_path / "audit" / "room").mkdir(parents=True)
    (tmp_path / "audit" / "__init__.py").write_text('"""All of it."""\n')
    (tmp_path / "audit" / "room" / "__init__.py").write_text('"""Rows in;\nnumbers out."""\n')
    (tmp_path / "audit" / "room" / "sums.py").write_text('"""Sums of ``a|b``.\n\nMore."""\nimport absent\n')
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "architecture.md").write_text(MARKERS)
    return tmp_path


def test_the_page_is_what_the_code_says() -> None:
    done = run(SCRIPT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_table_a_package_from_the_docstrings(small: Path) -> None:
    script, page = small / ".ci" / SCRIPT.name, small / "docs" / "architecture.md"
    assert run(script).returncode == 0
    assert page.read_text() == (
        "before\n<!-- files: begin -->\n\n### audit\n\nAll of it.\n\n### audit/room\n\nRows in; numbers out.\n\n"
        "| file | content |\n|---|---|\n| `sums.py` | Sums of `a\\|b`. |\n\n<!-- files: end -->\nafter\n"
    )
    assert run(script, "--check").returncode == 0


def test_a_file_that_came_or_went_is_named(small: Path) -> None:
    script = small / ".ci" / SCRIPT.name
    run(script)
    (small / "audit" / "room" / "sums.py").rename(small / "audit" / "room" / "products.py")
    done = run(script, "--check")
    assert done.returncode == 1
    assert "-| `sums.py`" in done.stdout
    assert "+| `products.py`" in done.stdout


def test_a_file_without_a_docstring_and_a_page_without_markers_are_refused(small: Path) -> None:
    script = small / ".ci" / SCRIPT.name
    (small / "audit" / "room" / "bare.py").write_text("x = 1\n")
    assert "bare.py has no docstring" in run(script).stderr
    (small / "audit" / "room" / "bare.py").unlink()
    (small / "docs" / "architecture.md").write_text("nothing\n")
    assert "files: begin" in run(script, "--check").stderr


def test_the_top_of_audit_holds_the_story_and_the_rooms_alone() -> None:
    top = {path.name for path in (ROOT / "audit").glob("*.py")}
    assert top == {"__init__.py", "__main__.py", "demo.py", "errors.py", "run.py", "selftest.py"}


@pytest.mark.parametrize("room", sorted(path.parent.name for path in (ROOT / "audit").glob("*/__init__.py")))
def test_a_room_says_what_comes_in_and_what_goes_out(room: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / "audit" / room / "__init__.py").read_text(encoding="utf-8"))) or ""
    first, *rest = said.splitlines()
    assert " in" in first, first
    assert " out" in first, first
    assert [line for line in rest if line], "a second line"
