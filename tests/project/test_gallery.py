"""Every folder of `examples/`, from its training to its verdict, as its `run.sh` says."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.documents import ROOT, read

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/run.sh"))
GLUE = "# for the audit"
MOST = 10  # lines that nobody would write but for the audit
NEEDS = {"hugging-face-text": "transformers", "lightning": "lightning"}  # not among what CI installs


def glue(folder: Path) -> int:
    """Lines of one's own that serve the audit alone: those that say so, and a file that is there for it."""
    texts = [path.read_text() for path in folder.glob("*.py")]
    whole = [text for text in texts if text.startswith('"""For the audit')]
    code = sum(1 for text in whole for line in text.splitlines() if line.strip() and not line.startswith('"""'))
    return code + sum(text.count(GLUE) for text in texts)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_needs_few_lines_and_is_in_the_gallery(folder: Path) -> None:
    assert glue(folder) < MOST
    (row,) = (line for line in read("docs/examples.md").splitlines() if f"`examples/{folder.name}`" in line)
    assert row.rstrip().endswith(f"| {glue(folder)} |")


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder",
    EXAMPLES,
    ids=lambda folder: folder.name,
)
def test_an_example_ends_in_its_verdict(folder: Path, tmp_path: Path) -> None:
    package = NEEDS.get(folder.name)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    place = tmp_path / folder.name
    shutil.copytree(folder, place)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "train.py"], cwd=place, env=environment, check=True, capture_output=True)
    program, *arguments = shlex.split((place / "run.sh").read_text())
    assert program == "audit"
    done = subprocess.run(
        [sys.executable, "-m", "audit", *arguments],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # all of them forgot nothing
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == "FAIL"
