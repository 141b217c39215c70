"""Real processes: one is killed in mid-training, two work side by side in one store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: trains slowly, one model after another, and says when each starts
SLOW = """
import os, time
from pathlib import Path

import pytest

def train(model, data, seed):
    (Path(os.environ["STARTED"]) / f"{seed}-{os.getpid()}").touch()
    time.sleep(float(os.environ["SLEEP"]))
    return model
"""
PROGRAM = """
import sys
from pathlib import Path

import pytest
import pytest
import numpy as np
from audit.training.jobs import Job, Pool
from audit.inputs.recipe import RecipeSection
from audit.training.service import train_models
from audit.training.store import Store

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    pool = Pool(rng.normal(size=(40, 64)), rng.integers(0, 10, 40))
    jobs = [Job(f"shadow {k}", np.arange(k, 30 + k), k) for k in range(6)]
    recipe = RecipeSection(train="slow:train", workers=1)
    made = train_models(recipe, "hooks.nets:mlp", pool, jobs, Store(Path(sys.argv[1]), bytes(32)), key=bytes(32))
    print(made.trained, made.reused, len(made.paths))
"""


class Program:
    """A real process that trains six models, one after another."""

    def __init__(self, folder: Path, store: Path, sleep: float) -> None:
        self.started = folder / "started"
        self.started.mkdir(exist_ok=True)
        (folder / "slow.py").write_text(SLOW)
        (folder / "program.py").write_text(PROGRAM)
        paths = os.pathsep.join(map(str, (folder, ROOT / "fixtures", ROOT)))
        env = {**os.environ, "PYTHONPATH": paths, "STARTED": str(self.started), "SLEEP": str(sleep)}
        self.process = subprocess.Popen(
            [sys.executable, folder / "program.py", store], stdout=subprocess.PIPE, text=True, env=env
        )

    def result(self) -> list[int]:
        out, _ = self.process.communicate(timeout=100)
        assert self.process.returncode == 0
        return [int(word) for word in out.split()]

    def seeds(self) -> list[int]:
        return sorted(int(path.name.partition("-")[0]) for path in self.started.iterdir())

    def workers(self) -> set[int]:
        return {int(path.name.partition("-")[2]) for path in self.started.iterdir()}


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_after_a_kill_only_the_rest_is_trained(tmp_path: Path) -> None:
    store = tmp_path / "models"
    first = Program(tmp_path, store, sleep=0.3)
    _wait(lambda: len(first.seeds()) == 4)
    first.process.send_signal(signal.SIGKILL)
    first.process.communicate()
    (worker,) = first.workers()
    _wait(lambda: not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2])
    finished = len(list(store.glob("*.json")))
    assert finished >= 3  # at most the one in training is lost
    second = Program(tmp_path, store, sleep=0)
    assert second.result() == [6 - finished, finished, 6]
    assert len(second.seeds()) == 4 + 6 - finished


def test_two_processes_side_by_side_train_each_model_once(tmp_path: Path) -> None:
    store = tmp_path / "models"
    programs = [Program(tmp_path, store, sleep=0.2) for _ in range(2)]
    results = [program.result() for program in programs]
    assert programs[0].seeds() == [0, 1, 2, 3, 4, 5]
    assert sum(r[0] for r in results) == 6
    assert all(r[2] == 6 for r in results)
