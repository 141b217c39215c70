"""Models made one a unit, through a crew."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from functools import cached_property, partial

from audit.engine.crew import Crew
from audit.inputs.contained import begin, end
from audit.inputs.recipe import RecipeSection
from audit.inputs.usercode import describe
from audit.record.readonce import sha256_of

from .jobs import Pool, Sources
from .problems import TrainingError, worker_killed
from .session import Session, Task
from .unit import Made, pack, pack_pool, run_unit, unpack


@dataclass(frozen=True, eq=False)
class Work:
    """What all models of a call share.

    Attributes:
        recipe: the recipe.
        arch: ``package.module:factory``.
        sources: digests of the sources.
        pool: canonical pool.
        device: of the models.
    """

    recipe: RecipeSection
    arch: str
    sources: Sources
    pool: Pool
    device: str

    @cached_property
    def packed(self) -> tuple[str, bytes]:
        """The pool, as workers get it, with its content key."""
        content = pack_pool(self.pool)
        return sha256_of(content), content


def run_units(work: Work, session: Session, crew: Crew, tasks: Sequence[Task]) -> None:
    """Make models one a unit, bases before what is unlearned from them; no more units at once than the crew takes.

    Raises:
        TrainingError: a worker process was killed; the finished models are kept.
    """
    waiting: dict[str, list[Task]] = {}  # by the key of the base that is being trained
    todo, running = deque(tasks), dict[Future[bytes], Task]()
    done: queue.SimpleQueue[Future[bytes]] = queue.SimpleQueue()
    while todo or running:
        while todo and len(running) < crew.limit and not session.expired():
            task = todo.popleft()
            if task.base is not None and not session.has(task.base.key):
                _defer(session, task, task.base, todo, waiting)
            elif session.claim(task):
                try:
                    future = _submitted(work, session, crew, task)
                except BrokenExecutor as error:
                    raise _killed(session, running, task) from error
                running[future] = task
                if work.recipe.train is not None or task.base is not None:  # the built-in recipe takes its time
                    future.add_done_callback(partial(_ended, begin(f"training of {task.job.name}")))
                future.add_done_callback(done.put)
            else:
                todo.extendleft(waiting.pop(task.key, ()))
        if not running:
            break  # the rest waits for other processes, or there is no time left
        future = done.get()
        if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
            raise _killed(session, running, None) from future.exception()
        task = running.pop(future)
        _keep(session, task, _answer(future))
        todo.extendleft(waiting.pop(task.key, ()))


def _ended(number: int, _future: Future[bytes]) -> None:
    end(number)


def _defer(session: Session, task: Task, base: Task, todo: deque[Task], waiting: dict[str, list[Task]]) -> None:
    """A task whose base is not there: fail with it, wait with it, or have it trained first."""
    if base.key in session.failed:
        session.fail(task, session.failed[base.key])
    elif session.postponed(base):
        session.postpone(task)
    elif base.key in waiting:
        waiting[base.key].append(task)
    else:
        waiting[base.key] = [task]
        todo.appendleft(base)


def _submitted(work: Work, session: Session, crew: Crew, task: Task) -> Future[bytes]:
    base = None if task.base is None else session.store.read(task.base.key)
    if task.base is not None and base is None:
        raise TrainingError(f"{session.store.path(task.base.key)} changed while it was used: run the command again")
    common = (work.recipe, work.arch, work.sources, work.pool, task.job, base, work.device)
    if not crew.shares:
        return crew.submit(run_unit, task.key, pack(*common))
    return crew.submit(run_unit, task.key, pack(*common, shared=True), [crew.share(*work.packed)])


def _answer(future: Future[bytes]) -> Made:
    try:
        return unpack(future.result())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a foreign executor may raise anything
        return Made(f"the executor fails ({describe(error)}): repair it, or train without it", b"", {})


def _keep(session: Session, task: Task, made: Made) -> None:
    if made.failed:
        session.fail(task, f"{task.job.name}: {made.failed}")
    else:
        session.keep(task, made.state, made.facts)


def _killed(session: Session, running: dict[Future[bytes], Task], extra: Task | None) -> TrainingError:
    """Keep what was finished; name what was not."""
    lost = [] if extra is None else [extra.job.name]
    for future, task in running.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            _keep(session, task, _answer(future))
        else:
            lost.append(task.job.name)
    return TrainingError(worker_killed(lost))
