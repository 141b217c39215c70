"""The engine's interface: train many models, reuse what is there, and say what it would cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from audit.engine.crew import IN_FLIGHT, Crew, Order, worker_count
from audit.inputs.recipe import RecipeSection

from .by_groups import run_groups
from .by_units import Work, run_units
from .choice import Choice, check_network, given, measure
from .descent import Batches
from .hooks import import_sources
from .jobs import MODES, Addresses, Job, Mode, Pool, check_jobs, steps_of
from .problems import TrainingError
from .session import Progress, Session, Task
from .store import Store


@dataclass(frozen=True)
class Trained:
    """What a call came to.

    Attributes:
        paths: safetensors file of each job whose model exists, by name.
        keys: address of every job's model, by name.
        digests: SHA-256 of the file of each job whose model exists, by name.
        failed: message of each job whose model cannot be made, by name.
        mode: ``vectorised``, ``pool`` or ``executor``.
        why: how the mode was chosen, with the measured figures.
        trained: jobs whose model was made in this call.
        reused: jobs whose model was there, or was made by another process meanwhile.
        stopped: the deadline came before every job was done.
    """

    paths: dict[str, Path]
    keys: dict[str, str]
    digests: dict[str, str]
    failed: dict[str, str]
    mode: str
    why: str
    trained: int
    reused: int
    stopped: bool


@dataclass(frozen=True)
class Estimate:
    """What training would cost.

    Attributes:
        mode: the way that would be chosen.
        why: how, with the measured figures.
        seconds: of one model, by way; empty with the user's own ``train``, which cannot be timed by its steps.
        steps: of one model; 0 with the user's own ``train``.
    """

    mode: str
    why: str
    seconds: dict[str, float]
    steps: int


def train_models(
    recipe: RecipeSection,
    arch: str,
    pool: Pool,
    jobs: Sequence[Job],
    store: Store,
    *,
    key: bytes,
    device: str = "cpu",
    executor: Executor | None = None,
    order: Order | None = None,
    deadline: float | None = None,
    notify: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Make the model of every job, or take it from the store. Each is kept as soon as it is finished.

    Args:
        recipe: how models are trained.
        arch: ``package.module:factory`` of the untrained network.
        pool: all rows that may be trained on.
        jobs: one a model; adding jobs makes the new ones only.
        store: where models are kept.
        key: 32 secret bytes under which personal data are digested.
        device: ``cpu``, ``cuda`` (every GPU) or one device.
        executor: runs the units in place of a pool of processes of our own; needs ``submit``.
        order: who runs the units where no executor is given; by default processes, ``[recipe] workers`` of them.
        deadline: ``time.monotonic`` after which no model is started; those in training are finished.
        notify: told of every job that is done.

    Raises:
        TrainingError: no model can be made this way, or a worker was killed; finished models are kept.
        CouldNotRun: the store cannot be written.
        ValueError: the jobs, the pool or the key are malformed.
    """
    pool = pool.canonical()
    check_jobs(jobs, pool, recipe)
    sources = import_sources(recipe, arch)
    addresses = Addresses(recipe, arch, sources, pool, key)
    work = Work(recipe, arch, sources, pool, device)
    order = order or Order(workers=recipe.workers)
    workers = worker_count(order.workers or (IN_FLIGHT if order.executor else None), device)
    choice = _choose(work, addresses, jobs, store, workers, executor, timed=deadline is not None)
    tasks = [_task(addresses, job, choice.mode) for job in jobs]
    keys = {task.job.name: task.key for task in tasks}
    session = Session(store, keys, deadline, notify)
    try:
        with Crew(order, device, executor) as crew:
            left = session.left(tasks)
            while left and not session.expired():
                if choice.way == "vectorised":
                    run_groups(work, session, crew, left, choice.seconds.get("vectorised"))
                else:
                    run_units(work, session, crew, left)
                left = session.take_postponed()
    finally:
        session.close()
    return _summary(session, keys, choice)


def estimate(
    recipe: RecipeSection,
    arch: str,
    pool: Pool,
    jobs: Sequence[Job],
    *,
    device: str = "cpu",
    executor: Executor | None = None,
) -> Estimate:
    """Time a few steps of each way; trains nothing and stores nothing.

    Args:
        recipe: how models are trained.
        arch: ``package.module:factory`` of the untrained network.
        pool: all rows that may be trained on.
        jobs: one a model, one or more; the first stands for all.
        device: as for ``train_models``.
        executor: as for ``train_models``; its speed is not known, so the figures are those of this machine.

    Raises:
        TrainingError: no model can be made this way.
        ValueError: the jobs or the pool are malformed.
    """
    pool = pool.canonical()
    check_jobs(jobs, pool, recipe)
    sources = import_sources(recipe, arch)
    fixed = given(recipe, executor is not None, dict.fromkeys(MODES, 0))
    if recipe.train is not None:
        assert fixed is not None
        return Estimate(fixed.way, f"{fixed.why}; its time is known after the first model", {}, 0)
    measured = _measure(Work(recipe, arch, sources, pool, device), jobs, worker_count(recipe.workers, device))
    way, why = (measured.way, measured.why) if fixed is None else (fixed.way, f"{fixed.why} ({measured.why})")
    return Estimate(way, why, dict(measured.seconds), steps_of(recipe, len(jobs[0].rows), jobs[0].steps_rows).count)


def _choose(
    work: Work,
    addresses: Addresses,
    jobs: Sequence[Job],
    store: Store,
    workers: int,
    executor: Executor | None,
    *,
    timed: bool,
) -> Choice:
    """Choose the way, and check the network where something is to be trained; ``timed``: groups need their time."""
    hits: dict[Mode, int] = {
        mode: sum(store.path(a).exists() for a in {addresses.of(job, mode) for job in jobs}) for mode in MODES
    }
    choice = given(work.recipe, executor is not None, hits)
    missing = list(jobs)
    if choice is not None:
        mode = choice.mode
        missing = [
            job
            for job in jobs
            if not store.has(addresses.of(job, mode)) and not store.has(addresses.trained(job, mode))
        ]
    if work.recipe.train is not None or not missing:
        return choice or Choice("pool", "pool: there is nothing to train")
    if choice is None:
        return _measure(work, missing, workers)
    check_network(work.recipe, work.arch, _batches(work), missing[0])
    if timed and choice.way == "vectorised":
        return replace(choice, seconds=_measure(work, missing, workers).seconds)
    return choice


def _measure(work: Work, jobs: Sequence[Job], workers: int) -> Choice:
    batches = _batches(work)
    check_network(work.recipe, work.arch, batches, jobs[0])
    return measure(work.recipe, work.arch, batches, jobs, workers)


def _batches(work: Work) -> Batches:
    try:
        return Batches(work.pool, work.recipe.augmentation, work.device)
    except ValueError as error:
        raise TrainingError(str(error)) from error


def _task(addresses: Addresses, job: Job, mode: Mode) -> Task:
    if job.unlearn is None:
        return Task(addresses.of(job, mode), job)
    plain = Job(job.name, job.rows, job.seed, None, job.steps_rows)
    return Task(addresses.of(job, mode), job, Task(addresses.trained(job, mode), plain))


def _summary(session: Session, keys: dict[str, str], choice: Choice) -> Trained:
    present = {name: key for name, key in keys.items() if session.has(key)}
    failed = {name: session.failed[key] for name, key in keys.items() if key in session.failed}
    trained = sum(key in session.made for key in present.values())
    return Trained(
        paths={name: session.store.path(key) for name, key in present.items()},
        keys=keys,
        digests={name: session.digest(key) for name, key in present.items()},
        failed=failed,
        mode=choice.way,
        why=choice.why,
        trained=trained,
        reused=len(present) - trained,
        stopped=len(present) + len(failed) < len(keys),
    )
