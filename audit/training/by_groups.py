"""Models made in stacked groups: in this process, or spread over the workers of a crew."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from attacks.memory import give_back
from audit.engine.crew import Crew
from audit.inputs.usercode import describe
from audit.record.readonce import sha256_of

from .by_units import Work, run_units
from .descent import Batches
from .group import pack_group, run_group, train_group, unpack_group
from .jobs import Steps, steps_of
from .problems import TrainingError, out_of_memory, worker_killed
from .session import Session, Task
from .stacked import group_limit
from .unit import Made


def run_groups(work: Work, session: Session, crew: Crew, tasks: Sequence[Task], seconds: float | None) -> None:
    """Train in stacked groups; what is to be unlearned goes to the crew after each group.

    Args:
        work: what they share.
        session: the call.
        crew: runs the user's ``unlearn``.
        tasks: what is to be made.
        seconds: expected time of a model, to keep groups within a deadline; None = not known.

    Raises:
        TrainingError: the network cannot be stacked.
    """
    later = [task for task in tasks if task.base is not None]
    first = {base.key: base for base in (task.base or task for task in tasks)}
    by_steps: dict[Steps, list[Task]] = {}
    for task in first.values():
        if not session.settled(task):
            steps = steps_of(work.recipe, len(task.job.rows), task.job.steps_rows)
            by_steps.setdefault(steps, []).append(task)
    _unlearn(work, session, crew, later)
    batches = Batches(work.pool, work.recipe.augmentation, work.device, work.recipe.output) if by_steps else None
    for steps, alike in by_steps.items():
        assert batches is not None
        size = group_limit(work.recipe, work.arch, batches, alike[0].job, steps)
        if crew.spreads:
            fits = size if work.device.startswith("cuda") else max(1, size // crew.limit)  # they share this memory
            each = _in_time(session, min(fits, math.ceil(len(alike) / crew.limit)), seconds)
            _spread(work, session, crew, alike, steps, each)
            _unlearn(work, session, crew, later)
            continue
        size = math.ceil(len(alike) / math.ceil(len(alike) / size))
        todo = list(alike)
        while todo and not session.expired():
            size = _in_time(session, size, seconds)
            group, todo = [task for task in todo[:size] if session.claim(task)], todo[size:]
            if group and not _train_group(work, session, batches, group, steps):
                size, todo = max(1, len(group) // 2), group + todo
                give_back()
            else:
                _unlearn(work, session, crew, later)
    for task in session.left(later):
        if task.base is not None and session.postponed(task.base):
            session.postpone(task)


def _in_time(session: Session, size: int, seconds: float | None) -> int:
    """Models of a group that a deadline leaves time for; 1 or more."""
    if session.deadline is None or not seconds:
        return size
    return max(1, min(size, int((session.deadline - time.monotonic()) / seconds)))


def _unlearn(work: Work, session: Session, crew: Crew, later: Sequence[Task]) -> None:
    run_units(work, session, crew, [t for t in session.left(later) if t.base is not None and session.settled(t.base)])


def _train_group(work: Work, session: Session, batches: Batches, group: Sequence[Task], steps: Steps) -> bool:
    """Train a group and keep its models; False where it is to be tried again in halves, for want of memory."""
    jobs = [task.job for task in group]
    return _taken(work, session, group, train_group(work.recipe, work.arch, work.device, batches, jobs, steps))


def _taken(work: Work, session: Session, group: Sequence[Task], made: Sequence[Made] | None) -> bool:
    """Keep what came of a group; False where it is to be tried again in halves."""
    if made is None:
        if len(group) == 1:
            session.fail(group[0], f"{group[0].job.name}: {out_of_memory(work.recipe)}")
        return len(group) == 1
    for task, model in zip(group, made, strict=True):
        if model.failed:
            session.fail(task, f"{task.job.name}: {model.failed}")
        else:
            session.keep(task, model.state, model.facts)
    return True


def _spread(work: Work, session: Session, crew: Crew, todo: Sequence[Task], steps: Steps, size: int) -> None:
    """Groups of at most ``size`` models on the workers of a crew, one a GPU or process.

    Raises:
        TrainingError: the network cannot be stacked, or a worker died as often as a unit is tried.
    """
    waiting = deque(todo[at : at + size] for at in range(0, len(todo), size))
    running: dict[Future[bytes], list[Task]] = {}
    while waiting or running:
        while waiting and len(running) < crew.limit and not session.expired():
            group = [task for task in waiting.popleft() if session.claim(task)]
            if group:
                jobs = [task.job for task in group]
                payload = pack_group(work.recipe, work.arch, work.sources, jobs, steps, work.device)
                shared = [crew.share(*work.packed)]
                running[crew.submit(run_group, sha256_of("".join(t.key for t in group).encode()), payload, shared)] = (
                    group
                )
        if not running:
            return  # no time is left
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            group, session.workers = running.pop(future), len(running)
            if not _taken(work, session, group, _answered(future, group)):
                half = len(group) // 2
                waiting.extendleft([group[half:], group[:half]])


def _answered(future: Future[bytes], group: Sequence[Task]) -> list[Made] | None:
    try:
        answer = future.result()
    except BrokenExecutor as error:
        raise TrainingError(worker_killed([task.job.name for task in group])) from error
    except Exception as error:
        raise TrainingError(f"the workers fail ({describe(error)}): repair them, and start again") from error
    return unpack_group(answer)
