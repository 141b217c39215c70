"""Killed at random points of training, attacks, judging and reporting: nothing finished is lost, the record the same.

A parent is killed without warning (SIGKILL), as a memory limit or a power cut would do. The same command is then given
again, until it ends by itself.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ARCH, events, process, spawn

KILLS = 40  # each phase is hit ten times
PHASES = ("training", "attacks", "judging", "certifying")
CONFIG = f"""
[model]
arch = "{ARCH}"
[claim]
split = "attested"
[recipe]
optimizer = "adam"
lr = 0.003
epochs = 20
batch_size = 128
engine = "pool"
workers = 1
"""
OUTPUTS = ("run.json", "report.html")


@dataclass(frozen=True)
class Place:
    """One copy of the case with what an audit of it writes; the working directory marks its processes."""

    case: Path
    here: Path

    @property
    def run(self) -> Path:
        found = list((self.here / "runs").glob("*"))
        return found[0] if found else self.here / "runs" / "none"

    @property
    def store(self) -> Path:
        return self.case / ".audit" / "store"

    def command(self) -> tuple[str | Path, ...]:
        return ("run", "--forget", self.case / "forget.npz", "--train-references", "2", "--skip", "uma", "-q")

    def start(self) -> subprocess.Popen[str]:
        return spawn(*self.command(), cwd=self.here)

    def models(self) -> dict[str, int]:
        """Finished models, with the time at which each was written."""
        return {path.name: path.stat().st_mtime_ns for path in self.store.glob("*.json")}

    def files(self) -> set[str]:
        """Every file of run and project, numbers of signals and events included; names of locks are no content."""
        roots = (self.run, self.case / ".audit")
        return {str(path.relative_to(root)) for root in roots for path in root.rglob("*") if path.is_file()}

    def processes(self) -> list[int]:
        """Processes that work in this place: none may outlive the one that was killed."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cwd").readlink() == self.here and "Z" not in (entry / "stat").read_text().split()[2]:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def reached(self, phase: str) -> bool:
        """Whether a phase has begun, by what is on the disk."""
        marks = {
            "training": self.case / ".audit" / "project.key",
            "attacks": self.run / "events.jsonl",
            "judging": self.run / "private" / "evidence" / "facts.json",
            "certifying": self.run / "run.json",
        }
        return marks[phase].exists()


@pytest.fixture(scope="module")
def project_key(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that all copies share, so that their runs have the same name."""
    path = tmp_path_factory.mktemp("key") / "project.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def place(built: Path, project_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Makes fresh copies of the case, without references."""

    def fresh() -> Place:
        root = tmp_path_factory.mktemp("killed")
        found = Place(root / "case", root / "here")
        shutil.copytree(built, found.case, ignore=shutil.ignore_patterns(".audit", "retrained*", "fine-tuned*"))
        found.here.mkdir()
        (found.case / ".audit").mkdir(mode=0o700)
        shutil.copy2(project_key, found.case / ".audit" / "project.key")
        (found.here / "audit.toml").write_text(CONFIG)
        return found

    return fresh


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def watched(place: Place) -> dict[str, float]:
    """Run to the end; seconds that each phase takes."""
    started, begun = place.start(), {}
    for phase in PHASES:
        assert wait_for(lambda phase=phase: place.reached(phase) or started.poll() is not None, 120)
        begun[phase] = time.monotonic()
    out, err = started.communicate(timeout=120)
    assert started.returncode in (1, 3), out + err
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {phase: end - begun[phase] for phase, end in zip(PHASES, ends, strict=True)}


def kill_in(place: Place, phase: str, delay: float) -> bool:
    """Start, kill within the phase; False where the process had ended before."""
    started = place.start()
    wait_for(lambda: place.reached(phase) or started.poll() is not None, 120)
    time.sleep(delay)
    killed = started.poll() is None
    started.send_signal(signal.SIGKILL)
    started.communicate(timeout=60)
    assert wait_for(lambda: not place.processes(), 20), "processes outlive the one that was killed"
    return killed and started.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_and_says_the_same(place: Callable[[], Place]) -> None:
    whole = place()
    lasts = watched(whole)
    expected = [(whole.run / name).read_bytes() for name in OUTPUTS]
    rng = np.random.default_rng(20)
    hits: Counter[str] = Counter()
    while hits.total() < KILLS:
        at, before, kills = place(), {}, 0
        for phase in PHASES:
            if at.reached("certifying") and phase != "certifying":
                continue
            if kill_in(at, phase, float(rng.random()) * lasts[phase]):
                hits[phase] += 1
                kills += 1
            now = at.models()
            assert {name: now.get(name) for name in before} == before, "a finished model was trained again"
            before = now
        ended = process(*at.command(), cwd=at.here)
        assert ended.code in (1, 3), ended.err
        assert at.run.name == whole.run.name
        assert [(at.run / name).read_bytes() for name in OUTPUTS] == expected
        done = Counter((e["attack"], e["model"]) for e in events(at.run) if e.get("status") == "done")
        assert sum(count - 1 for count in done.values()) == 0, "a finished unit was done again"
        assert {name: at.models()[name] for name in before} == before
        assert at.files() - {str(p) for p in extra(at)} == whole.files(), "something is left behind"
        assert not at.processes()
    assert min(hits[phase] for phase in PHASES) >= KILLS // len(PHASES) // 2, hits


def extra(place: Place) -> list[Path]:
    """Earlier judgements of the same run, which are kept on purpose."""
    return [path.relative_to(place.run) for path in (place.run / "earlier").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_killed_while_judging_again(place: Callable[[], Place]) -> None:
    """`audit score` and `audit report` of a finished run."""
    whole = place()
    watched(whole)
    commands = (("score", whole.run, "--policy", "strict"), ("report", whole.run, "-f", "markdown", "-o", "report.md"))
    rng = np.random.default_rng(21)
    for command in commands:
        begun = time.monotonic()
        assert process(*command, cwd=whole.here).code in (0, 1, 3)
        lasts = time.monotonic() - begun
        expected = [(whole.run / name).read_bytes() for name in OUTPUTS]
        for _ in range(5):
            started = spawn(*command, cwd=whole.here)
            time.sleep(float(rng.random()) * lasts)
            started.send_signal(signal.SIGKILL)
            started.communicate(timeout=60)
            assert wait_for(lambda: not whole.processes(), 20)
            again = process(*command, cwd=whole.here)
            assert again.code in (0, 1, 3), again.err
            assert [(whole.run / name).read_bytes() for name in OUTPUTS] == expected
            assert not [*whole.run.rglob(".audit-*"), *whole.here.glob(".audit-*")]
    assert [path.name for path in (whole.here / "runs").iterdir()] == [whole.run.name]
