"""No mark of an unfinished merge: `.ci/conflicts.py` finds each kind with its place, and lets other lines through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "conflicts.py"
CLEAN = "\n".join(["Heading", "=" * 8, "Other", "=" * 6, "table |||||||||", f"a {'<' * 7} b", "=" * 7 + "x", ""])


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the script and one clean file."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    (tmp_path / "page.rst").write_text(CLEAN)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def checked(clone: Path) -> subprocess.CompletedProcess[str]:
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    command = [sys.executable, ".ci/conflicts.py"]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


def test_clean_files_pass(clone: Path) -> None:
    (clone / "picture.png").write_bytes(b"\0\n" + b"=" * 7 + b"\n")  # not text
    done = checked(clone)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("mark", ["<" * 7 + " HEAD", "|" * 7 + " base", "=" * 7, ">" * 7 + " other", "=" * 7 + "\r"])
def test_a_mark_is_refused_with_its_place(clone: Path, mark: str) -> None:
    (clone / "docs").mkdir()
    (clone / "docs" / "page.md").write_text(f"one\ntwo\n{mark}\nfour\n", newline="")
    done = checked(clone)
    assert done.returncode == 1
    assert done.stdout == "docs/page.md:3: mark of an unfinished merge\n"


def test_lint_asks_for_it() -> None:
    recipe = (SCRIPT.parents[1] / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    assert ".ci/conflicts.py" in recipe
