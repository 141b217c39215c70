"""A Ray cluster of two worker nodes on this machine: the record of one process, whatever dies in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.case import environment, run, start, write

pytest.importorskip("ray", reason="needs Ray: pip install 'unlearn-audit[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Ray's own code

ATTACKS = '"membership", "population", "probe", "lira_online"'
TRAIN, SHADOWS = 2, 16
LOST = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}  # seconds until a process gives up a head that is gone


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    write(folder, ATTACKS, train=TRAIN, shadows=SHADOWS)
    return folder


@pytest.fixture(scope="module")
def here(case: Path) -> bytes:
    """The record of one process on one machine."""
    return (run(case, "here") / "run.json").read_bytes()


class Nodes:
    """A head that does no work, and worker nodes of one processor each."""

    def __init__(self, log: Path) -> None:
        from ray.cluster_utils import Cluster

        os.environ.update(environment(AUDIT_TEST_LOG=str(log), AUDIT_TEST_PAUSE="0.5", **LOST))
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.workers = [self.add(), self.add()]

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1)

    def kill(self) -> None:
        """A worker node dies with all that runs on it; another one comes."""
        self.cluster.remove_node(self.workers.pop(0), allow_graceful=False)
        self.workers.append(self.add())

    def close(self) -> None:
        self.cluster.shutdown()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    before = dict(os.environ)
    found = Nodes(tmp_path / "trained.log")
    yield found
    found.close()
    os.environ.clear()
    os.environ.update(before)


def wait(process: Any, what: Callable[[], int], least: int) -> None:
    """Until so many are there, while the audit runs."""
    end = time.monotonic() + 400
    while what() < least:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.05)


def models(case: Path, out: str) -> Callable[[], int]:
    return lambda: len(list((case / f"store-{out}").glob("*.json")))


def ended(case: Path, out: str) -> Callable[[], int]:
    return lambda: sum(e["event"] == "unit" for e in events(case, out))


def events(case: Path, out: str) -> list[dict[str, Any]]:
    lines = [path.read_text().splitlines() for path in (case / out).glob("*/events.jsonl")]
    return [json.loads(line) for line in (lines[0] if lines else []) if line.endswith("}")]


def record(case: Path, out: str) -> bytes:
    return next((case / out).iterdir()).joinpath("run.json").read_bytes()


def test_nodes_that_die_in_training_and_in_attacks_cost_nothing_but_time(
    case: Path, here: bytes, nodes: Nodes, tmp_path: Path
) -> None:
    process = start(case, "nodes", "--executor", "ray", RAY_ADDRESS=nodes.cluster.address)
    wait(process, models(case, "nodes"), 3)
    nodes.kill()
    wait(process, ended(case, "nodes"), 2)
    nodes.kill()
    said = process.communicate(timeout=600)[1]
    assert process.returncode in (0, 1, 3), said
    assert record(case, "nodes") == here
    trained = (tmp_path / "trained.log").read_text().split()
    assert TRAIN + SHADOWS <= len(trained) <= TRAIN + SHADOWS + 2  # a node of one processor had one in flight
    assert [e["name"] for e in events(case, "nodes") if e["event"] == "engine"] == ["ray"]


def test_the_same_command_goes_on_after_the_head_died(case: Path, here: bytes, nodes: Nodes, tmp_path: Path) -> None:
    process = start(case, "head", "--executor", "ray", RAY_ADDRESS=nodes.cluster.address)
    wait(process, models(case, "head"), 6)
    nodes.close()
    process.communicate(timeout=300)
    assert process.returncode not in (0, 1, 3)  # it reads as no verdict
    kept = models(case, "head")()
    assert kept >= 6
    fresh = Nodes(tmp_path / "trained.log")
    try:
        run(case, "head", "--executor", "ray", RAY_ADDRESS=fresh.cluster.address)
    finally:
        fresh.close()
    assert record(case, "head") == here
    assert len((tmp_path / "trained.log").read_text().split()) <= TRAIN + SHADOWS + 2


def test_workers_look_into_the_working_directory_last(tmp_path: Path) -> None:
    for name in ("audit", "scipy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not ours')\n")
    (tmp_path / "nets.py").write_text("def make():\n    return 'found'\n")
    code = (
        "from audit.engine.clusters import Ray; from hooks.units import where\n"
        "engine = Ray('ray', 1, 'cpu')\n"
        "print(engine.submit(where, '', b'', [], []).result(100).decode())\n"
        "engine.close(now=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["found"], done.stderr
