"""How the cost of an audit of precomputed outputs grows: with rows, with references, with classes.

Each point is one ``audit run`` in a process of its own with one thread: seconds of the processor and the peak of its
memory, everything included from the import to the report. The outputs are Gaussian logits that know their labels; half
of the rows are retain rows, a fifth each forget and holdout rows, the rest is the test set. Beside the points stands
the least-squares line. The limits are those that the project promises; the exit code is 1 where one is passed.

Run ``python -m benchmarks.growth`` (half an hour at full size) or name parts: rows, references, classes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHARES = {"forget": 0.2, "holdout": 0.2, "test": 0.1, "retain": 0.5}
LIFT = 3.0  # of the label's logit
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Point:
    """One case."""

    rows: int = 3_000
    references: int = 2
    classes: int = 10


@dataclass(frozen=True)
class Cost:
    """Seconds of the processor and peak memory in MiB."""

    seconds: float
    memory: float


@dataclass(frozen=True)
class Part:
    """One way to grow.

    Attributes:
        points: the cases, smallest first.
        size: what grows.
        unit: in words.
        limits: of the largest case: seconds and MiB.
        slope: most seconds for one unit more, or None.
    """

    points: tuple[Point, ...]
    size: Callable[[Point], int]
    unit: str
    limits: tuple[float, float]
    slope: float | None = None


PARTS = {
    "rows": Part(
        tuple(Point(rows) for rows in (1_000, 10_000, 100_000, 1_000_000)), lambda p: p.rows, "row", (120.0, 2048.0)
    ),
    "references": Part(
        tuple(Point(references=k) for k in (2, 8, 16, 32, 64)),
        lambda p: p.references,
        "reference",
        (60.0, 2048.0),
        0.05,
    ),
    "classes": Part(
        tuple(Point(100_000, classes=c) for c in (10, 100, 1_000)), lambda p: p.classes, "class", (600.0, 4096.0)
    ),
}


def written(folder: Path, point: Point) -> None:
    """Data and outputs of one case; the original is surer of the forget rows than the others are."""
    rng = np.random.default_rng(0)
    names = ["original", "unlearned", *(f"retrained-{k}" for k in range(point.references))]
    outputs: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    start = 0
    for role, share in SHARES.items():
        n = round(point.rows * share)
        labels = rng.integers(point.classes, size=n)
        np.savez(folder / f"{role}.npz", y=labels, ids=np.arange(start, start := start + n))
        for name in names:
            logits = rng.normal(size=(n, point.classes)).astype(np.float32)
            known = role == "retain" or (role == "forget" and name == "original")
            logits[np.arange(n), labels] += LIFT + known
            outputs[name][role] = logits
    for name, sets in outputs.items():
        np.savez(folder / f"{name}.npz", **sets)


def measured(point: Point) -> Cost:
    """One audit."""
    with tempfile.TemporaryDirectory() as name:
        written(Path(name), point)
        command = [sys.executable, "-m", "benchmarks.growth", "--child", name]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True, cwd=name)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return Cost(seconds, memory)


def child(folder: Path) -> None:
    """The audit of what lies in a folder, in this process; prints what it took."""
    from audit.inputs.resolve import resolve
    from audit.run import prepare, run_audit

    settings, _ = resolve({"forget": folder / "forget.npz", "split": "attested", "access": "logits"})
    run_audit(prepare(settings))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))


def grown(name: str, part: Part) -> tuple[list[dict[str, float]], list[str]]:
    """Measure and print one part; what it passed of its limits."""
    rows = []
    for point in part.points:
        cost = measured(point)
        rows.append({part.unit: part.size(point), "seconds": round(cost.seconds, 2), "MiB": round(cost.memory)})
        print(f"{name}: {part.size(point):>9,} {cost.seconds:8.1f} s {cost.memory:7.0f} MiB", flush=True)
    size, seconds = (np.array([row[key] for row in rows], dtype=float) for key in (part.unit, "seconds"))
    slope, start = np.polyfit(size, seconds, 1)
    left = seconds - (start + slope * size)
    r2 = 1 - left @ left / max(float(((seconds - seconds.mean()) ** 2).sum()), 1e-12)
    print(f"{name}: {start:.2f} s + {slope:.3g} s a {part.unit}, R2 {r2:.4f}", flush=True)
    last = rows[-1]
    passed = [f"{name}: {last['seconds']} s" if last["seconds"] > part.limits[0] else ""]
    passed += [f"{name}: {last['MiB']} MiB" if last["MiB"] > part.limits[1] else ""]
    passed += [f"{name}: {slope:.3g} s a {part.unit}" if part.slope is not None and slope > part.slope else ""]
    return rows, [words for words in passed if words]


def main() -> int:
    """Print the points and their lines; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[], metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--output", type=Path, help="JSON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return 0
    found, beyond = {}, []
    for name in given.parts or PARTS:
        found[name], passed = grown(name, PARTS[name])
        beyond += passed
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(f"beyond its limit: {words}" for words in beyond) or "all within their limits")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
