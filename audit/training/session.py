"""One call of the engine: which models exist, which are ours to train, which another process is at work on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .jobs import Job
from .store import Lock, Store

POLL = 0.2  # seconds between two looks at a model that another process trains


@dataclass(frozen=True)
class Progress:
    """A model has been made, or has failed.

    Attributes:
        name: of the job.
        failed: it could not be made.
        done: jobs that are done, failures included.
        total: jobs of the call.
        seconds: since the call started.
        workers: at work elsewhere at the moment.
    """

    name: str
    failed: bool
    done: int
    total: int
    seconds: float
    workers: int = 0


@dataclass(frozen=True, eq=False)
class Task:
    """One model to make: trained, or unlearned from the model of ``base``."""

    key: str
    job: Job
    base: Task | None = None


class Session:
    """The state of one call. Keys stand for models; several jobs may share one.

    Args:
        store: where models are kept.
        keys: address of each job, by name.
        deadline: ``time.monotonic`` after which nothing is started; None = never.
        notify: told of every job that is done.
    """

    def __init__(
        self, store: Store, keys: Mapping[str, str], deadline: float | None, notify: Callable[[Progress], None]
    ) -> None:
        self.store, self.deadline = store, deadline
        self.workers = 0  # at work elsewhere, for whoever shows progress
        self.made: set[str] = set()
        self.failed: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        for name, key in keys.items():
            self._names.setdefault(key, []).append(name)
        self._present = {key: str(facts["sha256"]) for key in self._names if (facts := store.facts(key)) is not None}
        self._busy: dict[str, Task] = {}
        self._locks: dict[str, Lock] = {}
        self._total, self._notify, self._start = len(keys), notify, time.monotonic()

    def expired(self) -> bool:
        """May nothing be started any more?"""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def has(self, key: str) -> bool:
        """Is the model there?"""
        if key not in self._present and (facts := self.store.facts(key)) is not None:  # another process finished it
            self._present[key] = str(facts["sha256"])
            self._tell(key)
        return key in self._present

    def digest(self, key: str) -> str:
        """SHA-256 of the file of a model that is there."""
        return self._present[key]

    def settled(self, task: Task) -> bool:
        """Is nothing left to do for it?"""
        return task.key in self.failed or self.has(task.key)

    def claim(self, task: Task) -> bool:
        """Is it ours to make now? Where another process makes it, it is left for later."""
        if task.key in self._locks:
            return True
        if self.settled(task):
            return False
        lock = self.store.lock(task.key)
        if lock is None:
            self.postpone(task)
            return False
        if self.has(task.key):  # finished by another process between the two looks
            lock.release()
            return False
        self._locks[task.key] = lock
        return True

    def postpone(self, task: Task) -> None:
        """Leave it for later."""
        self._busy[task.key] = task

    def postponed(self, task: Task) -> bool:
        """Is it left for later?"""
        return task.key in self._busy

    def keep(self, task: Task, state: bytes, facts: Mapping[str, Any]) -> None:
        """Store a model that we made."""
        facts = {"name": task.job.name, "seed": task.job.seed, **facts}
        self._present[task.key] = self.store.save(task.key, state, facts)
        self.made.add(task.key)
        self._release(task.key)

    def fail(self, task: Task, message: str) -> None:
        """There is no such model."""
        self.failed[task.key] = message
        self._release(task.key)

    def take_postponed(self) -> list[Task]:
        """What was left for later, once one of them can be had; [] where there is none, or no time is left."""
        tasks, self._busy = list(self._busy.values()), {}
        while tasks and not self.expired():
            for task in tasks:
                blocked = task.base if task.base is not None and not self.settled(task.base) else task
                lock = None if self.settled(blocked) else self.store.lock(blocked.key)
                if lock is not None:
                    lock.release()
                if lock is not None or self.settled(blocked):
                    return tasks
            time.sleep(POLL)
        return []

    def close(self) -> None:
        """Release every lock that is left."""
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()

    def left(self, tasks: Sequence[Task]) -> list[Task]:
        """Those that are not settled."""
        return [task for task in tasks if not self.settled(task)]

    def _release(self, key: str) -> None:
        lock = self._locks.pop(key, None)
        if lock is not None:
            lock.release()
        self._tell(key)

    def _tell(self, key: str) -> None:
        for name in self._names.get(key, ()):
            done = sum(len(names) for k, names in self._names.items() if k in self.failed or k in self._present)
            seconds = time.monotonic() - self._start
            self._notify(Progress(name, key in self.failed, done, self._total, seconds, self.workers))
