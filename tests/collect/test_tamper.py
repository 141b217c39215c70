"""Edits of a finished run are noticed before anything is rendered, judged or destroyed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cases.digits_case import build

from audit import demo
from audit.errors import ExitCode


def audit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """The run directory of a failed audit without references."""
    case = build(tmp_path, "random", references=0)
    demo.save_model(
        tmp_path / "unlearned.safetensors", demo.fine_tune(case.data, case.original, case.rows["retain"], 1)
    )
    flags = ("--arch", demo.ARCH, "--split", "attested", "--out", tmp_path / "runs", "-q")
    result = audit("run", "--forget", tmp_path / "forget.npz", *flags)
    assert result.returncode in (ExitCode.FAIL, ExitCode.INCONCLUSIVE), result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    return run


def test_edits_are_noticed(finished: Path, tmp_path: Path) -> None:
    record = finished / "run.json"
    honest = record.read_text()
    assert audit("report", finished).returncode == 0
    record.write_text(honest.replace('"name": "standard"', '"name": "stricter"'))
    edited = audit("report", finished)
    assert edited.returncode == ExitCode.COULD_NOT_RUN
    assert "it was edited" in edited.stderr
    record.write_text(honest)

    signals = finished / "private" / "signals"
    (original,) = signals.glob("membership-original-*.npz")
    (unlearned,) = signals.glob("membership-unlearned-*.npz")
    kept = unlearned.read_bytes()
    unlearned.write_bytes(original.read_bytes())
    swapped = audit("score", finished, "--policy", "standard")
    assert swapped.returncode == ExitCode.COULD_NOT_RUN
    assert "not what the audit wrote" in swapped.stderr
    unlearned.write_bytes(kept)
    assert audit("score", finished, "--policy", "standard").returncode in (ExitCode.FAIL, ExitCode.INCONCLUSIVE)


def test_purge_touches_nothing_but_a_run(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "precious").write_text("x")
    result = audit("purge", tmp_path, "--yes")
    assert result.returncode == ExitCode.USAGE
    assert (tmp_path / "private" / "precious").exists()
