"""The documentation: the site builds, loads nothing from elsewhere, and the tutorial does what it says."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attacks.base import discover
from tests.project.conftest import Reader
from tests.project.documents import ROOT, blocks


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="the extra docs is not installed")
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ".ci/mkdocs.yml", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {
        path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")
    }
    assert set(pages) >= {"index.html", "tutorial.html", "api.html", *(f"attacks/{name}.html" for name in discover())}
    for name, page in pages.items():
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*src=[\"']?([^\"' >]+)", page)
        loaded += re.findall(r"<link[^>]*rel=[\"']?(?:stylesheet|icon|preconnect)[^>]*href=[\"']?([^\"' >]+)", page)
        assert not [url for url in loaded if url.startswith(("http:", "https:", "//"))], name
    assert "Carlini" in pages["attacks/lira_online.html"]


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(reader: Reader) -> None:
    ran = 0
    for block in blocks("docs/tutorial.md"):
        reader.save(block)
        assert not block.comments, f"{block.place}: the tutorial says that every command is run"
        ran += bool(reader.follow(block))
    assert ran == 8
    assert not list(reader.folder.glob("release/*/private/*"))
