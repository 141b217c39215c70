"""Examples in the documentation are valid, and the modules and files that it names exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.project.documents import ROOT, Block, blocks, inline, pages, read

OURS = ("audit", "attacks", "reports")
NO_MODULE = re.compile(r"audit\.(toml|py|attacks|key(\.pub)?|xml|sarif)")  # files, and the group of entry points
FOLDERS = r"(?:audit|attacks|reports|tests|fixtures|benchmarks|docs|\.ci|\.github)/[\w./*-]*"


def python(text: str) -> None:
    tree = ast.parse(text)
    compile(tree, "block", "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OURS:
            for alias in node.names:
                resolve(f"{node.module}.{alias.name}")


READERS: dict[str, Callable[[str], Any]] = {
    "python": python,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "json": json.loads,
}
EXAMPLES = [block for page in pages() for block in blocks(page) if block.language in READERS]


def resolve(name: str) -> object:
    """The module, or what is in it, that a dotted name names."""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        for part in parts[depth:]:
            if not hasattr(found, part):
                raise ImportError(f"{name}: no {part}")
            found = getattr(found, part)
        return found
    raise ImportError(name)


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.place)
def test_an_example_is_valid(block: Block) -> None:
    READERS[block.language](block.text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "return 1"),
        ("python", "from audit.result import AuditResult"),
        ("toml", "a = "),
        ("yaml", "a: ["),
        ("json", "{"),
    ],
)
def test_an_invalid_example_is_refused(language: str, text: str) -> None:
    with pytest.raises((SyntaxError, ImportError, ValueError, yaml.YAMLError)):
        READERS[language](text)


def test_every_kind_of_example_is_known() -> None:
    known = {*READERS, "sh", "console", "bash", "groovy", "text", ""}
    assert {block.language for page in pages() for block in blocks(page)} <= known


@pytest.mark.parametrize("page", pages())
def test_modules_that_are_named_exist(page: str) -> None:
    named = [name for text in inline(page) for name in re.findall(rf"^(?:{'|'.join(OURS)})(?:\.\w+)+", text)]
    named += re.findall(r"^::: (\S+)", read(page), re.MULTILINE)
    for name in named:
        if not NO_MODULE.fullmatch(name):
            resolve(name)


@pytest.mark.parametrize("page", pages())
def test_files_that_are_named_exist(page: str) -> None:
    for text in inline(page):
        for path in re.findall(rf"(?<!\S){FOLDERS}", text):
            assert list(ROOT.glob(path.rstrip("/"))), f"{page}: {path}"


def test_core_types_are_where_the_page_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+)` \|", read("docs/architecture.md"), re.MULTILINE)
    assert len(rows) > 10
    for name, folder in rows:
        found = [
            path
            for path in (ROOT / folder).glob("*.py")
            if re.search(rf"^class {name}\b", path.read_text(), re.MULTILINE)
        ]
        assert found, f"{name} is not in {folder}"
