"""A proposal for tables: which column holds the labels, and the levels of columns of text. For `audit init`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .columns import INDEX, LABELS, NAMES
from .formats.delimited import first_columns as of_text
from .formats.parquet import first_columns as of_parquet
from .naming import is_odd, listed

Array = np.ndarray[Any, Any]
TABLES = {".csv": of_text, ".tsv": of_text, ".parquet": of_parquet}
MOST_LABELS = MOST_LEVELS = 100  # our choice: a column of more different values is no label, and no category


def proposed(paths: Iterable[Path]) -> list[str]:
    """Lines of the ``[data]`` table: the label column and, where there is text, the categories.

    Looks at the first rows of each table; sets that are no tables, or that cannot be read, propose nothing.

    Args:
        paths: of the sets.
    """
    columns: dict[str, list[Array]] = {}
    for path in paths:
        try:
            read = TABLES.get(path.suffix.lower())
            for name, values in (read(path) if read else {}).items():
                columns.setdefault(name, []).append(values)
        except ValueError:  # `audit run` and `audit inspect` say why
            continue
    found = {name: _distinct(parts) for name, parts in columns.items() if not INDEX.fullmatch(name)}
    if not found or any(map(is_odd, [*found, *(v for values in found.values() for v in values if isinstance(v, str))])):
        return []
    label, lines = _label(found)
    texts = {n: v for n, v in found.items() if n not in (label, *NAMES) and any(isinstance(value, str) for value in v)}
    return [*lines, *_categories(texts, [name for name in found if name not in (label, *NAMES)])]


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
    if not likely:
        return None, [f"# label = ...   # which column holds the labels? It is one of {listed(list(found))}"]
    name = likely[-1]
    said = f"   # a proposal: the last column of few values ({len(found[name])}); check it"
    return name, [f"label = {_quoted(name)}{said}"]


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
