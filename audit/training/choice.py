"""Which way to train is faster here: a few steps of each are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from attacks.memory import is_out_of_memory
from attacks.tasks import task_of_loss
from audit.inputs.contained import Meddling, contained, timed
from audit.inputs.device import full_precision
from audit.inputs.forward import NoLogits
from audit.inputs.recipe import RecipeSection
from audit.inputs.usercode import describe

from .descent import Batches, losses_of
from .jobs import Job, Mode, Steps, steps_of
from .problems import TrainingError, in_training
from .single import fresh, seeded, train_single
from .stacked import Stack, group_limit, streams_of
from .streams import Stream

TIMED = 0.5  # seconds that a timing should take, our choice
MOST_STEPS = 40
POOL_START = 4.0  # seconds until worker processes have imported torch, our choice
HEAVY, FEW = 0.02, 4  # a step of one model longer than this is compute: a few models show the gain as well as many
LOSS, BUFFERS = 1e-3, 1e-2  # relative and absolute: a wrong network is off by more, rounding by less
Way = Literal["vectorised", "pool", "executor"]


@dataclass(frozen=True)
class Choice:
    """How to train.

    Attributes:
        way: stacked groups in this process, a pool of our own, or the executor that was given.
        why: one sentence, with the measured figures.
        seconds: of one model, by way; empty where nothing was measured.
    """

    way: Way
    why: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def mode(self) -> Mode:
        """Models of one mode agree exactly, those of two up to rounding."""
        return "vectorised" if self.way == "vectorised" else "single"


def given(recipe: RecipeSection, executor: bool, hits: Mapping[Mode, int]) -> Choice | None:
    """The way that needs no measurement, or None.

    Args:
        recipe: the recipe.
        executor: was one given?
        hits: models that the store holds already, by mode.
    """
    alone: Way = "executor" if executor else "pool"
    if recipe.train is not None:
        return Choice(alone, f"{alone}: [recipe] train is a function of yours, which makes one model at a time")
    if recipe.engine != "auto":
        way: Way = alone if recipe.engine == "pool" else "vectorised"
        return Choice(way, f'{way}: [recipe] engine = "{recipe.engine}"')
    if executor:
        return Choice("executor", "executor: it was given")
    most = max(hits, key=lambda mode: hits[mode])
    if hits[most]:
        way = "vectorised" if most == "vectorised" else "pool"
        return Choice(way, f"{way}: {hits[most]} models made this way are there already")
    return None


def check_network(recipe: RecipeSection, arch: str, batches: Batches, job: Job) -> None:
    """One forward pass: does the network fit the data?

    Raises:
        TrainingError: it fails, gives no (rows, outputs), or its outputs do not fit the labels.
    """
    import torch

    steps = steps_of(recipe, len(job.rows), job.steps_rows)
    index = torch.from_numpy(job.rows[: steps.batch]).to(batches.device)
    try:
        network = fresh(arch, job.seed, batches.device).eval()
        said = f"--arch {arch}"
        with contained(said), timed(said), torch.no_grad(), seeded(job.seed, batches.device):
            logits = batches.logits(network, batches.inputs(index, None))
    except Meddling as error:
        raise TrainingError(str(error)) from error
    except NoLogits as error:
        raise TrainingError(f"--arch {arch}: {error}") from error
    except (Exception, SystemExit) as error:  # the user's network may raise anything
        if isinstance(error, TrainingError) or is_out_of_memory(error):
            raise in_training(recipe, error) from error
        raise TrainingError(f"--arch {arch}: the network fails on its inputs ({describe(error)}): repair it") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(index):
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else f"a {type(logits).__name__}"
        raise TrainingError(f"--arch {arch}: the network returns {what}, not (rows, outputs): wrap it")
    if problem := task_of_loss(recipe.loss).mismatch(logits.shape[1], batches.y.cpu().numpy()):
        raise TrainingError(f"--arch {arch}: {problem}")
    losses_of(recipe, logits, batches.y[index], 1)


def measure(recipe: RecipeSection, arch: str, batches: Batches, jobs: Sequence[Job], workers: int) -> Choice:
    """Time a few steps of each way on the jobs that are to be trained (one or more), with no effect on any model.

    Args:
        recipe: the built-in recipe.
        arch: ``package.module:factory``.
        batches: the data.
        jobs: what is to be trained.
        workers: of the pool.

    Raises:
        TrainingError: the network fails in training.
    """
    steps = steps_of(recipe, len(jobs[0].rows), jobs[0].steps_rows)
    workers = min(workers, len(jobs))
    try:
        with contained(f"--arch {arch}"):
            single = _single_step(recipe, arch, batches, jobs[0], steps)
            reason = _unlike(recipe, arch, batches, jobs[0], steps)
    except Meddling as error:
        raise TrainingError(str(error)) from error
    except (Exception, SystemExit) as error:  # the user's network may raise anything
        raise in_training(recipe, error) from error
    pool = single * steps.count / workers + POOL_START / len(jobs)
    seconds = {"pool": pool}
    said = f"pool {pool:.3g} s a model with {_count(workers, 'worker')}, their start included"
    if reason:
        return Choice("pool", f"pool: {reason}; {said}", seconds)
    size = min(len(jobs), group_limit(recipe, arch, batches, jobs[0], steps))
    if single > HEAVY:
        size = min(size, FEW)
    try:
        group = _group_step(recipe, arch, batches, [job for job in jobs if _alike(recipe, job, steps)][:size], steps)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return Choice("pool", f"pool: {size} models at once do not fit into memory; {said}", seconds)
    seconds["vectorised"] = group * steps.count
    said = f"vectorised {seconds['vectorised']:.3g} s a model in groups of {size}, {said} (timed on a few steps)"
    way: Way = "vectorised" if seconds["vectorised"] <= pool else "pool"
    return Choice(way, f"{way}: {said}", seconds)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _alike(recipe: RecipeSection, job: Job, steps: Steps) -> bool:
    return steps_of(recipe, len(job.rows), job.steps_rows) == steps


def _clocked(run: Callable[[int], object]) -> float:
    """Seconds a step of ``run(steps)``, after a warm-up."""
    run(1)
    start = time.perf_counter()
    run(1)
    count = max(2, min(MOST_STEPS, int(TIMED / max(1e-6, time.perf_counter() - start))))
    start = time.perf_counter()
    run(count)
    return (time.perf_counter() - start) / count


def _single_step(recipe: RecipeSection, arch: str, batches: Batches, job: Job, steps: Steps) -> float:
    """Seconds a step of one model, on one thread as in a worker of the pool."""
    import torch

    module, threads = fresh(arch, job.seed, batches.device), torch.get_num_threads()

    def run(count: int) -> None:
        stream = Stream(job.rows, steps.batch, batches.ways, job.seed)
        train_single(recipe, module.train(), batches, stream, Steps(count, steps.batch), job.seed)

    try:
        torch.set_num_threads(1)
        return _clocked(run)
    finally:
        torch.set_num_threads(threads)


def _group_step(recipe: RecipeSection, arch: str, batches: Batches, jobs: Sequence[Job], steps: Steps) -> float:
    """Seconds a step and model of a stacked group."""
    stack = Stack(arch, [job.seed for job in jobs], batches.device)
    streams = streams_of(jobs, steps, batches.ways)
    return _clocked(lambda count: stack.train(recipe, batches, streams, Steps(count, steps.batch))) / len(jobs)


def _unlike(recipe: RecipeSection, arch: str, batches: Batches, job: Job, steps: Steps) -> str:
    """Why stacked models would not be the models that they are alone; "" where they are."""
    with full_precision():  # else a GPU rounds so much that the two could differ by it
        return _compared(recipe, arch, batches, job, Steps(2, steps.batch))


def _compared(recipe: RecipeSection, arch: str, batches: Batches, job: Job, two: Steps) -> str:
    losses: list[float] = []
    buffers: dict[str, np.ndarray[Any, Any]] = {}
    for noise in (1, 0):
        module = fresh(arch, job.seed, batches.device)
        stream = streams_of([job], two, batches.ways)[0]
        losses.append(float(train_single(recipe, module, batches, stream, two, noise).loss[0]))
        buffers = {name: t.cpu().double().numpy() for name, t in module.named_buffers()}
    try:
        stack = Stack(arch, [job.seed + 1, job.seed], batches.device)
        loss = float(stack.train(recipe, batches, streams_of([job, job], two, batches.ways), two).loss[1])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - vmap and the user's network may raise anything
        return f"this network cannot be stacked ({describe(error)})"
    stacked = {name: t[1].cpu().double().numpy() for name, t in stack.buffers.items()}
    random = losses[0] != losses[1]
    if random or not np.isfinite([loss, losses[0]]).all():
        return ""
    same = np.isclose(loss, losses[0], LOSS, LOSS) and all(
        np.allclose(array, buffers[name], BUFFERS, BUFFERS) for name, array in stacked.items()
    )
    return "" if same else "stacked, this network computes something else than alone"
