"""Tables: which columns are inputs, labels and names of rows, and how columns become arrays. Block by block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .archive import LARGE, RATIO
from .naming import listed, shown
from .options import DataOptions
from .raw import Raw
from .spool import Gathered

Array = np.ndarray[Any, Any]
LABELS = ("y", "label", "labels", "target", "class")
NAMES = ("ids", "group", "request")
INDEX = re.compile(r"(__index_level_\d+__|Unnamed: 0|)")  # how pandas names the column of a frame's own row names
MASK = "mask"  # an input whose name holds it says which positions of the others count


class Table:
    """Gathers the blocks of one table into the arrays of a data set.

    Args:
        names: of its columns, in order.
        options: the label column, the inputs, the levels of categorical columns.
        where: file or object, for messages.
        size: bytes of the source; a table that unpacks to far more is refused. None = it is in memory already.

    Raises:
        ValueError: columns are missing or cannot be told apart; with the remedy.
    """

    def __init__(self, names: Sequence[str], options: DataOptions, where: str, size: int | None = None) -> None:
        self.where, self.options, self.size = where, options, size
        twice = sorted({name for name in names if list(names).count(name) > 1})
        if twice:
            raise ValueError(f"{where} has columns of the same name ({listed(twice)}): rename them")
        self.label, self.said = self._label(names)
        self.names = [name for name in NAMES if name in names and name not in (self.label, *options.inputs)]
        row_names = [name for name in names if INDEX.fullmatch(name) and not options.inputs]
        if row_names:
            named = listed([name for name in row_names if name])
            self.said.append(f"the row names that pandas saved{f' ({named})' if named else ''} are no input")
        others = (self.label, *self.names, *row_names)
        self.inputs = list(options.inputs) or [name for name in names if name not in others]
        absent = [name for name in (*self.inputs, *options.categories) if name not in names]
        if absent:
            raise ValueError(f"{where} has no columns {listed(absent)}: it has {listed(list(names))}")
        if self.label in self.inputs:
            raise ValueError(f"{where}: {shown(self.label or '')} is the label and an input: take it out of inputs")
        if not self.inputs:
            raise ValueError(f"{where} has no column of inputs: it has {listed(list(names))}")
        self._parts: dict[str, Gathered] = {}
        self._ragged: dict[str, list[Array]] = {}
        self._bytes = 0

    def _label(self, names: Sequence[str]) -> tuple[str | None, list[str]]:
        if self.options.label is not None:
            if self.options.label not in names:
                raise ValueError(
                    f"{self.where} has no column {shown(self.options.label)}: name that of the labels with --label; it "
                    f"has {listed(list(names))}"
                )
            return self.options.label, []
        found = [name for name in names if name.lower() in LABELS and name not in self.options.inputs]
        if len(found) != 1:
            raise ValueError(
                f"{self.where}: which column holds the labels? Name it with --label; it has {listed(list(names))}"
            )
        return found[0], [f"labels stand in the column {shown(found[0])}"]

    @property
    def wanted(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys([*self.inputs, str(self.label), *self.names]))

    def add(self, columns: Mapping[str, Array]) -> None:
        """Take the next rows: an array (b,) or (b, ...) a column; rows of several lengths are an array of objects.

        Raises:
            ValueError: a column is no input as it is; with the remedy.
        """
        if not len(columns[str(self.label)]):
            return
        self._put("y", columns[str(self.label)])
        for name in self.names:
            self._put(name, columns[name])
        blocks = {name: self._encoded(name, columns[name]) for name in self.inputs}
        if all(block.ndim <= 2 and not self._is_list(name, columns[name]) for name, block in blocks.items()):
            kind = np.result_type(np.float32, *blocks.values())
            parts = [block.reshape(len(block), -1).astype(kind, copy=False) for block in blocks.values()]
            self._put("x", np.concatenate(parts, axis=1))
            return
        for name, block in blocks.items():
            key = "x" if len(blocks) == 1 else f"x.{name}"
            if block.dtype.kind == "O" or key in self._ragged or self._wider(key, block):
                self._add_ragged(key, block)
            else:
                self._put(key, block)

    def raw(self) -> Raw:
        """All rows.

        Raises:
            ValueError: there are none, or rows differ in length and no mask says what counts.
        """
        if not self._parts:
            raise ValueError(f"{self.where} is empty: give at least one row")
        arrays = {key: part.array() for key, part in self._parts.items()}
        if self._ragged and not any(MASK in key for key in (*self._ragged, *arrays)):
            raise ValueError(
                f"{self.where}: rows of {listed(list(self._ragged))} differ in length and no column is a mask: pad "
                "them alike, or add attention_mask (1 where a position counts)"
            )
        for key, rows in self._ragged.items():
            arrays[key] = padded(rows, f"{self.where}: {key}")
        return Raw(arrays, tuple(self.said), columns=tuple(self.inputs))

    def _put(self, key: str, block: Array) -> None:
        if block.dtype.kind == "O":
            raise ValueError(f"{self.where}: {shown(key)} holds rows of several lengths or kinds: save one value")
        self._bytes += block.nbytes
        if self.size is not None and self._bytes > max(LARGE, RATIO * self.size):
            raise ValueError(
                f"{self.where} unpacks {self.size} bytes to over {RATIO} times its size: save it without compression"
            )
        self._parts.setdefault(key, Gathered(f"{self.where}: {shown(key)}")).add(block)

    def _is_list(self, name: str, column: Array) -> bool:
        return column.ndim > 1 or (column.dtype.kind == "O" and name not in self.options.categories)

    def _wider(self, key: str, block: Array) -> bool:
        """A block of another width than those before: rows of several lengths after all."""
        before = self._parts.get(key)
        if before is None or block.ndim != 2 or before.width == block.shape[1]:
            return False
        self._ragged[key] = list(self._parts.pop(key).array())
        return True

    def _add_ragged(self, key: str, block: Array) -> None:
        if key in self._parts:
            self._ragged[key] = list(self._parts.pop(key).array())
        self._ragged.setdefault(key, []).extend(np.asarray(row) for row in block)

    def _encoded(self, name: str, column: Array) -> Array:
        """Numbers of a column."""
        levels = self.options.categories.get(name)
        if levels is not None:
            return self._coded(name, column, levels)
        if column.dtype.kind in "US":
            some = listed(sorted(set(column[:1000].tolist()))[:4])
            raise ValueError(
                f"{self.where}: the column {shown(name)} holds text ({some}): declare its levels ([data.categories] "
                f"{shown(name)} = [...]), or name the columns that the model reads ([data] inputs = [...])"
            )
        if column.dtype.kind not in "biufO":
            raise ValueError(f"{self.where}: the column {shown(name)} is {column.dtype}: save numbers")
        return column

    def _coded(self, name: str, column: Array, levels: Sequence[str]) -> Array:
        values, codes = np.unique(column.astype(str), return_inverse=True)
        known = {level: i for i, level in enumerate(levels)}
        unknown = [value for value in values.tolist() if value not in known]
        if unknown:
            raise ValueError(
                f"{self.where}: the column {shown(name)} holds {listed(unknown)}, not among its levels: add them "
                "in the place that they had in training"
            )
        numbers = np.array([known[value] for value in values.tolist()])[codes]
        if self.options.encoding == "codes":
            return numbers.astype(np.float32)
        found: Array = (numbers[:, None] == np.arange(len(levels))).astype(np.float32)
        return found


def padded(rows: Iterable[Array], where: str, width: int = 0, fill: int = 0) -> Array:
    """Rows (k,) of several lengths as (n, width), with ``fill`` behind each.

    Args:
        rows: one array a row.
        where: for messages.
        width: at least this wide.
        fill: 0, or a negative number, which makes unsigned numbers signed.

    Raises:
        ValueError: a row is no list of numbers, or one is so long that padding all to it takes too much memory.
    """
    items = list(rows)
    if any(row.ndim != 1 or row.dtype.kind not in "biuf" for row in items):
        raise ValueError(f"{where} holds rows that are no lists of numbers: give one list of numbers a row")
    width = max([width, *(len(row) for row in items)])
    kind = np.result_type(*{row.dtype for row in items if len(row)} or {np.dtype(np.int64)})
    kind = np.result_type(kind, np.int64) if fill < 0 and kind.kind in "bu" else kind
    total, given = len(items) * width * kind.itemsize, sum(row.nbytes for row in items)
    if total > max(LARGE, RATIO * given):
        raise ValueError(f"{where}: one row of {width} values makes {total} bytes of all: cut the longest rows")
    found = np.full((len(items), width), fill, kind)
    for place, row in zip(found, items, strict=True):
        place[: len(row)] = row
    return found
