"""Time and memory of the whole statistics at full size, beside one matrix product in the same run.

10,000 forget and 10,000 holdout scores, 20 attacks, 64 references, 999 permutations. For each attack: calibration of
all 65 models, four features, AUC, both tails, conformal p-values. Then the permutation max-T over the 80 features,
once plain and once within 10 strata, and the rank max-T over the 65 models. The yardstick is one product of that size:
999 x 20,000 labels by 20,000 x 80 features in float64. Drawing the signals is not counted.

Run ``python -m benchmarks.statistics`` (as a module: started as a file it would hide the standard library's
``statistics``). Seconds depend on the machine, ratios hardly. ``--output`` writes JSON.
"""

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attacks.base import Floats
from attacks.calibration import calibrated
from audit.statistics.conformal import benjamini_yekutieli, conformal_p
from audit.statistics.features import FEATURES, features
from audit.statistics.intervals import auc_delong, tpr_at_fpr
from audit.statistics.model_level import rank_family
from audit.statistics.permutation import permutation_max_t

CLASSES, STRATA = 100, 10
Stages = dict[str, float]


def signals(models: int, rows: int, labels: np.ndarray, rng: np.random.Generator) -> Floats:
    """Examples of unlike difficulty, models of unlike confidence, a common seed effect per class."""
    difficulty, spread = rng.normal(2, 3, rows), rng.gamma(4, 0.25, rows)
    seed = rng.normal(size=(models, CLASSES)) * 0.3
    return difficulty + seed[:, labels] + spread * rng.normal(size=(models, rows))


def statistics(sizes: argparse.Namespace, clock: Callable[[str], None]) -> None:
    """Everything between signals and verdict, stage by stage."""
    rng = np.random.default_rng(0)
    rows, models = 2 * sizes.rows, sizes.references + 1
    labels, strata = rng.integers(0, CLASSES, rows), rng.integers(0, STRATA, rows)
    pooled = np.empty((sizes.attacks, len(FEATURES), rows))
    contrasts = np.empty((sizes.attacks, len(FEATURES), models))
    for attack in range(sizes.attacks):
        signal = signals(models, rows, labels, rng)
        clock("")
        scores = calibrated(signal, labels)
        clock("calibration")
        all_features = features(scores)
        pooled[attack] = all_features[0]
        difference = all_features[..., : sizes.rows].mean(axis=-1) - all_features[..., sizes.rows :].mean(axis=-1)
        contrasts[attack] = difference.T
        clock("features")
        forget, holdout = scores[0, : sizes.rows], scores[0, sizes.rows :]
        auc_delong(forget, holdout, 0.9)
        clock("auc")
        for sign in (1, -1):
            tpr_at_fpr(sign * forget, sign * holdout, 0.05, 0.9)
        clock("tails")
        benjamini_yekutieli(conformal_p(scores[:, : sizes.rows]))
        clock("conformal")
    flat = pooled.reshape(-1, rows)
    permutation_max_t(flat, sizes.rows, sizes.permutations, rng)
    clock("max-T")
    permutation_max_t(flat, sizes.rows, sizes.permutations, rng, strata)
    clock("max-T in strata")
    rank_family(contrasts.reshape(-1, models), np.zeros(len(flat)))
    clock("rank")


def product(sizes: argparse.Namespace) -> tuple[Floats, Floats]:
    """The two factors of the yardstick."""
    rng = np.random.default_rng(1)
    left = rng.integers(0, 2, (sizes.permutations, 2 * sizes.rows)).astype(float)
    return left, rng.normal(size=(2 * sizes.rows, sizes.attacks * len(FEATURES)))


def timed(sizes: argparse.Namespace) -> Stages:
    """Seconds per stage."""
    stages: Stages = {}
    last = time.perf_counter()

    def clock(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        if stage:
            stages[stage] = stages.get(stage, 0.0) + now - last
        last = now

    statistics(sizes, clock)
    return stages


def peak(sizes: argparse.Namespace) -> float:
    """Peak of what Python and numpy hold, in MiB, signals and results included."""
    tracemalloc.start()
    statistics(sizes, lambda _stage: None)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="forget rows, and as many holdout rows")
    parser.add_argument("--attacks", type=int, default=20)
    parser.add_argument("--references", type=int, default=64)
    parser.add_argument("--permutations", type=int, default=999)
    parser.add_argument("--output", type=Path, help="JSON file")
    sizes = parser.parse_args()

    left, right = product(sizes)
    memory_one = (left.nbytes + right.nbytes + 8 * len(left) * right.shape[1]) / 2**20
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        left @ right
        durations.append(time.perf_counter() - start)
    one = min(durations)
    del left, right
    stages = timed(sizes)
    total = sum(stages.values())
    memory = peak(sizes)

    for stage, seconds in stages.items():
        print(f"{stage:18} {seconds:7.2f} s  {seconds / one:6.1f} products")
    print(f"{'together':18} {total:7.2f} s  {total / one:6.1f} products of {one:.3f} s")
    print(f"{'peak memory':18} {memory:5.0f} MiB  {memory / memory_one:6.2f} times the product's {memory_one:.0f} MiB")
    if sizes.output:
        record = {
            "sizes": {name: value for name, value in vars(sizes).items() if name != "output"},
            "seconds": stages | {"together": total, "one product": one},
            "ratio": {"time": total / one, "memory": memory / memory_one},
            "peak_mib": {"statistics": memory, "one product": memory_one},
        }
        sizes.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
