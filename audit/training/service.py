"""Train a set of models, each once: look into the store, choose a mode, run what is missing, keep what is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

from .choose import Choice, choose, held_models
from .execute import process_pool, run_units, worker_count
from .jobs import Addresses, Job, Mode, Pool, Sources, check_jobs, steps_of
from .problems import TrainingError, is_out_of_memory, out_of_memory
from .recipe import RecipeSection
from .store import Lock, Store
from .unit import check_finite, pack
from .wire import decode, state_bytes

POLL = 0.2  # seconds between two looks at a model that another process trains


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` models are there; ``seconds`` since the start."""

    name: str
    done: int
    total: int
    seconds: float


Notify = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """What came of a set of jobs.

    Attributes:
        paths: file of each model that exists, by job name, in the order of the jobs.
        keys: content address of each job.
        failed: why a model could not be trained, by job name.
        mode: ``vectorised`` or ``single``.
        why: how the mode was chosen.
        trained: models trained now, intermediate ones of pipelines included.
        reused: models found in the store.
        stopped: the deadline passed before all were trained.
    """

    paths: Mapping[str, Path]
    keys: Mapping[str, str]
    failed: Mapping[str, str]
    mode: Mode
    why: str
    trained: int
    reused: int
    stopped: bool


@dataclass(frozen=True)
class Cost:
    """Wall time that training would take, how many models are there already, and how it was measured."""

    seconds: float
    reused: int
    why: str


def _silent(_progress: Progress) -> None:
    """Ignore progress."""


@dataclass
class _Work:
    """One call of ``train_models``."""

    recipe: RecipeSection
    arch: str
    pool: Pool
    sources: Sources
    addresses: Addresses
    store: Store
    mode: Mode
    device: str
    deadline: float | None
    notify: Notify
    total: int
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    trained: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False

    def late(self) -> bool:
        """The deadline has passed: start nothing more."""
        self.stopped = self.stopped or (self.deadline is not None and time.monotonic() >= self.deadline)
        return self.stopped

    def keep(self, job: Job, key: str, state: bytes, facts: Mapping[str, object]) -> None:
        """Store a finished model."""
        self.store.save(key, state, {"name": job.name, "seed": job.seed, **facts})
        self.trained += 1
        self.tell(job)

    def tell(self, job: Job) -> None:
        """Progress."""
        self.done += 1
        self.notify(Progress(job.name, min(self.done, self.total), self.total, time.monotonic() - self.started))


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
    deadline: float | None = None,
    notify: Notify = _silent,
) -> Trained:
    """Train the jobs whose models the store does not hold.

    Args:
        recipe: how.
        arch: ``package.module:factory`` of the untrained network.
        pool: all rows.
        jobs: what; names are unique.
        store: where models are found and kept.
        key: 32 secret bytes under which personal data enters the addresses.
        device: of the models; a pool on ``cuda`` has one worker a GPU.
        executor: runs the units in place of a pool of our own (``submit(run_unit, key, payload)``).
        deadline: of ``time.monotonic``; no unit starts after it.
        notify: called after every model.

    Raises:
        TrainingError: nothing can be trained this way, or a worker died. Finished models are kept.
        ValueError: jobs that make no sense.
    """
    check_jobs(jobs, pool, recipe)
    pool, sources = pool.canonical(), _sources(recipe, arch)
    addresses = Addresses(recipe, arch, sources, pool, key)
    choice = _choice(recipe, arch, pool, jobs, store, addresses, device, executor)
    mode = choice.mode
    bases, base_of = _bases(jobs, addresses, mode)
    work = _Work(recipe, arch, pool, sources, addresses, store, mode, device, deadline, notify, len(jobs))
    plain = [job for job in jobs if job.unlearn is None]
    reused = sum(store.has(addresses.of(job, mode)) for job in jobs)
    _stage(work, [*plain, *bases], executor)
    pipelines = [job for job in jobs if job.unlearn is not None and base_of[job.name] not in work.failed]
    _stage(work, pipelines, executor)
    for job in jobs:
        base = base_of.get(job.name, "")
        if base in work.failed:
            work.failed.setdefault(job.name, work.failed[base])
    keys = {job.name: addresses.of(job, mode) for job in jobs}
    names = set(keys)
    return Trained(
        paths={name: store.path(found) for name, found in keys.items() if store.has(found)},
        keys=keys,
        failed={name: text for name, text in work.failed.items() if name in names},
        mode=mode,
        why=choice.why,
        trained=work.trained,
        reused=reused,
        stopped=work.stopped,
    )


def estimate(
    recipe: RecipeSection,
    arch: str,
    pool: Pool,
    jobs: Sequence[Job],
    store: Store,
    *,
    key: bytes,
    device: str = "cpu",
) -> Cost:
    """What ``train_models`` would cost, from a few timed steps; the user's own functions cannot be timed."""
    check_jobs(jobs, pool, recipe)
    pool, sources = pool.canonical(), _sources(recipe, arch)
    addresses = Addresses(recipe, arch, sources, pool, key)
    choice = _choice(recipe, arch, pool, jobs, store, addresses, device, None, measure=True)
    missing = [job for job in jobs if not store.has(addresses.of(job, choice.mode))]
    return Cost(choice.seconds * len(missing), len(jobs) - len(missing), choice.why)


def _choice(
    recipe: RecipeSection,
    arch: str,
    pool: Pool,
    jobs: Sequence[Job],
    store: Store,
    addresses: Addresses,
    device: str,
    executor: Executor | None,
    *,
    measure: bool = False,
) -> Choice:
    if executor is not None:
        return Choice("single", "an executor was given")
    if not jobs:
        return Choice("single", "nothing to train")
    workers = worker_count(recipe.workers, device)
    return choose(recipe, arch, pool, jobs, held_models(store, addresses, jobs), workers, device, measure=measure)


def _sources(recipe: RecipeSection, arch: str) -> Sources:
    from .hooks import source_digest

    train, unlearn = (source_digest(name) if name else "" for name in (recipe.train, recipe.unlearn))
    return Sources(source_digest(arch), train, unlearn)


def _bases(jobs: Sequence[Job], addresses: Addresses, mode: Mode) -> tuple[list[Job], dict[str, str]]:
    """The trained models that pipelines start from and no other job trains; name of the base of each pipeline."""
    by_key = {addresses.of(job, mode): job.name for job in jobs if job.unlearn is None}
    bases, base_of = [], {}
    for job in jobs:
        if job.unlearn is not None:
            key = addresses.trained(job, mode)
            if key not in by_key:
                by_key[key] = f"{job.name} before unlearning"
                bases.append(replace(job, name=by_key[key], unlearn=None))
            base_of[job.name] = by_key[key]
    return bases, base_of


def _stage(work: _Work, jobs: Sequence[Job], executor: Executor | None) -> None:
    """Train what is missing; what another process trains is left to the end, then waited for."""
    waiting = list(jobs)
    while waiting and not work.late():
        mine: list[tuple[Job, str, Lock]] = []
        others: list[Job] = []
        for job in waiting:
            key = work.addresses.of(job, work.mode)
            lock = None if work.store.has(key) else work.store.lock(key)
            if work.store.has(key):  # perhaps since the lock
                if lock is not None:
                    lock.release()
                work.tell(job)
            elif lock is None:
                others.append(job)
            else:
                mine.append((job, key, lock))
        try:
            if mine:
                _run(work, mine, executor)
        finally:
            for _, _, lock in mine:
                lock.release()
        waiting = others
        if others and not mine:
            time.sleep(POLL)


def _run(work: _Work, mine: Sequence[tuple[Job, str, Lock]], executor: Executor | None) -> None:
    if work.mode == "vectorised" and mine[0][0].unlearn is None:
        _run_stacked(work, mine)
    elif executor is not None:
        _run_units(work, mine, executor)
    else:
        workers = min(worker_count(work.recipe.workers, work.device), len(mine))
        with process_pool(workers, work.device) as pool:
            _run_units(work, mine, pool)


def _run_units(work: _Work, mine: Sequence[tuple[Job, str, Lock]], executor: Executor) -> None:
    entries = {job.name: (job, key, lock) for job, key, lock in mine}

    def units() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
        for job, key, _ in mine:
            if work.late():
                return
            yield job.name, key, lambda job=job: _payload(work, job)  # type: ignore[misc]

    def done(name: str, answer: bytes) -> None:
        job, key, lock = entries[name]
        header, arrays = decode(answer)
        if "error" in header:
            work.failed[name] = str(header["error"])
        else:
            work.keep(job, key, arrays["state"].tobytes(), header)
        lock.release()

    run_units(executor, units(), done)


def _payload(work: _Work, job: Job) -> bytes:
    base = None
    if job.unlearn is not None:
        base = work.store.path(work.addresses.trained(job, work.mode)).read_bytes()
    return pack(work.recipe, work.arch, work.sources, work.pool, job, work.device, base)


def _run_stacked(work: _Work, mine: Sequence[tuple[Job, str, Lock]]) -> None:
    """Groups of models with the same batch and number of steps, halved where memory does not suffice."""
    from .descent import Batches
    from .stacked import group_limit

    batches = Batches(work.pool, work.recipe.augmentation, work.device)
    alike: dict[object, list[tuple[Job, str, Lock]]] = {}
    for entry in mine:
        alike.setdefault(steps_of(work.recipe, len(entry[0].rows), entry[0].steps_rows), []).append(entry)
    for entries in alike.values():
        first = entries[0][0]
        size = group_limit(
            work.recipe, work.arch, batches, first, steps_of(work.recipe, len(first.rows), first.steps_rows)
        )
        at = 0
        while at < len(entries) and not work.late():
            try:
                _train_group(work, batches, entries[at : at + size])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise TrainingError(
                        f'the architecture cannot be stacked ({error}): set [recipe] engine = "pool"'
                    ) from error
                if size == 1:
                    work.failed[entries[at][0].name] = out_of_memory(work.recipe)
                    at += 1
                size = max(1, size // 2)
                continue
            at += size


def _train_group(work: _Work, batches: object, group: Sequence[tuple[Job, str, Lock]]) -> None:
    from .descent import Batches
    from .stacked import Stack, streams_of

    assert isinstance(batches, Batches)
    jobs = [job for job, _, _ in group]
    steps = steps_of(work.recipe, len(jobs[0].rows), jobs[0].steps_rows)
    started = time.monotonic()
    stack = Stack(work.arch, [job.seed for job in jobs], work.device)
    result = stack.train(work.recipe, batches, streams_of(jobs, steps, batches.ways), steps)
    seconds = (time.monotonic() - started) / len(jobs)
    for at, ((job, key, lock), module) in enumerate(zip(group, stack.networks(), strict=True)):
        try:
            check_finite(work.recipe, int(result.diverged[at]), module, steps)
        except TrainingError as error:
            work.failed[job.name] = str(error)
        else:
            facts = {"loss": float(result.loss[at]), "steps": steps.count, "seconds": seconds}
            work.keep(job, key, state_bytes(module), facts)
        lock.release()
