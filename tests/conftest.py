"""Shared fixtures: small digit cases trained once per session, and the command line in this process or a real one."""

from __future__ import annotations

import io
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ARCH = "audit.demo:network"
STEPS = 200
#: a policy that an honest retrain of a small case can PASS: these tests are about exit codes, not figures
LENIENT = {
    "name": '"lenient"',
    "auc_margin": "0.18",
    "utility_margin": "0.5",
    "utility_part_margin": "0.9",
    "logits": '["membership.auc"]',
    "features": '["membership.auc"]',
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The one JSON line on standard output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        return dict(json.loads(lines[0]))

    @property
    def text(self) -> str:
        """Standard error without line breaks, which depend on the length of paths."""
        return " ".join(self.err.split())


Cli = Callable[..., Ended]


def rewrite(path: Path, **changes: Any) -> None:
    """Change arrays of an ``.npz`` file; None removes one."""
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def arrays(path: Path) -> dict[str, Any]:
    """All arrays of an ``.npz`` file."""
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def events(run: Path) -> list[dict[str, Any]]:
    """The events of a run."""
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def spawn(*args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "audit", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )


def process(*args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
    """Run the command line as a process of its own."""
    started = spawn(*args, cwd=cwd, env=env)
    out, err = started.communicate(timeout=300)
    return Ended(started.returncode, out, err)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AUDIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in this process: the same wrapper that maps every end to an exit code."""
    from attacks.recovery.uma import UnlearningMapping
    from audit.__main__ import _run

    # the two parts that cost most: these tests are not about their power
    monkeypatch.setitem(UnlearningMapping.__init__.__kwdefaults__, "steps", 4)
    monkeypatch.setattr("audit.collect.exchangeability.TREES", 20)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def call(*args: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["audit", *map(str, args)])
        capfd.readouterr()
        code = _run()
        out, err = capfd.readouterr()
        assert "Traceback" not in err, err
        return Ended(code, out, err)

    return call


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``random/``: original, honest unlearned model, two honest retrains, and ``fine-tuned`` beside them."""
    from audit import demo

    folder = tmp_path_factory.mktemp("built") / "random"
    folder.mkdir()
    data = demo.digits(0, wrong=0.15)
    rows = demo.random_rows(data, 0, forget=100, holdout=200, retain=300)
    rows["test"] = rows["test"][:300]
    demo.save_data(folder, data, rows)
    everything = np.concatenate([rows["forget"], rows["retain"]])
    original = demo.train(data, everything, seed=1, steps=2 * STEPS)
    demo.save_model(folder / "original.safetensors", original)
    demo.save_model(folder / "unlearned.safetensors", demo.train(data, rows["retain"], seed=2, steps=STEPS))
    for k in range(2):
        demo.save_model(
            folder / f"retrained-{k}.safetensors", demo.train(data, rows["retain"], seed=10 + k, steps=STEPS)
        )
    return folder


@pytest.fixture(scope="session")
def built_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class case: the original, an honest unlearned model and two honest retrains."""
    from audit import demo

    folder = tmp_path_factory.mktemp("built") / "class"
    folder.mkdir()
    data = demo.digits(0)
    rows = demo.class_rows(data, 0, trained=600)
    rows["test"] = rows["test"][:400]
    demo.save_data(folder, data, rows)
    everything = np.concatenate([rows["forget"], rows["retain"]])
    demo.save_model(folder / "original.safetensors", demo.train(data, everything, seed=1, steps=STEPS))
    for name, seed in (("unlearned", 2), ("retrained-0", 10), ("retrained-1", 11)):
        demo.save_model(folder / f"{name}.safetensors", demo.train(data, rows["retain"], seed=seed, steps=STEPS))
    return folder


@pytest.fixture(scope="session")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy file with wide margins."""
    from importlib import resources

    lines = (resources.files("audit.policy") / "standard.toml").read_text().splitlines()
    keys = [line.partition(" ")[0] for line in lines]
    path = tmp_path_factory.mktemp("policy") / "lenient.toml"
    path.write_text(
        "\n".join(f"{k} = {LENIENT[k]}" if k in LENIENT else line for k, line in zip(keys, lines, strict=True)).replace(
            'name = "standard"', 'name = "lenient"'
        )
    )
    return path


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private and a public key."""
    from audit.certify.keys import generate_keypair

    private = tmp_path_factory.mktemp("keys") / "audit.key"
    public = private.with_name("audit.key.pub")
    generate_keypair(private, public)
    return private, public


@pytest.fixture
def case(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the random case to damage; the working directory is empty and beside it."""
    place = tmp_path / "case"
    shutil.copytree(built, place, ignore=shutil.ignore_patterns(".audit"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return place


@pytest.fixture(scope="session")
def finished(built: Path, lenient: Path, keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a finished, signed PASS of the random case, made by a real process. Copy before changing."""
    folder = tmp_path_factory.mktemp("finished")
    ended = process(
        "run",
        "--forget",
        built / "forget.npz",
        "--arch",
        ARCH,
        "--split",
        "attested",
        "--policy",
        lenient,
        "--sign-key",
        keys[0],
        "--out",
        folder,
        "--quiet",
    )
    assert ended.code == 0, ended.err
    return Path(ended.result["run"])
