"""Models made in stacked groups, in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from attacks.memory import give_back, is_out_of_memory
from audit.engine.crew import Crew
from audit.engine.wire import state_bytes
from audit.inputs.contained import Meddling, contained
from audit.inputs.usercode import describe

from .by_units import Work, run_units
from .descent import Batches
from .jobs import Steps, steps_of
from .problems import TrainingError, diverged, out_of_memory
from .session import Session, Task
from .single import first_bad
from .stacked import Stack, group_limit, streams_of


def run_groups(work: Work, session: Session, crew: Crew, tasks: Sequence[Task], seconds: float | None) -> None:
    """Train in stacked groups in this process; what is to be unlearned goes to the crew after each group.

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
    batches = Batches(work.pool, work.recipe.augmentation, work.device) if by_steps else None
    for steps, alike in by_steps.items():
        assert batches is not None
        size = group_limit(work.recipe, work.arch, batches, alike[0].job, steps)
        size = math.ceil(len(alike) / math.ceil(len(alike) / size))
        todo = list(alike)
        while todo and not session.expired():
            if session.deadline is not None and seconds:
                size = max(1, min(size, int((session.deadline - time.monotonic()) / seconds)))
            group, todo = [task for task in todo[:size] if session.claim(task)], todo[size:]
            if group and not _train_group(work, session, batches, group, steps):
                size, todo = max(1, len(group) // 2), group + todo
                give_back()
            else:
                _unlearn(work, session, crew, later)
    for task in session.left(later):
        if task.base is not None and session.postponed(task.base):
            session.postpone(task)


def _unlearn(work: Work, session: Session, crew: Crew, later: Sequence[Task]) -> None:
    run_units(work, session, crew, [t for t in session.left(later) if t.base is not None and session.settled(t.base)])


def _train_group(work: Work, session: Session, batches: Batches, group: Sequence[Task], steps: Steps) -> bool:
    """Train a group and keep its models; False where it is to be tried again in halves, for want of memory."""
    start = time.perf_counter()
    jobs = [task.job for task in group]
    try:
        stack = Stack(work.arch, [job.seed for job in jobs], work.device)
        with contained("the network of --arch"):
            result = stack.train(work.recipe, batches, streams_of(jobs, steps, batches.ways), steps)
    except TrainingError:
        raise
    except Meddling as error:
        raise TrainingError(str(error)) from error
    except (Exception, SystemExit) as error:  # the user's network may raise anything
        if not is_out_of_memory(error):
            raise TrainingError(
                f'[recipe] engine = "vectorised" cannot train this network ({describe(error)}): use engine = "pool"'
            ) from error
        if len(group) == 1:
            session.fail(group[0], f"{jobs[0].name}: {out_of_memory(work.recipe)}")
        return len(group) == 1
    seconds = round((time.perf_counter() - start) / len(group), 3)
    for task, module, loss, step in zip(group, stack.networks(), result.loss, result.diverged, strict=True):
        if step or first_bad(module):
            message = diverged(work.recipe, int(step) or steps.count, steps.count)
            session.fail(task, f"{task.job.name}: {message}")
        else:
            session.keep(task, state_bytes(module), {"loss": float(loss), "steps": steps.count, "seconds": seconds})
    return True
