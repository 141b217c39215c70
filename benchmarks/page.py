"""The measured cells as text for a terminal and as the block of a Markdown page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NOTHING = "Not measured yet: `make bench-calibration` does it and fills this block."
TABLES = {
    "C1": ("False FAIL of honest models", "An honest retrain, exchangeable with the references. FAIL is the error."),
    "C2": (
        "Honest models from another pipeline",
        "Retrained honestly, but not like the references: a FAIL is still wrong, and the null is no longer exact.",
    ),
    "C3": (
        "Shifted forget sets",
        "Honest models. The forget rows are harder by half a standard deviation (*mild*: a quarter); beside that, each "
        "seed moves them by a draw of its own (in sd of a row between seeds). The shift check refuses D2 where it sees "
        "the shift. What it cannot promise is only shown: a split declared *attested* although it is shifted, which "
        "breaks the declaration, and a shift so mild that the check misses it.",
    ),
    "S": (
        "Data subjects",
        "Honest models. The rows of a subject share most of their inputs and their label. Declared: scores are "
        "averaged per subject. Not declared: the tool cannot know, and the rate is shown to say what that costs.",
    ),
    "C4": ("Power of the combined verdict", "Models that did not forget. FAIL is right."),
    "C5": ("Leaks exactly at the margin", "Planted in the scores of honest models. PASS is the error."),
    "C6": ("PASS of honest models", "By claim, size of the forget set and access. PASS is right."),
    "C7": ("Coverage of the intervals", "Drawn from known laws at the smallest sizes that are admitted."),
    "C8": (
        "p-values under the null",
        "One p-value in each world, of an honest model. One-sided Kolmogorov-Smirnov test against the uniform law.",
    ),
}
Cell = dict[str, Any]


def text(cells: Sequence[Cell]) -> str:
    """All tables for a terminal."""
    lines: list[str] = []
    for table, (title, _) in TABLES.items():
        rows = _rows([cell for cell in cells if cell["table"] == table])
        if rows:
            widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
            lines += ["", f"{table}  {title}"]
            for row in rows:
                padded = [
                    row[0].ljust(widths[0]),
                    *(part.rjust(w) for part, w in zip(row[1:], widths[1:], strict=True)),
                ]
                lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def markdown(document: dict[str, Any] | None, before: Path | None = None) -> str:
    """The block of the page; None = nothing was measured.

    Args:
        document: the figures.
        before: the figures of the policies' version before, for the same worlds; they stand beside the new ones.
    """
    if document is None:
        return NOTHING
    lines = _head(document)
    if before is not None and before.exists():
        old = {(cell["table"], cell["name"]): cell for cell in json.loads(before.read_text(encoding="utf-8"))["cells"]}
        document = {**document, "cells": [cell | _before(cell, old) for cell in document["cells"]]}
    for table, (title, words) in TABLES.items():
        rows = _rows([cell for cell in document["cells"] if cell["table"] == table])
        if rows:
            lines += ["", f"### {table}: {title}", "", words, "", *_table(rows)]
    return "\n".join([*lines, "", "### The worlds", "", *_table(_worlds(document["pools"]))])


def _before(cell: Cell, old: dict[tuple[str, str], Cell]) -> Cell:
    found = old.get((cell["table"], cell["name"]))
    return {"before": "" if found is None or "verdicts" not in found else _verdicts(found)}


def replace_block(page: Path, figures: Path, before: Path | None = None) -> None:
    """Write the block of ``page`` from the JSON ``figures``, beside those of ``before``."""
    content = page.read_text(encoding="utf-8")
    page.write_text(with_block(content, figures, before), encoding="utf-8")


def with_block(content: str, figures: Path, before: Path | None = None) -> str:
    """``content`` with its marked block replaced by what ``figures`` holds (or by a note where there is no file)."""
    head, _, rest = content.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    document = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else None
    return f"{head}{BEGIN}\n{markdown(document, before)}\n{END}{after}"


def _head(document: dict[str, Any]) -> list[str]:
    settings, cells = document["settings"], document["cells"]
    gated = [cell for cell in cells if cell["bound"] != "shown"]
    first = [cell for cell in gated if not cell["ok"]]
    twice = [cell for cell in first if not (cell["again"] or {"ok": False})["ok"]]
    worlds = sum(tally["worlds"] for tally in document["pools"].values())
    minutes = sum(sum(tally["seconds"].values()) for tally in document["pools"].values()) / 60
    return [
        f"{len(gated)} gated cells and {len(cells) - len(gated)} that are only shown, from {worlds} worlds in "
        f"{minutes:.0f} core minutes. Beyond their bar: {len(first)} at first, {len(twice)} again at four times the "
        "size.",
        "",
        f"Form `{settings['form']}`, policy `{settings['policy']}` with {settings['permutations']} permutations, seed "
        f"{settings['seed']}, code `{settings['code'][:16]}`.",
    ]


def _rows(cells: Sequence[Cell]) -> list[list[str]]:
    """Head and rows of one table; a second measurement follows the first."""
    if not cells:
        return []
    made = _uniform if cells[0]["table"] == "C8" else _coverage if cells[0]["table"] == "C7" else _counts
    head = {
        _uniform: ["", "n", "D", "p", "p <= .01", "<= .05", "<= .1", "<= .5", "bar of p", ""],
        _coverage: ["", "n", "misses", "rate", "95 % interval", "bar", ""],
        _counts: [
            "",
            "counted",
            "n",
            "count",
            "rate",
            "95 % interval",
            "bar",
            "",
            "FAIL / INC / PASS",
            "the same before",
        ],
    }[made]
    rows = [head]
    for cell in cells:
        rows.append([cell["name"], *made(cell, cell)])
        if cell["again"] is not None:
            rows.append([f"{cell['name']}: again", *made(cell, cell["again"])])
    return rows


def _uniform(cell: Cell, row: Cell) -> list[str]:  # noqa: ARG001
    below = [str(count) for count in row["below"].values()]
    return [str(row["n"]), f"{row['statistic']:.3f}", f"{row['p']:.3g}", *below, f"{row['bar']:.2g}", _held(row)]


def _coverage(cell: Cell, row: Cell) -> list[str]:
    return [str(row["n"]), str(row["count"]), *_rate(row), _bar(cell, row), _held(row)]


def _counts(cell: Cell, row: Cell) -> list[str]:
    held = "" if cell["bound"] == "shown" else _held(row)
    shown = [*_rate(row), _bar(cell, row), held, _verdicts(row), cell.get("before", "")]
    return [cell["event"], str(row["n"]), str(row["count"]), *shown]


def _verdicts(row: Cell) -> str:
    return " / ".join(str(row["verdicts"][name]) for name in ("FAIL", "INCONCLUSIVE", "PASS"))


def _rate(row: Cell) -> list[str]:
    return [f"{row['count'] / row['n']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"]


def _bar(cell: Cell, row: Cell) -> str:
    if row["bar"] is None:
        return ""
    return f"{cell['bound']} {row['bar']}"


def _held(row: Cell) -> str:
    return "ok" if row["ok"] else "BEYOND"


def _worlds(pools: dict[str, Any]) -> list[list[str]]:
    head = ["pool", "worlds", "accuracy on retain and test, original", "the same, retrained", "forget rows harder by"]
    rows = [[*head, "ms a world: training, attacks, verdicts"]]
    for name, tally in pools.items():
        n, measured = tally["worlds"], tally["measured"]
        accuracies = [
            " and ".join(f"{measured[f'{part} accuracy, {model}'] / n:.2f}" for part in ("retain", "test"))
            if f"test accuracy, {model}" in measured
            else ""
            for model in ("original", "retrained/0")
        ]
        harder = measured.get("forget rows harder by (sd)")
        seconds = ", ".join(f"{tally['seconds'][part] / n * 1000:.0f}" for part in ("training", "attacks", "verdicts"))
        rows.append([name, str(n), *accuracies, "" if harder is None else f"{harder / n:.2f} sd", seconds])
    return rows


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
