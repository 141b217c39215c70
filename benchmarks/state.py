"""The record of a run: raw tallies, kept on disk after every chunk so that a killed run goes on, and the cells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import bars
from .cells import Cell, Pool
from .coverage import Interval
from .measure import Tally

ROOT = Path(__file__).parent.parent
AGAIN = " again"  #: suffix of the pools that are run a second time
TIMES = 4  #: as many worlds the second time
MINE = ("worlds", "methods", "planted", "audits", "cells", "designs", "measure", "coverage")


def code_digest(modules: Sequence[str] = MINE, *folders: str) -> str:
    """SHA-256 over the sources and policies that decide the figures.

    Args:
        modules: of this package.
        folders: beside the attacks and the audit; single files as well.
    """
    digest = hashlib.sha256()
    mine = [Path(__file__).with_name(f"{name}.py") for name in modules]
    theirs = [path for name in ("attacks", "audit", *folders) for path in [ROOT / name, *(ROOT / name).rglob("*.*")]]
    for path in sorted([*mine, *(path for path in theirs if path.suffix in (".py", ".toml"))]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@dataclass
class Record:
    """Settings, tallies of the pools, draws of the intervals."""

    settings: dict[str, Any]
    pools: dict[str, Tally] = field(default_factory=dict)
    done: dict[str, list[int]] = field(default_factory=dict)  #: finished chunks of each pool
    intervals: dict[str, dict[str, int]] = field(default_factory=dict)  #: name -> draws, misses

    def write(self, path: Path, cells: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file in one step."""
        document = {**vars(self), "cells": list(cells)}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)


def read(path: Path, settings: dict[str, Any]) -> Record:
    """The record in ``path`` where it has these settings, else a new one where there is no file.

    Raises:
        ValueError: the file holds a run with other settings or other code.
    """
    if not path.exists():
        return Record(settings)
    found = json.loads(path.read_text(encoding="utf-8"))
    found.pop("cells")
    record = Record(**found)
    if record.settings != settings:
        raise ValueError(f"{path} holds a run of other code or settings: name another --output, or add --fresh")
    return record


def second(pool: Pool, failed: Iterable[Cell]) -> Pool:
    """The failed cells of a pool alone, four times the worlds, fresh seeds."""
    words = f"{pool.words}, again"
    return replace(pool, name=pool.name + AGAIN, words=words, cells=tuple(failed), worlds=TIMES * pool.worlds)


def pool_rows(record: Record, plan: Iterable[Pool], gated: Mapping[str, int]) -> list[tuple[Pool, Cell, bars.Row]]:
    """The cells of every pool that is measured in full, with their counts against their bars."""
    rows = []
    for pool in plan:
        tally = record.pools.get(pool.name)
        if tally is None or tally["worlds"] < pool.worlds:
            continue
        rows += [(pool, cell, _row(cell, tally, gated[cell.table])) for cell in pool.cells]
    return rows


def _row(cell: Cell, tally: Tally, gated: int) -> bars.Row:
    audit = tally["audits"][cell.audit.key]
    if cell.bound == "p-value":
        return bars.uniform_row(audit["p"].get(cell.event, []), gated)
    row = bars.count_row(tally["worlds"], int(audit["events"].get(cell.event, 0)), cell.nominal, cell.bound, gated)
    row["verdicts"] = {name: int(audit["events"].get(name, 0)) for name in ("FAIL", "INCONCLUSIVE", "PASS")}
    return row


def cells(record: Record, plan: Iterable[Pool], intervals: Iterable[Interval]) -> list[dict[str, Any]]:
    """Every finished cell as it stands in the JSON and on the page, with its second measurement where there is one."""
    plan, intervals = list(plan), list(intervals)
    gated = bars.gated_cells((cell.table, cell.bound) for pool in plan for cell in pool.cells)
    found = []
    for pool, cell, row in pool_rows(record, plan, gated):
        again = record.pools.get(pool.name + AGAIN)
        shown: dict[str, Any] = {"table": cell.table, "name": cell.name, "event": cell.event, "bound": cell.bound}
        shown |= {"nominal": cell.nominal, "pool": pool.name, **row, "again": None}
        if not row["ok"] and again is not None and again["worlds"] >= TIMES * pool.worlds:
            shown["again"] = _row(cell, again, gated[cell.table])
        found.append(shown)
    for interval in intervals:
        names = (interval.name, interval.name + AGAIN)
        counted = [record.intervals[name] for name in names if name in record.intervals]
        made = [bars.count_row(c["draws"], c["misses"], interval.nominal, "at most", len(intervals)) for c in counted]
        if made:
            shown = {"table": "C7", "name": interval.name, "event": "misses", "bound": "at most"}
            shown |= {"nominal": interval.nominal, "pool": "", **made[0], "again": made[1] if len(made) > 1 else None}
            found.append(shown)
    return found
