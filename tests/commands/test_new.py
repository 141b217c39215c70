"""Every example project runs as it is written, to the verdict that it announces."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit.commands.new import Starter

ROOT = Path(__file__).parents[2]


def here(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )


def test_a_project_is_written_once_and_nothing_overwritten(tmp_path: Path) -> None:
    written = here(tmp_path, "-m", "audit", "new", "mine")
    assert written.returncode == 0, written.stderr
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert names == {".gitignore", "audit.toml", "ci.yml", "digits.py", "nets.py", "prepare.py"}
    again = here(tmp_path, "-m", "audit", "new", "mine")
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(Starter))
def test_every_project_ends_in_its_verdict(kind: Starter, tmp_path: Path) -> None:
    if kind is Starter.HUGGINGFACE and importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    folder = tmp_path / kind.value
    assert here(tmp_path, "-m", "audit", "new", str(folder), "--kind", kind.value).returncode == 0
    prepared = here(folder, "prepare.py")
    assert prepared.returncode == 0, prepared.stderr
    ended = here(folder, "-m", "audit", "run", "--attacks", "gated")
    assert json.loads(ended.stdout)["verdict"] == "FAIL", ended.stderr
    assert ended.returncode == 1
