"""Files are written whole or not at all, under names that nobody can prepare, and nothing half-written stays."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from audit.errors import CouldNotRun
from audit.record.digest import load_or_create_key
from audit.record.files import replacing, sweep, write_bytes
from audit.record.lines import append
from audit.record.rundir import RunDir

WRITER = """
import sys, time
from pathlib import Path
from audit.record.files import replacing
with replacing(Path(sys.argv[1]), private=True) as stream:
    stream.write(b"half")
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_temporary_name_cannot_be_prepared(tmp_path: Path) -> None:
    """A7: the name was that of the file and the process, opened where a link stood: the link's target was written."""
    target = tmp_path / "theirs"
    target.write_bytes(b"untouched")
    path = tmp_path / "run.json"
    path.with_name(f".{path.name}.{os.getpid()}.tmp").symlink_to(target)
    write_bytes(path, b"record")
    assert target.read_bytes() == b"untouched"
    assert (path.read_bytes(), path.is_symlink()) == (b"record", False)
    names = set()
    for _ in range(2):
        with replacing(path):
            names |= {p.name for p in tmp_path.iterdir()}
    assert len([name for name in names if name.startswith(".audit-")]) == 2  # another name each time


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "theirs"
    target.write_bytes(b"untouched")
    (tmp_path / "run.json").symlink_to(target)
    write_bytes(tmp_path / "run.json", b"record")
    assert target.read_bytes() == b"untouched"
    (tmp_path / "events.jsonl").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        append(tmp_path / "events.jsonl", b"line", mode=0o600)
    with pytest.raises(CouldNotRun, match="cannot write"):
        RunDir(tmp_path).log("start")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        append(tmp_path / "pipe", b"line", mode=0o600)
    assert target.read_bytes() == b"untouched"
    (tmp_path / "project.key").symlink_to(target)
    with pytest.raises(CouldNotRun, match="no link"):
        load_or_create_key(tmp_path / "project.key")


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        run = RunDir(tmp_path / "run")
        (run.path / "private").mkdir(mode=0o777, parents=True)
        run.begin("", fresh=False)
        run.keep_private({"records.csv": "x"})
        run.keep_errors([("membership on unlearned", "text")])
        write_bytes(run.private / "commitments.json", b"{}", private=True)
    finally:
        os.umask(old)
    for path in (run.private, *run.private.rglob("*")):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("way", ["begin", "purge"])
def test_what_a_killed_process_left_is_swept(tmp_path: Path, way: str) -> None:
    run = RunDir(tmp_path / "run")
    run.begin("", fresh=False)
    places = [run.path, run.private, run.evidence, run.signals]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, place / "x"], stdout=subprocess.PIPE, text=True)
        for place in (*places, run.path)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
    *dead, living = writers
    for writer in dead:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    (run.path / ".run.json.1234.tmp").touch()  # of an older version
    (run.path / ".mine.tmp").touch()
    if way == "begin":
        run.begin("", fresh=False)
    else:
        run.purge()
    left = {path.name for path in run.path.rglob("*.tmp")}
    assert len(left) == 2  # what a living process writes, and what is not ours
    assert ".mine.tmp" in left
    living.kill()
    living.wait()
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    sweep(run.path)
    assert {path.name for path in run.path.rglob("*.tmp")} == {".mine.tmp"}
