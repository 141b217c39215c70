"""What a person meets on the command line: help, names of attacks, pipes, devices, progress."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from audit.collect.events import Event
from audit.commands.grouped import GROUPS
from audit.errors import CouldNotRun
from audit.interface.progress import progress
from audit.record.files import write_output
from audit.record.result import Outcome
from reports.effects import size
from reports.formats.terminal import render_answer
from tests.reports.conftest import example


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audit", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_help_shows_examples_first_and_every_option_in_its_group() -> None:
    ended = run("run", "-h")
    assert ended.returncode == 0, ended.stderr
    heads = re.findall(r"^(\w[\w ]+):$", ended.stdout, re.MULTILINE)
    assert heads == ["Examples", *GROUPS]
    shown = set(re.findall(r"^  (--[\w-]+)", ended.stdout, re.MULTILINE))
    named = {f"--{name.replace('_', '-')}" for names in GROUPS.values() for name in names}
    assert named <= shown


def test_an_attack_by_its_name() -> None:
    ended = run("attacks", "membership")
    assert "access              logits" in ended.stdout
    assert "arXiv 2112.03570" in ended.stdout
    wrong = run("attacks", "membershp")
    assert (wrong.returncode, "do you mean membership?" in wrong.stderr) == (2, True)


def test_a_shell_completes_commands() -> None:
    words = {"_AUDIT_COMPLETE": "complete_bash", "COMP_WORDS": "audit re", "COMP_CWORD": "1"}
    main = "import sys; sys.argv = ['audit']; from audit.__main__ import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", main], capture_output=True, text=True, check=False, env={**os.environ, **words}
    )
    assert {"report", "references"} <= set(ended.stdout.split()), ended.stderr


def test_a_broken_pipe_ends_quietly() -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "audit", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout
    started.stdout.close()  # before anything is written
    _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (141, b"")


def test_output_goes_through_devices_pipes_and_links(tmp_path: Path) -> None:
    write_output(Path(os.devnull), b"nothing")
    assert Path(os.devnull).is_char_device()
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_bytes(b"old")
    link.symlink_to(kept)
    write_output(link, b"new")
    assert (link.is_symlink(), kept.read_bytes()) == (True, b"new")
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_output(tmp_path / "pipe", b"x" * 100_000)
    reader.join(10)
    assert read == [b"x" * 100_000]
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(CouldNotRun, match="it is no file"):
        write_output(tmp_path, b"")


def test_progress_names_what_runs_and_promises_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Console(file=io.StringIO()), quiet=False) as notify:
        notify(Event("observe", "forward pass", "original", "running", 0, 2, 2, 0.0, 900))
        notify(Event("observe", "forward pass", "original", "done", 1, 2, 2, 0.1, 900))
        notify(Event("attack", "membership", "original", "running", 0, 2, 2, 0.0))
        begun = capsys.readouterr().err
        notify(Event("attack", "membership", "original", "done", 1, 2, 2, 0.5))
        notify(Event("attack", "membership", "unlearned", "running", 1, 2, 2, 0.0))
        notify(Event("attack", "membership", "unlearned", "done", 2, 2, 2, 0.5))
    assert begun.splitlines() == ["forward pass on original (900 rows): 1 of 2", "membership: running on 2 models"]
    said = capsys.readouterr().err
    assert said == "membership: done on 2 models in 1.0 s, 2 of 2 units done\n"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_verdict_is_the_last_thing_on_the_screen(width: int, outcome: Outcome) -> None:
    console = Console(file=io.StringIO(), width=width)
    render_answer(example(outcome), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    last = text[text.rindex(f"{outcome.value}: ") :]
    assert " ".join(last.split()) == f"{outcome.value}: {size(example(outcome))}"
    assert "next: " in text
