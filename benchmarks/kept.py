"""Worlds that are measured one by one, in any order and in several processes, each kept as soon as it is there."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .page import BEGIN, END

Job = tuple[str, tuple[Any, ...]]  # name of a world, and what its function is given


@dataclass
class Kept:
    """Settings and measured worlds in one JSON file.

    Attributes:
        path: the file.
        settings: what decides the figures, the code's digest included.
        worlds: what was measured, by the name of the world.
    """

    path: Path
    settings: dict[str, Any]
    worlds: dict[str, Any] = field(default_factory=dict)

    def measure(self, jobs: Sequence[Job], function: Callable[..., Any], processes: int) -> None:
        """Measure the worlds that are missing; every finished one is written at once."""
        started = time.monotonic()
        for name, found in _results([job for job in jobs if job[0] not in self.worlds], function, processes):
            self.worlds[name] = found
            self.write()
            done, seconds = len(self.worlds), time.monotonic() - started
            print(f"{name}: {done} of {len(jobs)} worlds, {seconds:.0f} s", flush=True)

    def write(self) -> None:
        """Replace the file in one step."""
        document = {"settings": self.settings, "worlds": self.worlds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)


def arguments(parser: argparse.ArgumentParser, output: str) -> argparse.Namespace:
    """The command line of a benchmark that keeps its worlds: its own arguments and those that all have."""
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--policy", default="standard")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--output", type=Path, default=Path(output), help="JSON, also to go on from")
    parser.add_argument("--page", type=Path, help="Markdown page whose marked block is replaced")
    parser.add_argument("--fresh", action="store_true", help="discard what --output holds")
    return parser.parse_args()


def read(path: Path, settings: dict[str, Any]) -> Kept:
    """What ``path`` holds where it has these settings, nothing where there is no file.

    Raises:
        ValueError: the file holds a run with other settings or other code.
    """
    if not path.exists():
        return Kept(path, settings)
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] != settings:
        raise ValueError(f"{path} holds a run of other code or settings: name another --output, or add --fresh")
    return Kept(path, settings, found["worlds"])


def begun(arguments: argparse.Namespace, settings: dict[str, Any]) -> Kept:
    """What ``--output`` holds, nothing with ``--fresh``; the program ends where it is another run's."""
    if arguments.fresh:
        arguments.output.unlink(missing_ok=True)
    try:
        return read(arguments.output, settings)
    except ValueError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def _results(jobs: Sequence[Job], function: Callable[..., Any], processes: int) -> Iterator[tuple[str, Any]]:
    if processes == 1 or len(jobs) < 2:
        for name, arguments in jobs:
            yield name, function(*arguments)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        futures = {executor.submit(function, *arguments): name for name, arguments in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


def replace_block(page: Path, text: str) -> None:
    """Put ``text`` between the marks of a Markdown page.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} needs the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
