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

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


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
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = f'#!/bin/sh\nexec "{sys.executable}" -m audit "$@"\n'
    for name, text in (("audit", script), ("python", script.replace(" -m audit", ""))):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    blocks = re.findall(r"^```(\w+)(.*?)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    ran = 0
    for language, options, text in blocks:
        if title := re.search(r'title="([^"]+)"', options):
            (work / title.group(1)).write_text(text, encoding="utf-8")
        elif language == "sh":
            expected = int(found.group(1)) if (found := re.search(r"# exit code (\d+)", text)) else 0
            command = ["bash", "-euc", text]
            done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == expected, f"{text}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran == 8
    assert not list(work.glob("release/*/private/*"))
