"""Measured error rates of the verdict: thousands of small networks, one audit of every kind in each fresh world.

A world is a fresh 10-class problem with 8 % wrong labels, a fresh split and freshly trained networks: the original,
K honest retrains as references, and the models to audit. Each audit goes through the attacks' own ``observe`` and
``score`` and through ``judge`` with a built-in policy; only files, plan and report are left out. The structural
finding is off: the statistics stand alone. What is measured stands in ``designs.py`` and ``coverage.py``.

Run ``python -m benchmarks.calibration`` (all of it) or with ``--short`` (about a minute). Prints the tables, writes
JSON after every chunk (the same command goes on where it was stopped) and, with ``--page``, the block of a Markdown
page. The exit code is 1 where a gated cell is beyond its bar and was so again at four times the size.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

from audit.policy.policy import Policy, load_policy

from . import page, state
from .cells import Pool
from .coverage import Interval, intervals
from .designs import pools
from .measure import Tally, chunks, merge, run_chunk

PERMUTATIONS = 499  #: of D2; its level is exact at any number
DRAWS, SHORT_DRAWS = 2000, 200  #: of each interval


class Run:
    """One run of the plan into one file.

    Args:
        plan: the pools.
        record: what is there already.
        path: the JSON file.
        policy: judges.
        jobs: processes.
    """

    def __init__(self, plan: list[Pool], record: state.Record, path: Path, policy: Policy, jobs: int) -> None:
        self.plan, self.record, self.path, self.policy, self.jobs = plan, record, path, policy, jobs
        self.intervals: list[Interval] = intervals()
        self.seed, self.draws = int(record.settings["seed"]), int(record.settings["draws"])

    def cells(self) -> list[dict[str, Any]]:
        """All finished cells."""
        return state.cells(self.record, self.plan, self.intervals)

    def everything(self) -> list[dict[str, Any]]:
        """Measure what is missing; then what was beyond its bar again, four times as often."""
        self.cover(self.intervals, self.draws, "")
        for pool in self.plan:
            self.measure(pool)
        failed = [cell for cell in self.cells() if not cell["ok"]]
        names = {cell["name"] for cell in failed if cell["table"] == "C7"}
        self.cover([i for i in self.intervals if i.name in names], state.TIMES * self.draws, state.AGAIN)
        for pool in self.plan:
            beyond = {(c["table"], c["name"]) for c in failed if c["pool"] == pool.name}
            again = [cell for cell in pool.cells if (cell.table, cell.name) in beyond]
            if again:
                self.measure(state.second(pool, again))
        return self.cells()

    def cover(self, chosen: list[Interval], draws: int, suffix: str) -> None:
        """Draw the intervals that were not drawn yet."""
        for interval in chosen:
            name = interval.name + suffix
            if name not in self.record.intervals:
                misses = interval.count(draws, self.seed + len(suffix))
                self.record.intervals[name] = {"draws": draws, "misses": misses}
        if chosen:
            self.write()
            print(f"{len(chosen)} intervals, {draws} draws each", flush=True)

    def measure(self, pool: Pool) -> None:
        """Run the missing chunks of a pool; every finished one is written at once."""
        sizes = chunks(pool.worlds)
        missing = [i for i in range(len(sizes)) if i not in self.record.done.get(pool.name, [])]
        started = time.monotonic()
        for index, tally in self._tallies(pool, sizes, missing):
            self.record.pools[pool.name] = merge(self.record.pools.get(pool.name, {}), tally)
            self.record.done.setdefault(pool.name, []).append(index)
            self.write()
            worlds, seconds = self.record.pools[pool.name]["worlds"], time.monotonic() - started
            print(f"{pool.name}: {worlds} of {pool.worlds} worlds, {seconds:.0f} s", flush=True)

    def _tallies(self, pool: Pool, sizes: list[int], missing: list[int]) -> Iterator[tuple[int, Tally]]:
        if self.jobs == 1 or len(missing) < 2:
            for index in missing:
                yield index, run_chunk(pool, index, sizes[index], self.policy, self.seed)
            return
        with ProcessPoolExecutor(self.jobs, mp_context=get_context("spawn")) as executor:
            futures = {
                executor.submit(run_chunk, pool, index, sizes[index], self.policy, self.seed): index
                for index in missing
            }
            for future in as_completed(futures):
                yield futures[future], future.result()

    def write(self) -> None:
        """Keep what is there."""
        self.record.write(self.path, self.cells())


def planned(*, short: bool, worlds: int | None, only: list[str] | None) -> list[Pool]:
    """The pools of this form of the benchmark with their sizes."""
    plan = [replace(pool, worlds=pool.short) for pool in pools() if pool.short] if short else pools()
    if worlds is not None:
        plan = [replace(pool, worlds=min(worlds, pool.worlds)) for pool in plan]
    unknown = set(only or ()) - {pool.name for pool in plan}
    if unknown:
        raise SystemExit(f"no such pool: {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in plan)}")
    return [pool for pool in plan if only is None or pool.name in only]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="few worlds of few designs: about a minute")
    parser.add_argument("--worlds", type=int, help="at most so many worlds a pool")
    parser.add_argument("--only", nargs="+", metavar="POOL", help="these pools alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--policy", default="standard")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--output", type=Path, default=Path("calibration.json"), help="JSON, also to go on from")
    parser.add_argument("--page", type=Path, help="Markdown page whose marked block is replaced")
    parser.add_argument("--before", type=Path, help="JSON of an earlier run on the same worlds, shown beside it")
    parser.add_argument("--fresh", action="store_true", help="discard what --output holds")
    return parser.parse_args()


def main() -> int:
    """Measure, print, write."""
    arguments = parse()
    policy = load_policy(arguments.policy)[0].model_copy(update={"permutations": PERMUTATIONS})
    plan = planned(short=arguments.short, worlds=arguments.worlds, only=arguments.only)
    draws = SHORT_DRAWS if arguments.short or arguments.worlds else DRAWS
    settings = {
        "form": "short" if arguments.short else "full",
        "seed": arguments.seed,
        "policy": f"{policy.name}, version {policy.version}",
    }
    settings |= {"permutations": PERMUTATIONS, "draws": draws, "code": state.code_digest()}
    settings |= {"pools": {pool.name: pool.worlds for pool in plan}}
    if arguments.fresh:
        arguments.output.unlink(missing_ok=True)
    try:
        record = state.read(arguments.output, settings)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    cells = Run(plan, record, arguments.output, policy, arguments.jobs).everything()
    print(page.text(cells))
    if arguments.page is not None:
        page.replace_block(arguments.page, arguments.output, arguments.before)
    beyond = [cell for cell in cells if not cell["ok"] and not (cell["again"] or {"ok": False})["ok"]]
    print(f"{len(cells)} cells, {len(beyond)} beyond their bar twice")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
