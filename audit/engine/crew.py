"""Who runs the work units of one call: this machine's processes, a cluster, or any executor with ``submit``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from .clusters import Dask, Engine, Ray
from .pool import Pool, devices_of
from .worker import Function

IN_FLIGHT = 16  # units given to a foreign executor at once, where nothing else is said


@dataclass(frozen=True)
class Order:
    """Who is to run the units.

    Attributes:
        executor: "" = processes of this machine, else one of ``audit.inputs.config.EXECUTORS``.
        workers: how many at once; None = one a core, one a GPU, or all that the cluster has.
    """

    executor: str = ""
    workers: int | None = None

    @property
    def name(self) -> str:
        """For events and messages."""
        return {"ray": "ray", "dask": "dask", "tcp": "dask"}.get(
            self.executor.partition(":")[0], "processes" if self.asked else "this process"
        )

    @property
    def asked(self) -> bool:
        """Units of attacks run in other processes only where that was asked for."""
        return bool(self.executor) or (self.workers or 1) > 1


def worker_count(workers: int | None, device: str) -> int:
    """Processes of our own pool: one a core, or one a GPU."""
    if workers is not None:
        return workers
    if device.startswith("cuda"):
        return len(devices_of(device))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Kept:
    """Bytes that were given to the engine once: their content key, and what stands for them there."""

    key: str
    source: Any


class Crew:
    """Runs units; its workers start with the first one and are gone after the block.

    Args:
        order: who runs them.
        device: of the units.
        executor: a foreign executor, which stays open, in place of ``order``'s.
    """

    def __init__(self, order: Order, device: str, executor: Executor | None = None) -> None:
        self._order, self._device, self._foreign = order, device, executor
        self._engine: Engine | None = None
        self._kept: dict[str, Kept] = {}

    @property
    def name(self) -> str:
        """Of the engine, for events."""
        return "executor" if self._foreign is not None else self._order.name

    @property
    def shares(self) -> bool:
        """Can bytes be given once for many units? A foreign executor gets them with each."""
        return self._foreign is None

    @property
    def spreads(self) -> bool:
        """Is stacked training to be spread over workers? Where that was asked for, and where there are several GPUs."""
        several = self._device == "cuda" and len(devices_of(self._device)) > 1
        return self._foreign is None and (self._order.asked or several)

    @property
    def limit(self) -> int:
        """Units that may be under way at once."""
        return self._order.workers or IN_FLIGHT if self._foreign is not None else self._started().limit

    def share(self, key: str, content: bytes) -> Kept:
        """Give the engine bytes that many units read, by their content key; those of one key are given once."""
        if key not in self._kept:
            self._kept[key] = Kept(key, self._started().share(content))
        return self._kept[key]

    def submit(self, function: Function, key: str, payload: bytes, shared: Sequence[Kept] = ()) -> Future[bytes]:
        """Hand a unit over."""
        if self._foreign is not None:
            return self._foreign.submit(function, key, payload)  # type: ignore[call-arg]
        names, sources = [kept.key for kept in shared], [kept.source for kept in shared]
        return self._started().submit(function, key, payload, names, sources)

    def _started(self) -> Engine:
        if self._engine is None:
            executor, workers = self._order.executor, self._order.workers
            if executor.startswith("ray"):
                self._engine = Ray(executor, workers, self._device)
            elif executor:
                self._engine = Dask(executor, workers, self._device)
            else:
                self._engine = Pool(worker_count(workers, self._device), self._device)
        return self._engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is not None:  # interrupted: do not wait for units that nobody wants any more
            self._engine.close(now=error is not None)
