"""Who runs the work units: a pool of processes of our own, or any executor with ``submit``."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from types import TracebackType
from typing import Self

from audit.inputs.recipe import RecipeSection

from . import unit

SAFE_PATH = "PYTHONSAFEPATH"
IN_FLIGHT = 16  # units given to a foreign executor at once, where [recipe] workers says nothing


def worker_count(recipe: RecipeSection, device: str) -> int:
    """Processes of our own pool: one a core, or one a GPU."""
    if recipe.workers is not None:
        return recipe.workers
    if device.startswith("cuda"):
        return len(_devices(device))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices(device: str) -> list[str]:
    """``cuda`` is every GPU, ``cuda:1`` and ``cpu`` are themselves."""
    if device != "cuda":
        return [device]
    import torch

    return [f"cuda:{k}" for k in range(torch.cuda.device_count())]


class Crew:
    """Runs units; its processes start with the first one and are gone after the block.

    Args:
        recipe: says how many workers.
        device: of the models.
        executor: a foreign executor, which stays open; None = a pool of our own.
    """

    def __init__(self, recipe: RecipeSection, device: str, executor: Executor | None) -> None:
        self._device, self._executor = device, executor
        self._own: ProcessPoolExecutor | None = None
        self.limit = worker_count(recipe, device) if executor is None else recipe.workers or IN_FLIGHT

    def submit(self, key: str, payload: bytes) -> Future[bytes]:
        """Hand a unit over."""
        if self._executor is not None:
            return self._executor.submit(unit.run_unit, key, payload)
        safe = SAFE_PATH in os.environ
        with _safe_path():
            return self._pool(safe).submit(unit.run_unit, key, payload)

    def _pool(self, safe: bool) -> ProcessPoolExecutor:
        if self._own is None:
            context = multiprocessing.get_context("spawn")
            devices = context.SimpleQueue()
            names = _devices(self._device)
            for k in range(self.limit):
                devices.put(names[k % len(names)])
            self._own = ProcessPoolExecutor(self.limit, context, _start, (devices, safe))
        return self._own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is None:
            return
        if error is not None:  # interrupted: do not wait for models that nobody wants any more
            for process in list((self._own._processes or {}).values()):
                process.terminate()
        self._own.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Processes that start in this block do not look into the working directory before they have this one's path."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _start(devices: SimpleQueue[str], safe: bool) -> None:
    """Of each worker: one thread on a CPU, a device of its own, and an end with the parent, however that ends.

    What the user's functions print goes to standard error: standard output belongs to the caller.
    """
    import torch

    if not safe:  # what the user's functions start is their own business
        os.environ.pop(SAFE_PATH, None)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    unit.assigned = devices.get()
    if unit.assigned == "cpu":
        torch.set_num_threads(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
