"""Text tables, ``.csv`` and ``.tsv``, with a header; every cell is text or a number and nothing else."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from audit.inputs.columns import NAMES, Table
from audit.inputs.naming import shown
from audit.inputs.options import DataOptions
from audit.inputs.raw import Raw
from audit.inputs.spool import text_array
from audit.record.readonce import opened

Array = np.ndarray[Any, Any]
ROWS = 2**14  # rows at once; our choice
DELIMITERS = ",;\t"


def read_delimited(path: Path, options: DataOptions) -> Raw:
    """A table, a block of rows at a time; the delimiter is that which the header holds most of.

    Raises:
        ValueError: with the remedy.
    """
    with _text_of(path) as (text, size):
        return _read(text, options, path, size)


def first_columns(path: Path) -> dict[str, Array]:
    """The first rows of every column: numbers where all cells are, else text. Raises ValueError as the reader does."""
    with _text_of(path) as (text, _):
        names, delimiter = _header(text, path)
        block = next(_blocks(csv.reader(text, delimiter=delimiter), len(names), path), [])
        return {name: _column(block, place, name, False, path, 2) for place, name in enumerate(names)}


@contextmanager
def _text_of(path: Path) -> Iterator[tuple[io.TextIOWrapper, int]]:
    """A file as text, and its size; whatever goes wrong is a ValueError with the remedy."""
    try:
        with opened(path) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            try:
                yield text, size
            finally:
                text.detach()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): give a readable file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"{path} is no readable table ({error}): save it again") from None


def _header(text: io.TextIOWrapper, path: Path) -> tuple[list[str], str]:
    """Names of the columns, and the delimiter."""
    first = text.readline(2**20)
    if not first.strip():
        raise ValueError(f"{path} is empty: give a header and at least one row")
    delimiter = max(DELIMITERS, key=first.count)
    (header,) = csv.reader([first], delimiter=delimiter)
    return [name.strip() for name in header], delimiter


def _read(text: io.TextIOWrapper, options: DataOptions, path: Path, size: int) -> Raw:
    names, delimiter = _header(text, path)
    table = Table(names, options, str(path), size)
    texts = {table.label, *table.names, *options.categories}
    places = {name: names.index(name) for name in table.wanted}
    line = 2
    for block in _blocks(csv.reader(text, delimiter=delimiter), len(names), path):
        table.add({name: _column(block, place, name, name in texts, path, line) for name, place in places.items()})
        line += len(block)
    found = table.raw()
    for name in NAMES:  # numbers where all of them are
        if name in found.arrays:
            found.arrays[name] = _numbers(found.arrays[name])
    return found


def _blocks(rows: Iterator[list[str]], columns: int, path: Path) -> Iterator[list[list[str]]]:
    filled = (row for row in rows if row)
    start = 1
    while block := list(itertools.islice(filled, ROWS)):
        odd = next((i for i, row in enumerate(block) if len(row) != columns), None)
        if odd is not None:
            raise ValueError(
                f"{path}: row {start + odd} has {len(block[odd])} cells, the header names {columns}: repair it"
            )
        start += len(block)
        yield block


def _column(block: list[list[str]], place: int, name: str, text: bool, path: Path, line: int) -> Array:
    cells = text_array([row[place].strip() for row in block], f"{path}: the column {shown(name)}")
    if (cells == "").any():
        first = line + int(np.argmax(cells == ""))
        raise ValueError(f"{path}: the column {shown(name)} has empty cells (line {first}): fill them or drop the rows")
    if text:
        return cells
    try:
        return cells.astype(np.float64)
    except ValueError:
        return cells


def _numbers(values: Array) -> Array:
    try:
        return values.astype(np.int64)
    except (ValueError, OverflowError):
        return values
