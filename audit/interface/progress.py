"""Progress on standard error: a bar on a terminal, a line an attack elsewhere. It names what is running.

No time left is shown: the units of an audit take from milliseconds to minutes, and an estimate would be none.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from audit.collect.events import Event, Notify

if TYPE_CHECKING:
    from audit.training.session import Progress

_COLUMNS = (
    TextColumn("{task.description}", markup=False),
    BarColumn(),
    TextColumn("{task.completed}/{task.total}"),
    TimeElapsedColumn(),
)


@contextmanager
def progress(console: Console, quiet: bool) -> Iterator[Notify]:
    """Yield a callback for engine events."""
    if quiet:
        yield lambda _event: None
    elif _shows_bars(console):
        with Bars(*_COLUMNS, console=console, transient=True) as bars:
            tasks = {}

            def draw(event: Event) -> None:
                if event.kind not in tasks:
                    tasks[event.kind] = bars.add_task("", total=event.total)
                bars.update(tasks[event.kind], completed=event.done, description=_named(event))

            yield draw
    else:
        yield _Lines()


@contextmanager
def training_progress(console: Console, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a callback for trained models: a bar on a terminal, a line at every tenth elsewhere."""
    if quiet:
        yield lambda _progress: None
    elif _shows_bars(console):
        with Bars(*_COLUMNS, console=console, transient=True) as bars:
            task = bars.add_task("training", total=None)

            def move(progress: Progress) -> None:
                said = f"{progress.name} {'failed' if progress.failed else 'trained'}"
                bars.update(task, completed=progress.done, total=progress.total, description=said)

            yield move
    else:

        def line(progress: Progress) -> None:
            if progress.done == progress.total or progress.done % max(progress.total // 10, 1) == 0:
                print(f"training: {progress.done} of {progress.total} models", file=sys.stderr, flush=True)  # noqa: T201

        yield line


@contextmanager
def both(wanted: Callable[[Event | Progress], None] | Literal["auto", "off"]) -> Iterator[Callable[..., None]]:
    """Yield one callback for trained models and work units alike.

    Args:
        wanted: a callback of the caller's; ``auto``: a bar on a terminal or in a notebook, elsewhere nothing.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if callable(wanted):
        yield wanted
    elif wanted == "off" or not _shows_bars(console):
        yield lambda _event: None
    else:
        with progress(console, quiet=False) as units, training_progress(console, quiet=False) as models:
            yield lambda event: units(event) if isinstance(event, Event) else models(event)


def _shows_bars(console: Console) -> bool:
    """On a terminal, and in a notebook that has the widgets that bars are made of."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal and not os.environ.get("CI")


def _named(event: Event) -> str:
    """What is running, and on how many rows."""
    rows = f" ({event.rows} rows)" if event.rows else ""
    workers = f", {event.workers} workers" if event.workers else ""
    return f"{event.name} on {event.model}{rows}{workers}"


class _Lines:
    """A line when an attack begins and one when it has ended, with how much of the whole is done."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.current = ""
        self.seconds = 0.0

    def __call__(self, event: Event) -> None:
        if event.kind != "attack":
            if event.status != "running":
                self._say(f"{_named(event)}: {event.done} of {event.total}")
            return
        if event.name != self.current:
            self.current, self.seconds = event.name, 0.0
            self._say(f"{event.name}: running on {event.models} models")
        if event.status == "running":
            return
        self.seconds += event.seconds
        self.counts[event.name] = self.counts.get(event.name, 0) + 1
        ended = event.status in ("skipped", "error")
        if not ended and event.done % event.models != 0:
            return
        share = f"{event.done} of {event.total} units done"
        workers = f", {event.workers} workers" if event.workers else ""
        took = f"{self.counts[event.name]} models in {self.seconds:.1f} s"
        self._say(f"{event.name}: {event.status} on {took}, {share}{workers}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this module is the terminal's
