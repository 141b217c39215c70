"""Processes of this machine, one thread each; one that dies is replaced, and what it worked on is tried again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing.queues import SimpleQueue
from typing import IO, Any

from . import worker
from .safe_path import SAFE_PATH, safe_path
from .worker import Function, Opened

TRIES = 2  # our choice: of a unit whose worker dies; a unit that kills its worker twice will do so again


def devices_of(device: str) -> list[str]:
    """``cuda`` is every GPU, ``cuda:1`` and ``cpu`` are themselves."""
    if device != "cuda":
        return [device]
    import torch

    return [f"cuda:{k}" for k in range(torch.cuda.device_count())]


class Pool:
    """Worker processes, which start with the first unit.

    Args:
        workers: how many.
        device: of the units; GPUs are dealt out in turn.
    """

    name = "processes"

    def __init__(self, workers: int, device: str) -> None:
        self.limit, self._device = workers, device
        self._own: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        self._files: list[IO[bytes]] = []
        self._closed = False

    def share(self, content: bytes) -> Opened:
        """Hold bytes in a file without a name, for the workers to map."""
        stream = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the pool
        stream.write(content)
        stream.flush()
        self._files.append(stream)
        return Opened(os.getpid(), stream.fileno())

    def submit(
        self, function: Function, key: str, payload: bytes, names: list[str], sources: list[Any]
    ) -> Future[bytes]:
        """Hand a unit over; its future breaks where the unit's worker died ``TRIES`` times."""
        outer: Future[bytes] = Future()
        self._try(outer, TRIES, (function, key, payload, names, *sources))
        return outer

    def close(self, *, now: bool) -> None:
        """End the processes: after their units, or at once."""
        with self._lock:
            self._closed, own = True, self._own
        if own is not None:
            if now:
                for process in list((own._processes or {}).values()):
                    process.terminate()
            own.shutdown(wait=True, cancel_futures=True)
        for stream in self._files:
            stream.close()

    def _try(self, outer: Future[bytes], left: int, call: tuple[Any, ...]) -> None:
        with self._lock:
            if self._closed:  # nothing starts any more
                raise BrokenExecutor("the pool is closed")
            pool = self._own = self._own or self._started()
        try:
            with self._lock, safe_path():
                inner = pool.submit(worker.call, *call)
        except BrokenExecutor as error:
            self._again(outer, left - 1, call, pool, error)
            return
        inner.add_done_callback(lambda ended: self._ended(outer, left - 1, call, pool, ended))

    def _ended(
        self, outer: Future[bytes], left: int, call: tuple[Any, ...], pool: ProcessPoolExecutor, inner: Future[bytes]
    ) -> None:
        if inner.cancelled():
            outer.cancel()
        elif outer.done():
            return
        elif (error := inner.exception()) is None:
            outer.set_result(inner.result())
        elif isinstance(error, BrokenExecutor):  # not in this thread, which holds the broken pool's lock
            threading.Thread(target=self._again, args=(outer, left, call, pool, error), daemon=True).start()
        else:
            outer.set_exception(error)

    def _again(
        self, outer: Future[bytes], left: int, call: tuple[Any, ...], pool: ProcessPoolExecutor, error: BaseException
    ) -> None:
        """Try a unit in new processes, unless it was tried often enough."""
        if outer.done():
            return
        if not left:
            outer.set_exception(error)
            return
        with self._lock:
            if self._own is pool:
                self._own = None
        try:
            self._try(outer, left, call)
        except Exception as later:  # noqa: BLE001 - whoever waits for the unit is told
            outer.set_exception(later)

    def _started(self) -> ProcessPoolExecutor:
        context, safe = multiprocessing.get_context("spawn"), SAFE_PATH in os.environ
        with safe_path():  # the first queue starts Python's resource tracker, a process as well
            devices = context.SimpleQueue()
        names = devices_of(self._device)
        for k in range(self.limit):
            devices.put(names[k % len(names)])
        return ProcessPoolExecutor(self.limit, context, _start, (devices, safe))


def _start(devices: SimpleQueue[str], safe: bool) -> None:
    """Of each worker: one thread on a CPU, a device of its own, and an end with the parent, however that ends.

    What the user's functions print goes to standard error: standard output belongs to the caller.
    """
    import torch

    if not safe:  # what the user's functions start is their own business
        os.environ.pop(SAFE_PATH, None)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    worker.assigned = devices.get()
    if worker.assigned == "cpu":
        torch.set_num_threads(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
