"""Run work units on an executor: a process pool of our own, or any other of the shape of ``concurrent.futures``."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .problems import TrainingError, worker_killed
from .unit import run_unit, use_device

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

AHEAD = 2  # units in flight for each worker: payloads hold data and are not all kept in memory
UNKNOWN_WORKERS = 8  # our choice, of an executor that does not say how many it has


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def worker_count(workers: int | None, device: str) -> int:
    """Processes of the pool: what the recipe says, else one a core, or one a GPU."""
    if device.startswith("cuda"):
        import torch

        return workers or (1 if ":" in device else max(1, torch.cuda.device_count()))
    return workers or cores()


def _start(devices: SimpleQueue[str]) -> None:
    use_device(devices.get())


@contextmanager
def process_pool(workers: int, device: str) -> Iterator[Executor]:
    """A pool of fresh processes, each with one thread on the CPU or a GPU of its own."""
    context = multiprocessing.get_context("spawn")
    devices: SimpleQueue[str] = context.SimpleQueue()
    for index in range(workers):
        devices.put(f"cuda:{index}" if device == "cuda" else device)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(devices,))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):  # an interrupt must not wait for models in training
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


Done = Callable[[str, bytes], None]


def run_units(executor: Executor, units: Iterable[tuple[str, str, Callable[[], bytes]]], done: Done) -> None:
    """Run units, a bounded number at a time.

    Args:
        executor: any executor whose ``submit`` returns a future.
        units: (name, key, payload maker), drawn one by one as room appears.
        done: called with the name and the answer of each unit, in the order of their ends.

    Raises:
        TrainingError: a worker died.
    """
    room = AHEAD * int(getattr(executor, "_max_workers", UNKNOWN_WORKERS))
    flying: dict[Future[bytes], str] = {}
    queue = iter(units)
    more = True
    while more or flying:
        while more and len(flying) < room:
            unit = next(queue, None)
            if unit is None:
                more = False
                break
            name, key, payload = unit
            try:
                flying[executor.submit(run_unit, key, payload())] = name
            except BrokenProcessPool as error:
                raise TrainingError(worker_killed([name, *flying.values()])) from error
        ended, _ = wait(flying, return_when=FIRST_COMPLETED) if flying else (set[Any](), None)
        for future in ended:
            name = flying.pop(future)
            try:
                answer = future.result()
            except BrokenProcessPool as error:
                raise TrainingError(worker_killed([name, *flying.values()])) from error
            done(name, answer)
