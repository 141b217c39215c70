"""Tests that the documentation names as its evidence exist."""

from __future__ import annotations

import re

import pytest

from tests.project.documents import ROOT, pages, prose

NAMED = re.compile(r"`((?:tests/)?[\w/]+\.py)(?:::(test_\w+))?`")


def missing(text: str) -> list[str]:
    """Tests that a text names and that are not there; files of other folders are left out."""
    found = []
    for file, test in NAMED.findall(text):
        path = ROOT / "tests" / file.removeprefix("tests/")
        if not test and not file.startswith("tests/"):
            continue
        if not path.is_file() or (test and f"def {test}(" not in path.read_text(encoding="utf-8")):
            found.append(f"{file}::{test}")
    return found


@pytest.mark.parametrize("page", pages())
def test_every_named_test_exists(page: str) -> None:
    assert missing(prose(page)) == []


def test_the_threat_model_names_a_test_for_every_line() -> None:
    text = prose("docs/security.md").partition("## Threat model, by actor")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| can ")]
    assert len(lines) > 25
    assert all("::test_" in line for line in lines)
    assert len(re.findall(r"^\*\*", text, re.MULTILINE)) == 6  # actors


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert missing("`hostile/test_kill.py::test_nothing` and `tests/none.py`") == [
        "hostile/test_kill.py::test_nothing",
        "tests/none.py::",
    ]
