"""One audit that trains its references, by each engine: one process, two processes, a Ray cluster of two nodes here.

A ResNet-20 on the CIFAR-10 subset beside the project (audited model, original, four references trained for an epoch
each, quick effort, access ``features``), one thread a process. The cluster's head does no work, its two nodes have one
processor each. Wall-clock seconds of the whole command, and whether the records have the same bytes. Run
``python -m benchmarks.cluster`` on a machine with two free cores and nothing else to do. Prints Markdown.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .audit_cases import resnet20
from .real_data import DATA

ROOT = Path(__file__).parents[1]
RECIPE = '[recipe]\nepochs = 1\nlr = 0.001\nbatch_size = 64\nengine = "pool"\n[training]\nreferences = 4\n'
PATHS = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "fixtures"))), "OMP_NUM_THREADS": "1"}
ENGINES = {
    "one process": ("--workers", "1"),
    "two processes": ("--workers", "2"),
    "Ray, two nodes": ("--executor", "ray"),
}


@contextmanager
def cluster() -> Iterator[str]:
    """A head without processors and two nodes of one; its address."""
    from ray.cluster_utils import Cluster

    os.environ.update(PATHS)
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        found.add_node(num_cpus=1)
    yield str(found.address)
    found.shutdown()


def audited(folder: Path, name: str, address: str) -> tuple[float, bytes]:
    """Seconds of the command with a store of its own, and the record."""
    out = name.replace(", ", "-").replace(" ", "-")
    command = [sys.executable, "-m", "audit", "run", "--out", out, "--store", f"store-{out}", "--effort", "quick"]
    environment = os.environ | PATHS | {"RAY_ADDRESS": address, "UNLEARN_TEST_DATA": str(DATA)}
    started = time.perf_counter()
    done = subprocess.run(
        [*command, *ENGINES[name]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1, 3):
        raise SystemExit(done.stderr)
    return seconds, next((folder / out).glob("*/run.json")).read_bytes()


def main() -> None:
    """Every engine in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        resnet20(folder, "features")
        with (folder / "audit.toml").open("a", encoding="utf-8") as settings:
            settings.write(RECIPE)
        found = {engine: audited(folder, engine, "") for engine in list(ENGINES)[:2]}
        with cluster() as address:
            engine = list(ENGINES)[2]
            found[engine] = audited(folder, engine, address)
    alone, record = found["one process"]
    print("| engine | s | times as fast as one process | same record |\n|---|---|---|---|")
    for engine, (seconds, mine) in found.items():
        print(f"| {engine} | {seconds:.0f} | {alone / seconds:.2f} | {'yes' if mine == record else 'NO'} |")


if __name__ == "__main__":
    main()
