"""Progress on standard error: a bar with the time left on a terminal, one line per attack elsewhere."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from audit.collect.events import Event, Notify

if TYPE_CHECKING:
    from audit.training.session import Progress

_COLUMNS = (
    TextColumn("{task.description}", markup=False),
    BarColumn(),
    TextColumn("{task.completed}/{task.total}"),
    TimeRemainingColumn(),
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
                bars.update(tasks[event.kind], completed=event.done, description=f"{event.name} on {event.model}")

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


class _Lines:
    """One line per finished attack, with an estimate of the time left."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.counts: dict[str, int] = {}
        self.current = ""
        self.seconds = 0.0

    def __call__(self, event: Event) -> None:
        if event.kind != "attack":
            return
        if event.name != self.current:
            self.current, self.seconds = event.name, 0.0
        self.seconds += event.seconds
        self.counts[event.name] = self.counts.get(event.name, 0) + 1
        ended = event.status in ("skipped", "error")
        if not ended and event.done % event.models != 0:
            return
        left = (time.monotonic() - self.started) / max(event.done, 1) * (event.total - event.done)
        print(  # noqa: T201 - this module is the terminal's
            f"{event.name}: {event.status} on {self.counts[event.name]} models in {self.seconds:.1f} s, "
            f"about {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
