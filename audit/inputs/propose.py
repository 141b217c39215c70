"""A proposal for tables: the column of labels, the levels of columns of text, and the task. For `audit init`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .columns import INDEX, LABELS, NAMES
from .formats.delimited import first_columns as of_text
from .formats.npy import labels_beside, read_npy
from .formats.parquet import first_columns as of_parquet
from .naming import is_odd, listed
from .npz import read_npz
from .truths import likely_task

Array = np.ndarray[Any, Any]
TABLES = {".csv": of_text, ".tsv": of_text, ".parquet": of_parquet}
MOST_LABELS = MOST_LEVELS = 100  # our choice: a column of more different values is no label, and no category


@dataclass(frozen=True)
class Proposal:
    """What `audit init` writes of the data sets.

    Attributes:
        lines: of the ``[data]`` table.
        task: that the labels have a meaning for; "" where it is classification, or nothing is known.
    """

    lines: tuple[str, ...] = ()
    task: str = ""


def proposed(paths: Iterable[Path]) -> Proposal:
    """The label column and, where there is text, the categories of tables; the task of tables and arrays.

    Looks at the first rows of each table, and at the labels of arrays; what cannot be read proposes nothing.

    Args:
        paths: of the sets.
    """
    columns: dict[str, list[Array]] = {}
    tasks = set()
    for path in paths:
        try:
            read = TABLES.get(path.suffix.lower())
            for name, values in (read(path) if read else {}).items():
                columns.setdefault(name, []).append(values)
            tasks.add(_task_of_arrays(path))
        except ValueError:  # `audit run` and `audit inspect` say why
            continue
    found = {name: _distinct(parts) for name, parts in columns.items() if not INDEX.fullmatch(name)}
    if not found or any(map(is_odd, [*found, *(v for values in found.values() for v in values if isinstance(v, str))])):
        return Proposal((), _one(tasks))
    label, lines = _label(found)
    if label is not None:
        tasks |= {likely_task(part) for part in columns[label]}
    texts = {n: v for n, v in found.items() if n not in (label, *NAMES) and any(isinstance(value, str) for value in v)}
    lines += _categories(texts, [name for name in found if name not in (label, *NAMES)])
    return Proposal(tuple(lines), _one(tasks))


def _task_of_arrays(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        y = read_npz(path, only=("y",)).get("y")
        return "" if y is None else likely_task(y)
    return likely_task(read_npy(labels_beside(path))) if suffix == ".npy" else ""


def _one(tasks: set[str]) -> str:
    """The task of all sets: numbers in one are whole ones in another by chance, and flags one-hot."""
    return next((task for task in ("regression", "multilabel") if task in tasks), "")


def _distinct(parts: Iterable[Array]) -> list[str | float]:
    """Different values of a column, sorted; text where any of it is."""
    values = [np.unique(part) for part in parts]
    if any(part.dtype.kind in "US" for part in values):
        values = [part.astype(str) for part in values]
    found: list[str | float] = np.unique(np.concatenate(values)).tolist()
    return found


def _label(found: Mapping[str, list[str | float]]) -> tuple[str | None, list[str]]:
    known = [name for name in found if name.lower() in LABELS]
    if len(known) == 1:
        return known[0], [f"label = {_quoted(known[0])}"]
    few = [name for name, values in found.items() if 1 < len(values) <= MOST_LABELS and all(map(_whole, values))]
    likely = [name for name in known or few if name not in NAMES]
    numbers = [name for name, values in found.items() if name not in NAMES and all(map(_number, values))]
    if not likely and not numbers:
        return None, [f"# label = ...   # which column holds the labels? It is one of {listed(list(found))}"]
    name = (likely or numbers)[-1]
    said = f"the last column of few values ({len(found[name])})" if likely else "the last column of numbers"
    return name, [f"label = {_quoted(name)}   # a proposal: {said}; check it"]


def _number(value: str | float) -> bool:
    return not isinstance(value, str)


def _whole(value: str | float) -> bool:
    return isinstance(value, str) or float(value).is_integer()


def _categories(texts: Mapping[str, list[str | float]], inputs: list[str]) -> list[str]:
    lines: list[str] = []
    many = [name for name, values in texts.items() if len(values) > MOST_LEVELS]
    if many:
        kept = [name for name in inputs if name not in many]
        lines.append(f"inputs = {_quoted(kept)}   # left out, of very many texts: {listed(many)}")
    levels = {name: values for name, values in texts.items() if name not in many}
    if levels:
        lines += ["", "[data.categories]   # sorted, of the first rows: give them the order that they had in training"]
        lines += [f"{_quoted(name)} = {_quoted(values)}" for name, values in levels.items()]
    return lines


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
