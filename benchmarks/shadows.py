"""How fast shadow models are trained, and whether every mode trains the same kind of model.

1. 32 small MLPs on scikit-learn digits: stacked, against a loop that trains one after another: the engine's own, and
   the shortest one that can be written by hand with the same optimiser. The loops may use all cores.
2. 16 small CNNs: the pool, against two bare processes that train half each and do nothing else. Both start processes.
3. Test accuracy of 40 models a mode, other seeds in each: Kolmogorov-Smirnov test between the modes.
4. With a GPU: 64 small CNNs, stacked against one after another.

Five interleaved runs of each, medians. Run ``python -m benchmarks.shadows`` on an idle machine; a table is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import ks_2samp
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from audit.inputs.models import build_module
from audit.inputs.recipe import RecipeSection
from audit.training.descent import Batches
from audit.training.jobs import Job, Pool, steps_of
from audit.training.service import Trained, train_models
from audit.training.single import fresh, train_single
from audit.training.stacked import Stack, streams_of
from audit.training.store import Store

MLP, CNN, DROPOUT = (f"benchmarks.shadows:{name}" for name in ("mlp", "cnn", "dropout_mlp"))
RUNS, TRAINED = 5, 1200  # rows from which the coins choose; the rest are for testing
SHORT = {"epochs": 20, "batch_size": 32, "lr": 0.05, "schedule": "cosine"}
LONG = SHORT | {"epochs": 40}


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def dropout_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def digits(pictures: bool) -> Pool:
    """scikit-learn digits (1797, 64) or (1797, 1, 8, 8), in one random order."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x = (x[order] / 16).reshape((-1, 1, 8, 8) if pictures else (-1, 64))
    return Pool(x, y[order]).canonical()


def coins(count: int, first: int = 0) -> list[Job]:
    """Shadow models, each on a fair half of the training rows."""
    rows = [np.flatnonzero(np.random.default_rng([k, 7]).random(TRAINED) < 0.5) for k in range(first, first + count)]
    return [Job(f"shadow {first + k}", row, first + k, steps_rows=TRAINED // 2) for k, row in enumerate(rows)]


def stacked(arch: str, recipe: RecipeSection, pool: Pool, jobs: Sequence[Job], device: str = "cpu") -> None:
    """All at once."""
    batches, steps = Batches(pool, recipe.augmentation, device), steps_of(recipe, TRAINED // 2, None)
    stack = Stack(arch, [job.seed for job in jobs], device)
    stack.train(recipe, batches, streams_of(jobs, steps, batches.ways), steps)


def sequential(arch: str, recipe: RecipeSection, pool: Pool, jobs: Sequence[Job], device: str = "cpu") -> None:
    """One after another, by the engine's single mode."""
    batches, steps = Batches(pool, recipe.augmentation, device), steps_of(recipe, TRAINED // 2, None)
    for job, stream in zip(jobs, streams_of(jobs, steps, batches.ways), strict=True):
        train_single(recipe, fresh(arch, job.seed, device), batches, stream, steps, job.seed)


def by_hand(arch: str, recipe: RecipeSection, pool: Pool, jobs: Sequence[Job]) -> None:
    """One after another, in as few operations as plain torch needs; the loss is not checked."""
    x, y = torch.from_numpy(np.asarray(pool.x)), torch.from_numpy(pool.y)
    steps = steps_of(recipe, TRAINED // 2, None)
    for job in jobs:
        torch.manual_seed(job.seed)
        model, rows = build_module(arch).train(), torch.from_numpy(job.rows)
        optimiser = torch.optim.SGD(model.parameters(), lr=recipe.rate, momentum=recipe.sgd_momentum, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps.count)
        done = 0
        while done < steps.count:
            for batch in rows[torch.randperm(len(rows))].split(steps.batch)[: steps.count - done]:
                optimiser.zero_grad()
                cross_entropy(model(x[batch]), y[batch]).backward()
                optimiser.step()
                schedule.step()
                done += 1


def interleaved(**ways: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each way, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def report(title: str, seconds: dict[str, list[float]]) -> None:
    """A table; the ratio is the median of the runs' own."""
    first = next(iter(seconds.values()))
    print(f"\n{title}\n\n| | s | range | over the first |\n|---|---|---|---|")
    for name, values in seconds.items():
        ratio = median(b / a for a, b in zip(first, values, strict=True))
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} to {max(values):.2f} | {ratio:.2f} |", flush=True)


def mlps() -> None:
    pool, jobs, recipe = digits(pictures=False), coins(32), RecipeSection(**SHORT)
    stacked(MLP, recipe, pool, jobs[:2])
    seconds = interleaved(
        stacked=lambda: stacked(MLP, recipe, pool, jobs),
        sequential=lambda: sequential(MLP, recipe, pool, jobs),
        by_hand=lambda: by_hand(MLP, recipe, pool, jobs),
    )
    report(f"32 MLPs 64-32-10, {steps_of(recipe, TRAINED // 2, None).count} steps each", seconds)


def pooled(recipe: RecipeSection, pool: Pool, jobs: Sequence[Job]) -> None:
    """The engine with two workers and an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        made = train_models(recipe, CNN, pool, jobs, Store(Path(folder), bytes(32)), key=bytes(32))
    assert made.trained == len(jobs), made.failed


def bare(count: int) -> None:
    """Two processes that do nothing but train half of the models each."""
    command = [sys.executable, "-m", "benchmarks.shadows", "--bare"]
    halves = [subprocess.Popen([*command, f"{k * count // 2}:{(k + 1) * count // 2}"]) for k in range(2)]
    assert [half.wait() for half in halves] == [0, 0]


def cnns() -> None:
    pool, jobs = digits(pictures=True), coins(16)
    recipe = RecipeSection(**LONG, engine="pool", workers=2)
    seconds = interleaved(pool=lambda: pooled(recipe, pool, jobs), bare=lambda: bare(len(jobs)))
    report(f"16 CNNs, {steps_of(recipe, TRAINED // 2, None).count} steps each", seconds)


def accuracy(arch: str, pool: Pool, made: Trained) -> np.ndarray:
    """Share of the test rows that each model gets right."""
    x, network = torch.from_numpy(np.asarray(pool.x)[TRAINED:]), build_module(arch).eval()
    found = []
    for path in made.paths.values():
        network.load_state_dict(load_file(path))
        with torch.no_grad():
            found.append((network(x).argmax(1).numpy() == pool.y[TRAINED:]).mean())
    return np.array(found)


def distributions() -> None:
    print("\nTest accuracy, 40 models a mode\n")
    for arch in (MLP, DROPOUT, CNN):
        pool, found = digits(pictures=arch == CNN), {}
        for first, engine in ((100, "vectorised"), (200, "pool")):
            with tempfile.TemporaryDirectory() as folder:
                recipe = RecipeSection(**SHORT, engine=engine)
                made = train_models(recipe, arch, pool, coins(40, first), Store(Path(folder), bytes(32)), key=bytes(32))
                found[engine] = accuracy(arch, pool, made)
        said = ", ".join(f"{engine} {a.mean():.4f} (sd {a.std(ddof=1):.4f})" for engine, a in found.items())
        print(f"{arch.partition(':')[2]}: {said}, KS p = {ks_2samp(*found.values()).pvalue:.2f}", flush=True)


def on_gpu() -> None:
    pool, jobs, recipe = digits(pictures=True), coins(64), RecipeSection(**SHORT)
    stacked(CNN, recipe, pool, jobs[:2], "cuda")
    seconds = interleaved(
        stacked=lambda: stacked(CNN, recipe, pool, jobs, "cuda"),
        sequential=lambda: sequential(CNN, recipe, pool, jobs, "cuda"),
    )
    report(f"64 CNNs on {torch.cuda.get_device_name()}", seconds)


def main() -> None:
    """Run all, or (in a process of the comparison) train some CNNs and nothing else."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bare", help=argparse.SUPPRESS)
    options.add_argument("--only", choices=("mlps", "cnns", "distributions", "gpu"), help="one part of it")
    given = options.parse_args()
    if given.bare:
        torch.set_num_threads(1)
        first, last = map(int, given.bare.split(":"))
        sequential(CNN, RecipeSection(**LONG), digits(pictures=True), coins(last)[first:])
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}", flush=True)
    parts = {"mlps": mlps, "cnns": cnns, "distributions": distributions}
    if torch.cuda.is_available():
        parts["gpu"] = on_gpu
    for name, part in parts.items():
        if given.only in (None, name):
            part()


if __name__ == "__main__":
    main()
