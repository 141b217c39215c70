"""The tables of ``battery.py``: honest rates and detections of every attack alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.statistics.intervals import clopper_pearson
from fixtures.methods.registry import HONEST

from .bars import count_row
from .cells import ALPHA
from .kept import Kept


@dataclass(frozen=True)
class Row:
    """One attack.

    Attributes:
        attack, family: its name, and the test that it was put to.
        worlds: in which it said something.
        honest: honest retrains that it accused at .05; ``bar`` the most that chance explains.
        original: originals that it saw.
        seen: by method, how many of how many it saw, and how many of these below what honest retrains show.
        skipped: why it said nothing in some worlds.
    """

    attack: str
    family: str
    worlds: int
    honest: int
    bar: int
    original: int
    seen: dict[str, tuple[int, int, int]]
    skipped: str

    @property
    def ok(self) -> bool:
        """Honest retrains are not accused more often than by chance."""
        return self.honest <= self.bar


def rows(found: Kept) -> list[Row]:
    """One row for each attack."""
    names = list(next(iter(found.worlds.values()), {}))
    return [_row(name, [world[name] for world in found.worlds.values()], len(names)) for name in names]


def _row(name: str, cells: Sequence[dict], gated: int) -> Row:  # type: ignore[type-arg]
    tested = [cell for cell in cells if "p" in cell]
    skipped = next((cell["skipped"] for cell in cells if "skipped" in cell), "")
    honest = sum(cell["p"][HONEST] <= ALPHA for cell in tested)
    methods = dict.fromkeys(m for cell in tested for m in cell["p"] if m not in (HONEST, "original"))
    seen = {}
    for method in methods:
        asked = [cell for cell in tested if method in cell["p"]]
        found = [cell for cell in asked if cell["p"][method] <= ALPHA]
        seen[method] = (len(found), len(asked), sum(method in cell["below"] for cell in found))
    bar = count_row(len(tested), honest, ALPHA, "at most", gated)["bar"] if tested else 0
    original = sum(cell["p"]["original"] <= ALPHA for cell in tested)
    family = tested[0]["family"] if tested else "-"
    return Row(name, family, len(tested), honest, bar, original, seen, skipped)


def table(found: Sequence[Row]) -> str:
    """Honest rates, then what each attack sees."""
    lines = [
        "| attack | test | worlds | honest accused (95 % interval) | bar | original seen |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        if not row.worlds:
            lines.append(f"| {row.attack} | - | 0 | {row.skipped} | | |")
            continue
        low, high = clopper_pearson(row.honest, row.worlds, 0.95)
        flag = "" if row.ok else " **beyond**"
        lines.append(
            f"| {row.attack} | {row.family} | {row.worlds} | {row.honest} ({low:.3f} to {high:.3f}){flag} | {row.bar} "
            f"| {row.original} of {row.worlds} |"
        )
    methods = list(dict.fromkeys(method for row in found for method in row.seen))
    if methods:
        lines += ["", f"| attack | {' | '.join(methods)} |", f"|---|{'---|' * len(methods)}"]
        for row in found:
            if row.seen:
                counts = (row.seen.get(method) for method in methods)
                lines.append(f"| {row.attack} | {' | '.join('-' if c is None else _seen(*c) for c in counts)} |")
    return "\n".join(lines)


def _seen(found: int, asked: int, below: int) -> str:
    """Such as ``5/5 ↓4``: seen in five of five worlds, in four of them as over-forgotten."""
    return f"{found}/{asked}" + (f" ↓{below}" if below else "")
