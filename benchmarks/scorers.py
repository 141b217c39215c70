"""Time and memory of the membership scorers beside what plain NumPy, a loop over rows, SciPy and a dense matrix take.

Signals are drawn from a Gaussian shadow world: difficulty per row, noise per model, a shift where a model was trained
on the row. Ratios are medians of interleaved runs in one process: this scorer and its floor take turns.

Run ``python -m benchmarks.scorers`` (about two minutes, 0.4 GB of disk for a while). Prints Markdown.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: one core against one core

import resource
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

from attacks.base import Bools, Floats
from attacks.scorers import lira, rmia

EXAMPLES, MODELS, POPULATION = 48_000, 64, 4_000
LOOPED = 2_000  # rows of the loops; their time is scaled up
REPEATS = 9
LARGE = 1_000_000


@dataclass(frozen=True, eq=False)
class World:
    """One target and S shadow models on n rows; the target was trained on the first half.

    Attributes:
        target: (1, n) signals.
        shadows: (S, n).
        member: (S, n) coins.
        own: (n,) what the target was trained on.
        references: (S, n), the same models without any training on the rows.
    """

    target: Floats
    shadows: Floats
    member: Bools
    own: Bools
    references: Floats


def world(n: int, models: int, seed: int = 0, leak: float = 0.8) -> World:
    """Draw a world; signals are logit-scaled confidences."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(2, 2, n)
    member = rng.random((models, n)) < 0.5
    own = np.arange(n) < n // 2
    clean = difficulty + rng.normal(size=(models + 1, n))
    return World(clean[:1] + leak * own, clean[1:] + leak * member, member, own, clean[1:])


def floor_online(target: Floats, shadows: Floats, member: Bools) -> Floats:
    """The same score as ``lira.online`` in plain vectorised NumPy: whole arrays, sums by products."""
    x = shadows - shadows.mean(axis=0)
    sides = []
    for weight in (member.astype(np.float64), (~member).astype(np.float64)):
        count, weighted = weight.sum(axis=0), weight * x
        mean = weighted.sum(axis=0) / count
        squares = (weighted * x).sum(axis=0) - count * mean**2
        pooled = squares.sum() / (count - 1).sum()
        sides.append((mean, (4 * pooled + squares) / (4 + count - 1) * (1 + 1 / count)))
    (mean_in, var_in), (mean_out, var_out) = sides
    t = target - shadows.mean(axis=0)
    return ((t - mean_out) ** 2 / var_out - (t - mean_in) ** 2 / var_in + np.log(var_out / var_in)) / 2


def floor_offline(target: Floats, references: Floats) -> Floats:
    """The same score as ``lira.offline`` in plain vectorised NumPy."""
    models = len(references)
    mean, variance = references.mean(axis=0), references.var(axis=0, ddof=1)
    shrunk = (4 * variance.mean() + (models - 1) * variance) / (4 + models - 1) * (1 + 1 / models)
    return (target - mean) / np.sqrt(shrunk)


def loop_online(target: Floats, shadows: Floats, member: Bools) -> Floats:
    """Online LiRA with a Python loop over rows and SciPy's densities, as much public code does."""
    scores = np.empty(target.shape)
    for i in range(target.shape[1]):
        inside, outside = shadows[member[:, i], i], shadows[~member[:, i], i]
        scores[:, i] = stats.norm.logpdf(target[:, i], inside.mean(), inside.std(ddof=1)) - stats.norm.logpdf(
            target[:, i], outside.mean(), outside.std(ddof=1)
        )
    return scores


def scipy_online(target: Floats, shadows: Floats, member: Bools) -> Floats:
    """Online LiRA from masked arrays and SciPy's densities, without a loop."""
    inside, outside = np.ma.array(shadows, mask=~member), np.ma.array(shadows, mask=member)
    density = [
        stats.norm.logpdf(target, side.mean(axis=0).data, side.std(axis=0, ddof=1).data) for side in (inside, outside)
    ]
    return np.asarray(density[0] - density[1])


def dense_rmia(target: Floats, references: Floats, population: Floats, reference_population: Floats) -> Floats:
    """Offline RMIA by the n x m matrix of ratios."""
    own = target - rmia.log_prior_offline(np.log(np.exp(references).mean(axis=0)))
    points = population - rmia.log_prior_offline(np.log(np.exp(reference_population).mean(axis=0)))
    return np.asarray((own[:, None] >= points[None]).mean(axis=1))


def interleaved(calls: Sequence[Callable[[], object]], repeats: int = REPEATS) -> list[float]:
    """Median wall time of each call in seconds; the calls take turns, so that all meet the same machine."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):
        for call, mine in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            mine.append(time.perf_counter() - start)
    return [statistics.median(mine[1:]) for mine in times]  # the first round warms up


def peak_memory(call: Callable[[], object]) -> float:
    """Peak of what a call allocates, in MB."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def lira_ratios(n: int, models: int, repeats: int = REPEATS) -> dict[str, float]:
    """Median time of LiRA, online and offline, over that of the NumPy floor."""
    w = world(n, models)
    online = interleaved(
        [lambda: lira.online(w.target, w.shadows, w.member), lambda: floor_online(w.target, w.shadows, w.member)],
        repeats,
    )
    offline = interleaved(
        [lambda: lira.offline(w.target[0], w.references), lambda: floor_offline(w.target[0], w.references)], repeats
    )
    return {"online": online[0] / online[1], "offline": offline[0] / offline[1]}


def rmia_memory(n: int, models: int, population: int) -> dict[str, float]:
    """Peak memory of the dense matrix over that of sorting, and the AUC of both."""
    w, z = world(n, models), world(population, models, seed=1, leak=0)
    arrays = _log_probabilities(w, z)
    sparse, dense = rmia.offline(*arrays), dense_rmia(*arrays)
    memory = [peak_memory(partial(score, *arrays)) for score in (rmia.offline, dense_rmia)]
    aucs = [float(roc_auc_score(w.own, scores)) for scores in (sparse, dense)]
    return {"MB": memory[0], "dense_MB": memory[1], "ratio": memory[1] / memory[0], "auc": aucs[0], "dense": aucs[1]}


def write_large(folder: Path, n: int, models: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """A world on disk, float32 signals and coins, written model by model; memory-mapped."""
    rng = np.random.default_rng(0)
    paths = folder / "signals.npy", folder / "member.npy"
    signals = np.lib.format.open_memmap(paths[0], mode="w+", dtype=np.float32, shape=(models, n))
    member = np.lib.format.open_memmap(paths[1], mode="w+", dtype=bool, shape=(models, n))
    difficulty = rng.normal(2, 2, n)
    for k in range(models):
        member[k] = rng.random(n) < 0.5
        signals[k] = difficulty + rng.normal(size=n) + 0.8 * member[k]
    del signals, member
    return np.load(paths[0], mmap_mode="r"), np.load(paths[1], mmap_mode="r")


def line(x: Sequence[float], y: Sequence[float]) -> str:
    """The straight line of seconds y on x: a fixed part, a part a unit, and R^2."""
    fitted = stats.linregress(x, y)
    return f"{fitted.intercept:.3f} s + {fitted.slope:.3g} s each, R2 {fitted.rvalue**2:.4f}"


def speed() -> None:
    """Online and offline LiRA and RMIA on 48,000 x 64."""
    w, z = world(EXAMPLES, MODELS), world(POPULATION, MODELS, seed=1, leak=0)
    logs = _log_probabilities(w, z)
    few = [array[:, :LOOPED] for array in (w.target, w.shadows, w.member)]
    calls: dict[str, Callable[[], Floats]] = {
        "LiRA online": lambda: lira.online(w.target, w.shadows, w.member),
        "LiRA online, NumPy floor": lambda: floor_online(w.target, w.shadows, w.member),
        "LiRA online, masked arrays and SciPy": lambda: scipy_online(w.target, w.shadows, w.member),
        f"LiRA online, loop over {LOOPED:,} rows": lambda: loop_online(*few),
        "LiRA offline": lambda: lira.offline(w.target[0], w.references),
        "LiRA offline, NumPy floor": lambda: floor_offline(w.target[0], w.references),
        "RMIA offline": lambda: rmia.offline(*logs),
        "held-out LiRA (U-LiRA)": lambda: lira.held_out(w.shadows, w.member),
    }
    took = interleaved(list(calls.values()))
    print(f"\n{EXAMPLES:,} rows x {MODELS} models, median of {REPEATS} interleaved runs\n")
    print("| scorer | ms | AUC |\n|---|---|---|")
    for (name, call), seconds in zip(calls.items(), took, strict=True):
        scores = np.atleast_2d(call())
        whole = scores.shape == (1, EXAMPLES)
        print(f"| {name} | {seconds * 1e3:.1f} | {roc_auc_score(w.own, scores[0]) if whole else np.nan:.4f} |")


def _log_probabilities(w: World, z: World) -> list[Floats]:
    """Log p of the label: target and references on rows and on population points."""
    return [-np.logaddexp(0, -a) for a in (w.target[0], w.references, z.target[0], z.references)]


def main(large: int) -> None:
    """Print all figures."""
    print("# Scorers")
    speed()
    ratios = lira_ratios(EXAMPLES, MODELS)
    print(f"\nLiRA over the NumPy floor: online {ratios['online']:.2f}, offline {ratios['offline']:.2f}")
    found = rmia_memory(EXAMPLES, MODELS, POPULATION)
    print(
        f"RMIA, {EXAMPLES:,} rows x {POPULATION:,} population points: peak {found['MB']:.1f} MB, dense "
        f"{found['dense_MB']:.0f} MB ({found['ratio']:.0f} times), AUC {found['auc']:.5f} and {found['dense']:.5f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        signals, member = write_large(Path(folder), large, MODELS)
        target = np.asarray(signals[:1]) + 1
        sizes = [large // 8, large // 4, large // 2, large]
        by_rows = [_once(target[:, :n], signals[:, :n], member[:, :n]) for n in sizes]
        models = [MODELS // 4, MODELS // 2, MODELS * 3 // 4, MODELS]
        by_models = [_once(target, signals[:s], member[:s]) for s in models]
    print(f"\nStreamed from disk, up to {large:,} rows x {MODELS} models, float32, online LiRA")
    print(f"rows {sizes}: {[round(t, 2) for t in by_rows]} s; {line(sizes, by_rows)}")
    print(f"models {models}: {[round(t, 2) for t in by_models]} s; {line(models, by_models)}")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def _once(target: Floats, shadows: np.ndarray, member: np.ndarray) -> float:  # type: ignore[type-arg]
    return interleaved([lambda: lira.online(target, shadows, member)], repeats=7)[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=LARGE, help="rows of the streamed world")
    main(parser.parse_args().large)
