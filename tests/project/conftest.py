"""A folder in which the commands of a page are run as a reader would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.documents import ROOT, SHELL, Block, Command


class Reader:
    """Does what a page says: saves the blocks that name a file, and runs the commands with ``audit`` on the path.

    Whoever asks is told yes. A name in angle brackets, as in ``runs/<id>``, is a run there: the newest, then the next.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        tools = folder / "bin"
        tools.mkdir()
        for name, module in (("audit", "-m audit "), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
            (tools / name).chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        }

    def save(self, block: Block) -> None:
        if block.file:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")

    def follow(self, block: Block) -> int:
        """Run the commands of a block, each with the exit code that the page says; how many there were."""
        commands = block.commands() if block.language in SHELL else []
        for command in commands:
            done = subprocess.run(
                ["bash", "-euc", self._with_runs(command)],
                cwd=self.folder,
                env=self.environment,
                input="y\n",
                capture_output=True,
                text=True,
                check=False,
            )
            said = f"{block.place}: {command.text} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == command.code, said
        return len(commands)

    def _with_runs(self, command: Command) -> str:
        runs = sorted(self.folder.glob("runs/*/run.json"), key=lambda path: -path.stat().st_mtime_ns)
        names = dict.fromkeys(re.findall(r"runs/(<\w+>)", command.text))
        text = command.text
        for name, run in zip(names, runs, strict=False):
            text = text.replace(name, run.parent.name)
        return text


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """In an empty folder."""
    return Reader(tmp_path)


@pytest.fixture
def prepared(reader: Reader, built: Path, finished: Path, lenient: Path) -> Reader:
    """In a folder with a small case, the network that made it, and two finished runs.

    A policy with wide margins is set from outside, so that an honest model of a case this small can PASS.
    """
    shutil.copytree(built, reader.folder, ignore=shutil.ignore_patterns(".audit"), dirs_exist_ok=True)
    (reader.folder / "nets.py").write_text("from audit.demo import network as make\n")
    for name in ("first", "second"):
        shutil.copytree(finished, reader.folder / "runs" / name)
    reader.environment |= {"AUDIT_POLICY": str(lenient), "AUDIT_SPLIT": "attested"}
    return reader
