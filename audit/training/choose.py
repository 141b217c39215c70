"""Which mode trains the models: measured on a few steps, unless the recipe, the architecture or the store decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .jobs import Addresses, Job, Mode, Pool, steps_of
from .problems import describe
from .recipe import RecipeSection
from .store import Store

TIMED_STEPS = 12  # our choice, after as many that warm up
TIMED_GROUP = 16
AGREES = 1e-3  # our choice: relative difference of stacked and single training after a few steps (float32)


@dataclass(frozen=True)
class Choice:
    """The mode, why, and the seconds of wall time that a model takes in it (0 = not measured)."""

    mode: Mode
    why: str
    seconds: float = 0.0


def choose(
    recipe: RecipeSection,
    arch: str,
    pool: Pool,
    jobs: Sequence[Job],
    held: dict[Mode, int],
    workers: int,
    device: str,
    *,
    measure: bool = False,
) -> Choice:
    """Choose the mode of a set of jobs.

    Args:
        recipe, arch, pool, jobs: what is to be trained.
        held: how many of the jobs the store holds by mode.
        workers: processes of the pool.
        device: of the models.
        measure: take the time even where the mode is settled without it.
    """
    settled = _settled(recipe, held)
    if settled is not None and not measure:
        return settled
    if recipe.train is not None:
        return Choice("single", f'[recipe] train = "{recipe.train}" trains one model at a time')
    single = _single_seconds(recipe, arch, pool, jobs[0], device) / workers
    try:
        many, group = _stacked_seconds(recipe, arch, pool, jobs, device)
    except Exception as error:
        if settled is None or settled.mode == "single":
            return Choice("single", f"the architecture cannot be stacked ({describe(error)})", single)
        raise
    if settled is not None:
        return Choice(settled.mode, settled.why, many if settled.mode == "vectorised" else single)
    figures = f"measured: {many:.3g} s a model stacked {group} at a time, {single:.3g} s in {workers} processes"
    return Choice("vectorised", figures, many) if many < single else Choice("single", figures, single)


def _settled(recipe: RecipeSection, held: dict[Mode, int]) -> Choice | None:
    if recipe.engine == "vectorised":
        return Choice("vectorised", '[recipe] engine = "vectorised"')
    if recipe.engine == "pool":
        return Choice("single", '[recipe] engine = "pool"')
    if recipe.train is not None:
        return Choice("single", f'[recipe] train = "{recipe.train}" trains one model at a time')
    mode: Mode = "vectorised" if held["vectorised"] > held["single"] else "single"
    return Choice(mode, f"the store holds models of this mode ({mode})") if held[mode] else None


def held_models(store: Store, addresses: Addresses, jobs: Sequence[Job]) -> dict[Mode, int]:
    """How many of the jobs the store holds, by mode."""
    modes: tuple[Mode, Mode] = ("vectorised", "single")
    return {mode: sum(store.path(addresses.of(job, mode)).is_file() for job in jobs) for mode in modes}


def _single_seconds(recipe: RecipeSection, arch: str, pool: Pool, job: Job, device: str) -> float:
    import torch

    from .descent import Batches, descend
    from .single import fresh, noise_seed, seeded, trained_parameters
    from .streams import Stream

    steps = steps_of(recipe, len(job.rows), job.steps_rows)
    batches = Batches(pool, recipe.augmentation, device)
    module = fresh(arch, job.seed, device)
    stream = Stream(job.rows, steps.batch, batches.ways, job.seed)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as in the pool
        with seeded(noise_seed(job.seed), device):
            parameters = trained_parameters(module)
            seconds = _timed(lambda count: descend(recipe, batches, module, parameters, [stream], count), steps)
    finally:
        torch.set_num_threads(threads)
    return seconds * steps.count


def _stacked_seconds(
    recipe: RecipeSection, arch: str, pool: Pool, jobs: Sequence[Job], device: str
) -> tuple[float, int]:
    """Seconds a model in a group, and the size of the group. Raises what vmap raises, or where the modes disagree."""
    from .descent import Batches
    from .stacked import Stack, group_limit, streams_of

    steps = steps_of(recipe, min(len(job.rows) for job in jobs), jobs[0].steps_rows)
    batches = Batches(pool, recipe.augmentation, device)
    group = list(jobs)[: min(TIMED_GROUP, group_limit(recipe, arch, batches, jobs[0], steps))]
    stack = Stack(arch, [job.seed for job in group], device)
    _check_agreement(recipe, arch, batches, group[:2], steps)
    streams = streams_of(group, steps, batches.ways)
    seconds = _timed(lambda count: stack.train(recipe, batches, streams, count), steps)
    return seconds * steps.count / len(group), len(group)


def _timed(run: Any, steps: Any) -> float:
    """Seconds a step."""
    from .jobs import Steps

    few = Steps(min(TIMED_STEPS, steps.count), steps.batch)
    run(few)
    started = time.perf_counter()
    run(few)
    return (time.perf_counter() - started) / few.count


def _check_agreement(recipe: RecipeSection, arch: str, batches: Any, jobs: Sequence[Job], steps: Any) -> None:
    """Stacked and single training must give the same model after two steps, dropout aside."""
    import torch

    from .jobs import Steps
    from .single import fresh, train_single
    from .stacked import Stack, streams_of

    few = Steps(min(2, steps.count), steps.batch)
    stack = Stack(arch, [job.seed for job in jobs], batches.device)
    if any("dropout" in type(module).__name__.lower() for module in stack.module.modules()):
        return
    stack.train(recipe, batches, streams_of(jobs, few, batches.ways), few)
    for job, module in zip(jobs, stack.networks(), strict=True):
        alone = fresh(arch, job.seed, batches.device)
        train_single(recipe, alone, batches, streams_of([job], few, batches.ways)[0], few, job.seed)
        for (name, one), two in zip(alone.state_dict().items(), module.state_dict().values(), strict=True):
            gap = float((one.double() - two.double()).abs().max())
            if not torch.isfinite(one).all() or gap > AGREES * max(1.0, float(one.double().abs().max())):
                raise ValueError(f"stacked and single training disagree in {name} by {gap:.2g}")
