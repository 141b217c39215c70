"""The block of ``docs/cheats.md``: verdicts of each cheat at each access, and what saw it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .digits import REFERENCES
from .kept import Kept

VERDICTS = ("FAIL", "INCONCLUSIVE", "PASS", "REFUSED")
SHOWN = 3  #: findings named for each cell


def markdown(record: Kept) -> str:
    """All tables, one a kind of claim."""
    settings = record.settings
    lines = [
        f"Policy `{settings['policy']}`, seed {settings['seed']}, code `{settings['code'][:16]}`. "
        "*F / I / P*: number of worlds with a verdict of FAIL, INCONCLUSIVE, PASS; *R*: worlds whose inputs were "
        "refused. *By*: what decided the FAIL or INCONCLUSIVE most often, with the number of worlds.",
    ]
    for kind, references in REFERENCES.items():
        worlds = [found for name, found in record.worlds.items() if name.startswith(f"{kind}/")]
        if worlds:
            title = f"{kind.capitalize()} claims, {references} references"
            lines += ["", f"### {title}, {len(worlds)} worlds", "", _time(worlds), "", *_table(worlds)]
    return "\n".join(lines)


def _time(worlds: Sequence[dict[str, Any]]) -> str:
    seconds = sum(sum(found["seconds"].values()) for found in worlds) / len(worlds)
    return f"{seconds:.0f} s a world."


def _table(worlds: Sequence[dict[str, Any]]) -> list[str]:
    levels = list(next(iter(worlds[0]["cheats"].values()))["access"])
    heads = ["cheat", *(part for level in levels for part in (level, "by")), "accuracy forget / test"]
    rows = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name in worlds[0]["cheats"]:
        cells = [found["cheats"][name] for found in worlds]
        parts = [part for level in levels for part in _cell([cell["access"][level] for cell in cells])]
        means = " / ".join(f"{sum(cell[key] for cell in cells) / len(cells):.2f}" for key in ("forget", "test"))
        rows.append("| " + " | ".join([name, *parts, means]) + " |")
    return rows


def _cell(said: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Counts, and the findings that decided the most frequent verdict that is no PASS."""
    counts = Counter(item["verdict"] for item in said)
    shown = " / ".join(str(counts[name]) for name in VERDICTS[:3]) + (
        f", R {counts['REFUSED']}" * bool(counts["REFUSED"])
    )
    against = [name for name, _ in counts.most_common() if name != "PASS"]
    by = Counter(name for item in said if against and item["verdict"] == against[0] for name in item["by"])
    return shown, ", ".join(f"{name} {times}" for name, times in by.most_common(SHOWN))
