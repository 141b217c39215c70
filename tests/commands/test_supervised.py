"""Exit code 0 needs a record that this run wrote: no way to end the process from user code is a verdict."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from audit.commands.proof import check_record, digests_of
from audit.errors import CouldNotRun
from audit.record.rundir import RunDir
from tests.conftest import ARCH, Cli, process, spawn

#: a network as the case's, with a line of its own in a place of choice
NETS = """
import os, signal, subprocess, sys, time
import click, torch
from audit.demo import network
{at_import}
class Net(torch.nn.Sequential):
    def forward(self, x):
        {forward}
        return super().forward(x)
def make():
    {factory}
    net = Net(*network())
    {built}
    return net
"""


def write_nets(name: str, **lines: str) -> str:
    places = {"at_import": "pass", "forward": "pass", "factory": "pass", "built": "pass"} | lines
    Path(f"{name}.py").write_text(NETS.format(**places))
    return f"{name}:make"


def flags(case: Path, arch: str) -> tuple[str | Path, ...]:
    return ("run", "--forget", case / "forget.npz", "--arch", arch, "-q")


@pytest.mark.parametrize(
    ("place", "line"),
    [
        pytest.param("at_import", "os._exit(0)", marks=pytest.mark.slow),
        ("factory", "os._exit(0)"),
        pytest.param("factory", "os._exit(3)", marks=pytest.mark.slow),
        pytest.param("factory", "os.kill(os.getpid(), signal.SIGKILL)", marks=pytest.mark.slow),
        pytest.param("factory", "os.closerange(3, 99), os._exit(0)", marks=pytest.mark.slow),
        ("forward", "sys.exit(0)"),
        pytest.param("forward", "raise click.exceptions.Exit(0)", marks=pytest.mark.slow),
    ],
)
def test_ending_the_process_is_no_verdict(case: Path, place: str, line: str) -> None:
    """A4: `os._exit(0)` in a factory ended with exit 0 and no verdict."""
    ended = process(*flags(case, write_nets("ending", **{place: line})))
    if place == "forward":  # a problem of the network, as any other
        assert (ended.code, ended.out) == (2, "")
    else:
        assert (ended.code, ended.out) == (4, "")
        assert "could not run: " in ended.err
        assert "This is not a verdict." in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_a_record_of_an_earlier_run_proves_nothing(case: Path) -> None:
    first = process(*flags(case, write_nets("later")))
    assert first.code in (1, 3), first.err
    assert (Path(first.result["run"]) / "run.json").is_file()
    write_nets("later", forward=f"os._exit({first.code})")
    again = process(*flags(case, "later:make"))
    assert (again.code, again.out) == (4, "")


@pytest.mark.parametrize("command", [("run",), pytest.param(("references", "plan"), marks=pytest.mark.slow)])
def test_an_endless_factory_ends_in_a_message(case: Path, command: tuple[str, ...]) -> None:
    arch = write_nets("endless", factory="time.sleep(1000)")
    Path("audit.toml").write_text("[recipe]\nepochs = 1\n")
    more = ("--timeout", "1.5", "--train-references", "1")
    begun = time.monotonic()
    ended = process(*command, "--forget", case / "forget.npz", "--arch", arch, *more)
    assert time.monotonic() - begun < 60
    assert (ended.code, ended.out) == (4, "")
    assert "--arch endless:make took longer than --timeout 1.5 s and was ended: repair it, or raise" in ended.text


@pytest.mark.slow
def test_an_endless_hook_ends_in_a_message(case: Path) -> None:
    Path("hooks_of_mine.py").write_text("import time\ndef train(model, data, seed):\n    time.sleep(1000)\n")
    Path("audit.toml").write_text('[recipe]\ntrain = "hooks_of_mine:train"\nworkers = 1\n')
    ended = process(*flags(case, ARCH), "--train-references", "1", env={"AUDIT_TIMEOUT": "12"})
    assert (ended.code, ended.out) == (4, "")
    assert "training of reference 0 took longer than --timeout 12 s" in ended.text


def test_standard_output_holds_one_line_whatever_user_code_writes(case: Path) -> None:
    closed = "torch.closed = getattr(torch, 'closed', None) or os.close(1) or True"
    noise = "os.write(1, b'by descriptor'), print('by name', file=sys.__stdout__, flush=True)"
    arch = write_nets("loud", at_import=noise, factory="subprocess.run(['echo', 'by a process'])", forward=closed)
    ended = process(*flags(case, arch))
    assert ended.code in (1, 3), ended.err
    assert ended.result["exit_code"] == ended.code
    assert all(text in ended.err for text in ("by descriptor", "by name", "by a process"))


@pytest.mark.slow
def test_the_plan_is_printed_as_before(case: Path) -> None:
    ended = process(*flags(case, ARCH), "--dry-run")
    assert (ended.code, ended.out.startswith("plan: 4 models x ")) == (0, True)


def gone(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, *(pytest.param(s, marks=pytest.mark.slow) for s in (signal.SIGTERM, signal.SIGINT))]
)
def test_the_child_ends_with_its_parent(case: Path, how: signal.Signals) -> None:
    write_nets("waits", factory="open('child', 'w').write(str(os.getpid())), time.sleep(1000)")
    started = spawn(*flags(case, "waits:make"))
    deadline = time.monotonic() + 60
    while not (Path("child").is_file() and Path("child").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.send_signal(how)
    out, err = started.communicate(timeout=30)
    assert (started.returncode, out) == (130 if how is signal.SIGINT else -how, "")
    assert "Traceback" not in err
    child = int(Path("child").read_text())
    while not gone(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_interruption_from_the_terminal_is_one(case: Path) -> None:
    """A terminal sends it to parent and child, and the parent passes it on."""
    write_nets("waits", factory="open('child', 'w').write('x'), time.sleep(1000)")
    command = [sys.executable, "-m", "audit", *map(str, flags(case, "waits:make"))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as started:
        while not Path("child").is_file():
            time.sleep(0.05)
        os.killpg(started.pid, signal.SIGINT)
        _, err = started.communicate(timeout=30)
    assert started.returncode == 130
    assert err.count("interrupted: run the same command again to continue") == 1
    assert "Traceback" not in err


@pytest.mark.slow
def test_bars_on_a_terminal(case: Path) -> None:
    """The child writes to the terminal of its parent."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "audit", "run", "--forget", case / "forget.npz", "--arch", ARCH]
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"TERM": "xterm"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as started:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            shown += part
        out, _ = started.communicate()
    os.close(ours)
    assert started.returncode in (1, 3)
    assert len(out.splitlines()) == 1
    assert "━".encode() in shown


# --- the proof


@pytest.fixture
def said(finished: Path, tmp_path: Path) -> dict[str, Any]:
    """What the audit of a copy of the finished run says to its parent."""
    run = RunDir(Path(shutil.copytree(finished, tmp_path / "run")))
    line = {"verdict": "PASS", "qualifier": "", "exit_code": 0, "run": str(run.path), "report": str(run.report)}
    return {"line": line | {"certificate": str(run.certificate)}, "digests": digests_of(run, run.certificate)}


def test_a_record_that_stands_is_accepted(said: dict[str, Any]) -> None:
    assert json.loads(check_record(said, 0)) == said["line"]


def edit(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    "fault", ["gone", "edited", "not strict", "unbound", "report", "certificate", "code", "verdict"]
)
def test_a_record_that_does_not_stand_is_refused(said: dict[str, Any], fault: str) -> None:
    run, code = RunDir(Path(said["line"]["run"])), 0
    if fault == "gone":
        run.result.unlink()
    elif fault == "edited":
        edit(run.result, b'"seed": 0', b'"seed": 1')
    elif fault in ("not strict", "unbound"):
        edit(run.result, b'"seed": 0', b'"seed":  0' if fault == "not strict" else b'"seed": 1')
        said["digests"] = digests_of(run, run.certificate)
    elif fault in ("report", "certificate"):
        path = run.report if fault == "report" else run.certificate
        path.write_bytes(path.read_bytes() + b" ")
    elif fault == "code":
        code = 3
    else:
        said["line"]["verdict"] = "INCONCLUSIVE"
    with pytest.raises(CouldNotRun, match=r"record|run again"):
        check_record(said, code)


# --- what user code changes beside its answer

MEDDLING = (
    "__import__('os').chdir('/'); import random, numpy, io; sys.stdout = io.StringIO(); random.seed(1); "
    "numpy.random.seed(2); torch.manual_seed(3); torch.set_num_threads(3); torch.set_default_dtype(torch.float16); "
    "numpy.seterr(all='raise'); torch.use_deterministic_algorithms(True); torch.set_default_device('meta')"
)


def test_a_network_that_changes_the_process_gives_the_same_record(
    case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = []
    for place in ("", "at_import", "built", "forward"):
        sys.modules.pop("meddler", None)
        write_nets("meddler", **({place: MEDDLING} if place else {}))
        ended = cli(*flags(case, "meddler:make"), "--out", f"out {place}")
        assert ended.code in (1, 3), ended.err
        records.append((Path(f"out {place}") / Path(ended.result["run"]).name / "run.json").read_bytes())
    assert all(record == records[0] for record in records)


@pytest.mark.parametrize(
    "place", ["factory", *(pytest.param(name, marks=pytest.mark.slow) for name in ("at_import", "forward"))]
)
def test_a_network_that_patches_torch_is_refused(case: Path, cli: Cli, place: str) -> None:
    import torch

    before = torch.log_softmax
    sys.modules.pop("patcher", None)
    write_nets("patcher", **{place: "torch.log_softmax = torch.softmax"})
    ended = cli(*flags(case, "patcher:make"))
    assert (ended.code, ended.out) == (2, "")
    assert "replaces torch.log_softmax, which the audit computes with: call a function of your own" in ended.text
    assert torch.log_softmax is before
