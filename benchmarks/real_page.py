"""Counts of the verdicts on real data, and the block of ``docs/real-data.md``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from audit.statistics.intervals import clopper_pearson

from .cells import ALPHA
from .designs import MISMATCH
from .kept import Kept
from .real_data import SETS

BAR = 0.999  #: an honest row's bar is this point of a binomial count
SHOWN = 3  #: findings named for each cell
VERDICTS = ("FAIL", "INCONCLUSIVE", "PASS")
RATES = {"honest": ALPHA, "varied": MISMATCH}  #: of the bars; the others have none
WORDS = {
    "honest": "Honest retrains, exchangeable with the references: FAIL is the error, PASS is right",
    "varied": "Honest retrains of another recipe, the eight of them pooled: FAIL is the error",
    "original": "The original itself, nothing unlearned: FAIL is right",
    "fine-tuned": "Fine-tuned on the retain set for 3 epochs: FAIL is right",
    "random labels": "3 epochs with random labels on the forget set: FAIL is right",
}


@dataclass(frozen=True)
class Row:
    """One cell: the audits of one model, one a world.

    Attributes:
        data, model, n, references, access: what was audited, and how.
        counts: number of FAIL, INCONCLUSIVE and PASS.
        bar: most FAIL that chance explains; None for models that are not honest.
        by: how often each finding decided a FAIL.
        lacking: how often each figure, gate or reason kept an INCONCLUSIVE from a PASS.
    """

    data: str
    model: str
    n: int
    references: int
    access: str
    counts: tuple[int, int, int]
    bar: int | None
    by: tuple[tuple[str, int], ...]
    lacking: tuple[tuple[str, int], ...]

    @property
    def worlds(self) -> int:
        """How many."""
        return sum(self.counts)

    @property
    def ok(self) -> bool:
        """No more FAIL than chance explains."""
        return self.bar is None or self.counts[0] <= self.bar


def count(record: Kept) -> list[Row]:
    """All cells in the order of the plan."""
    cells: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for name, world in record.worlds.items():
        for key, said in world["audits"].items():
            cells[name.partition("/")[0], key].append(said)
    return [_row(data, key, cells[data, key]) for data in SETS for of, key in cells if of == data]


def _row(data: str, key: str, said: Sequence[dict[str, Any]]) -> Row:
    model, n, references, access = key.split(", ")
    counts = Counter(item["verdict"] for item in said)
    by, lacking = (
        tuple(Counter(name for item in said if item["verdict"] == verdict for name in item["by"]).most_common(SHOWN))
        for verdict in VERDICTS[:2]
    )
    bar = int(stats.binom.ppf(BAR, len(said), RATES[model])) if model in RATES else None
    fails, unsure, passes = (counts[name] for name in VERDICTS)
    sizes = int(n.removeprefix("n=")), int(references.removeprefix("K="))
    return Row(data, model, *sizes, access, (fails, unsure, passes), bar, by, lacking)


def markdown(record: Kept, rows: Sequence[Row]) -> str:
    """The block of the page."""
    settings = record.settings
    beyond = [row for row in rows if not row.ok]
    lines = [
        f"Policy `{settings['policy']}` with {settings['permutations']} permutations, attacks "
        f"{', '.join(settings['attacks'])}; seed {settings['seed']}, code `{settings['code'][:16]}`. Cells of honest "
        f"models beyond their bar: {len(beyond)} of {sum(row.bar is not None for row in rows)}.",
        "",
        *_worlds(record),
    ]
    for model, words in WORDS.items():
        chosen = [row for row in rows if row.model == model]
        if chosen:
            lines += ["", f"### {words}", "", *_table(chosen)]
    if any(row.model == "varied" for row in rows):
        lines += ["", "### Each recipe", "", *_recipes(record)]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    heads = [
        "data",
        "n",
        "K",
        "access",
        "worlds",
        "FAIL / INC / PASS",
        "FAIL rate",
        "bar",
        "PASS rate",
        "FAIL by",
        "INC for",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        bar = "" if row.bar is None else f"at most {row.bar}, {'ok' if row.ok else 'BEYOND'}"
        counts = " / ".join(map(str, row.counts))
        by, lacking = (", ".join(f"{name} {times}" for name, times in part) for part in (row.by, row.lacking))
        rates = [_rate(row.counts[at], row.worlds) for at in (0, 2)]
        parts = [row.data, row.n, row.references, row.access, row.worlds, counts, rates[0], bar, rates[1], by, lacking]
        lines.append("| " + " | ".join(map(str, parts)) + " |")
    return lines


def _rate(times: int, of: int) -> str:
    """A rate with its 95 % Clopper-Pearson interval."""
    low, high = clopper_pearson(times, of, 0.95)
    return f"{times / of:.3f} ({low:.3f} to {high:.3f})"


def _recipes(record: Kept) -> list[str]:
    """FAIL of each honest variation over all its worlds, by data set and access; the first world's size and K."""
    found: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for name, world in record.worlds.items():
        for key, said in world["audits"].items():
            model, n, _, access = key.split(", ")
            if model == "varied":
                found[world["variation"], name.partition("/")[0], f"{n}, {access}"][said["verdict"]] += 1
    columns = sorted({(data, cell) for _, data, cell in found})
    heads = ["recipe", *(f"{data}, {cell}" for data, cell in columns)]
    lines = ["FAIL / INCONCLUSIVE / PASS.", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for recipe in dict.fromkeys(name for name, _, _ in found):
        parts = [" / ".join(str(found[recipe, *column][v]) for v in VERDICTS) for column in columns]
        lines.append("| " + " | ".join([recipe, *parts]) + " |")
    return lines


def _worlds(record: Kept) -> list[str]:
    heads = [
        "data",
        "what",
        "worlds",
        "accuracy on retain and test, original",
        "the same, honest",
        "s of one core a world",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, data in SETS.items():
        worlds = [world for key, world in record.worlds.items() if key.startswith(f"{name}/")]
        if not worlds:
            continue
        means = [
            " and ".join(f"{sum(w['accuracy'][model][at] for w in worlds) / len(worlds):.2f}" for at in (0, 1))
            for model in ("original", "honest")
        ]
        parts = {part: sum(world["seconds"][part] for world in worlds) / len(worlds) for part in worlds[0]["seconds"]}
        seconds = f"{sum(parts.values()):.0f}: " + ", ".join(f"{part} {value:.1f}" for part, value in parts.items())
        lines.append("| " + " | ".join([name, data.words, str(len(worlds)), *means, seconds]) + " |")
    return lines
