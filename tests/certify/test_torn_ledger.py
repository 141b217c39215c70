"""A ledger whose last append was interrupted, or failed on a full disk: the tool never breaks its own chain."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audit.certify.ledger import open_look, read_ledger
from audit.errors import CouldNotRun, UsageError
from audit.record.result import LookRecord
from audit.record.rundir import RunDir
from tests.conftest import events


def look(path: Path, run: str) -> LookRecord:
    policy = ("standard", "1" * 64)
    return open_look(path, forget=lambda _: "f", unlearned="b" * 64, run_id=run, policy=policy)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "looks.jsonl"
    for run in ("r1", "r2"):
        look(path, run)
    return path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel writes no file beyond this size: a full disk that anyone can have."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_missing_final_newline_is_no_edit_and_the_look_counts(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().removesuffix(b"\n"))
    assert [entry.look for entry in read_ledger(ledger).entries] == [1, 2]
    assert look(ledger, "r3").number == 3
    assert [entry.look for entry in read_ledger(ledger).entries] == [1, 2, 3]


def test_a_line_that_was_interrupted_anywhere_is_taken_back(ledger: Path) -> None:
    whole = ledger.read_bytes()
    look(ledger, "r3")
    line = ledger.read_bytes().removeprefix(whole)
    for cut in (1, 20, len(line) // 2, len(line) - 2):
        ledger.write_bytes(whole + line[:cut])
        assert [entry.look for entry in read_ledger(ledger).entries] == [1, 2]
        assert ledger.read_bytes() == whole + line[:cut]  # reading changes nothing
        assert look(ledger, "r4").number == 3
        assert [entry.run_id for entry in read_ledger(ledger).entries] == ["r1", "r2", "r4"]
    ledger.write_bytes(whole + bytes(4096))  # what a power failure leaves of a file that had grown
    assert look(ledger, "r5").number == 3


def test_a_first_line_that_was_interrupted_is_written_anew(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    look(whole, "r1")
    header = whole.read_bytes().splitlines()[0]
    for cut in (1, 15, len(header) // 2, len(header) - 1, len(header)):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(header[:cut])
        assert look(path, "r1").number == 1
        assert len(read_ledger(path).entries) == 1


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: Path, room: int) -> None:
    before = ledger.read_bytes()
    with largest_file(len(before) + room), pytest.raises(UsageError, match=r"cannot use .* as a ledger"):
        look(ledger, "r3")
    assert ledger.read_bytes() == before
    assert look(ledger, "r3").number == 3


def test_a_disk_that_cannot_even_take_back_breaks_no_chain(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = ledger.read_bytes()
    with monkeypatch.context() as patched, largest_file(len(before) + 50):
        patched.setattr(os, "ftruncate", full)
        with pytest.raises(UsageError):
            look(ledger, "r3")
    assert len(ledger.read_bytes()) == len(before) + 50
    assert look(ledger, "r4").number == 3
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)  # what the disk did not take was not counted
        with pytest.raises(UsageError):
            look(ledger, "r5")
    assert [entry.run_id for entry in read_ledger(ledger).entries] == ["r1", "r2", "r4"]


def test_an_edit_before_the_end_is_still_an_edit(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().replace(b"standard", b"strict  ", 1) + b'{"digest": "ab')
    with pytest.raises(CouldNotRun, match="was edited"):
        read_ledger(ledger)


def test_a_pipe_is_no_ledger(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for use in (read_ledger, lambda path: look(path, "r1")):
        with pytest.raises(UsageError, match="as a ledger"):
            use(tmp_path / "pipe")


def test_events_are_lines_whatever_was_interrupted(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.log("start")
    with run.events.open("a") as stream:
        stream.write('{"event": "un')
    size = run.events.stat().st_size
    with largest_file(size), pytest.raises(CouldNotRun, match="free space"):
        run.log("finished", note="x" * 1000)
    run.log("finished")
    assert [event["event"] for event in events(tmp_path)] == ["start", "finished"]
