"""Data sets that a program holds: arrays, mappings, frames of pandas, data sets and loaders of torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .columns import LABELS, MASK, NAMES, Table, padded
from .naming import shown
from .npz import array_of
from .options import DataOptions
from .raw import Raw
from .spool import Gathered, text_array

Array = np.ndarray[Any, Any]
TWICE = 4  # rows that are read twice, to see whether a transform draws them anew; our choice
NO_LABEL = "(labels)"  # in a frame that holds inputs alone
ROWS = 256  # rows of a data set at once; our choice


def raw_of(source: object, where: str, options: DataOptions) -> Raw:
    """The arrays of a data set.

    Args:
        source: ``(x, y)``; a mapping with the keys of a file; a frame; a torch data set of pairs or of mappings, or a
            loader of one.
        where: what it is, for messages.
        options: the label column and the inputs of frames, and of mappings that a data set's items are.

    Raises:
        ValueError: with the remedy.
    """
    if isinstance(source, tuple) and len(source) == 2:
        source = {"x": source[0], "y": source[1]}
    if isinstance(source, Mapping):
        return _mapping(source, where, options)
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return _frame(source, where, options)
    if hasattr(source, "dataset") and hasattr(source, "batch_size"):
        return _loader(source, where, options)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, (str, bytes, list)):
        return _items(source, range(len(source)), where, options)
    if hasattr(source, "__iter__") and not isinstance(source, (str, bytes, list, tuple)):
        return _collected(iter(source), where, options)
    raise ValueError(
        f"{where} is a {type(source).__name__}: give a path, (x, y), a mapping with x, y and optionally ids, group, "
        "request, a frame, or a torch data set or loader"
    )


def _mapping(source: Mapping[Any, Any], where: str, options: DataOptions) -> Raw:
    parts: dict[str, Any] = {}
    for key, value in source.items():
        if key == "x" and isinstance(value, Mapping):
            parts |= {f"x.{name}": part for name, part in value.items()}
        elif key == "x" and hasattr(value, "iloc"):
            parts["x"] = _frame(value, f"{where}: x", options, labelled=False).arrays["x"]
        elif value is not None:
            parts[str(key)] = value
    return Raw({key: array_of(value, f"{where}: {key}") for key, value in parts.items()})


def _frame(frame: Any, where: str, options: DataOptions, *, labelled: bool = True) -> Raw:
    """A frame of pandas; its index is no column."""
    names = [str(name) for name in frame.columns]
    columns = {
        name: _column(frame.iloc[:, i], f"{where}: the column {shown(name)}")
        for i, name in enumerate(names)
        if not options.inputs or name in (*options.inputs, *NAMES, *LABELS, options.label)
    }
    if not labelled:
        names, options = [*names, NO_LABEL], replace(options, label=NO_LABEL)
        columns[NO_LABEL] = np.zeros(len(frame), dtype=np.int64)
    table = Table(names, options, where)
    table.add(columns)
    return table.raw()


def _column(column: Any, what: str) -> Array:
    if column.isna().any():
        raise ValueError(f"{what} has {int(column.isna().sum())} empty values: fill them or drop the rows")
    values = column.to_numpy()
    if values.dtype.kind != "O":
        return np.asarray(values)
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return text_array(values.tolist(), what)
    if kinds <= {bool} or kinds <= {int}:
        return np.array(values.tolist())
    raise ValueError(f"{what} holds {', '.join(sorted(k.__name__ for k in kinds)[:3])}: save one number or text a row")


def _loader(loader: Any, where: str, options: DataOptions) -> Raw:
    """All rows of a loader's data set in its order, in the loader's batches; a sampler of its own says which rows."""
    from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return _collected(_rows(loader, where), where, options)
    if loader.batch_sampler is not None and type(loader.batch_sampler) is not BatchSampler:
        raise ValueError(f"{where} has a batch sampler of its own: give a loader without one, or the data set")
    rows = list(range(len(loader.dataset)))  # type: ignore[arg-type]  # a loader that maps has a length
    if not isinstance(loader.sampler, (SequentialSampler, RandomSampler)):
        rows = sorted(map(int, loader.sampler))
        if len(set(rows)) < len(rows):
            raise ValueError(f"{where} draws rows more than once (its sampler): give a Subset of the rows")
    found = _collected(_rows(_ordered(loader, rows), where), where, options)
    _same_again(found, _collected(_rows(_ordered(loader, rows[:TWICE]), where), where, options), where)
    note = f"{where} is read in the order of its data set, whatever its loader shuffles"
    return replace(found, said=(*found.said, note))


def _ordered(loader: Any, rows: list[int]) -> Any:
    """The same batches, made here, in order, none dropped."""
    from torch.utils.data import DataLoader

    return DataLoader(loader.dataset, loader.batch_size or 1, sampler=rows, collate_fn=loader.collate_fn)


def _rows(batches: Iterable[Any], where: str) -> Iterator[Any]:
    """The rows of batches, each as an item of a data set would be."""
    for batch in batches:
        if isinstance(batch, Mapping):
            parts = {str(key): np.asarray(array_of(value, f"{where}: {key}")) for key, value in batch.items()}
            for i in range(min(map(len, parts.values()), default=0)):
                yield {key: part[i] for key, part in parts.items()}
        elif isinstance(batch, (tuple, list)) and len(batch) == 2:
            x, y = (array_of(part, where) for part in batch)
            yield from zip(x, y, strict=True)
        else:
            raise ValueError(f"{where} gives {_told(batch)}: {_WANTED}")


_WANTED = "give pairs (x, y), or mappings with a label, a row or a batch"


def _told(item: object) -> str:
    return f"{len(item)} values a row" if isinstance(item, (tuple, list)) else f"a {type(item).__name__} a row"


def _items(source: Any, rows: Iterable[int], where: str, options: DataOptions) -> Raw:
    numbers = list(rows)
    found = _collected((source[i] for i in numbers), where, options)
    _same_again(found, _collected((source[i] for i in numbers[:TWICE]), where, options), where)
    return found


def _same_again(found: Raw, again: Raw, where: str) -> None:
    """Rows that a transform draws anew each time are no rows that an audit could name."""
    for key, array in again.arrays.items():
        first = found.arrays[key][: len(array)]
        if first.ndim == array.ndim == 2 and first.shape[1] > array.shape[1]:  # padded to the longest of all
            first = first[:, : array.shape[1]]
        if first.shape != array.shape or not (first == array).all():
            raise ValueError(
                f"{where}: {key} differs from one reading to the next (random augmentation): give it the transform of "
                "evaluation"
            )


def _collected(items: Iterator[Any], where: str, options: DataOptions) -> Raw:
    """Items one after the other: ``(x, y)``, or a mapping with a label."""
    parts: dict[str, Gathered] = {}
    waiting: dict[str, list[Array]] = {}
    ragged: dict[str, list[Array]] = {}

    def flush() -> None:
        for key, values in waiting.items():
            if key in ragged or (key.startswith("x") and len({value.shape for value in values}) > 1):
                before = list(parts.pop(key).array()) if key in parts else []
                ragged.setdefault(key, before).extend(values)
            else:
                block = np.stack(values)
                if key in parts and block.ndim == 2 and parts[key].width not in (0, block.shape[1]):
                    ragged[key] = [*parts.pop(key).array(), *values]
                else:
                    parts.setdefault(key, Gathered(f"{where}: {key}")).add(block)
        waiting.clear()

    keys: set[str] = set()
    for number, item in enumerate(items):
        row = _named(item, where, options)
        keys = keys or set(row)
        if set(row) != keys:
            raise ValueError(f"{where}: row {number} has {sorted(row)}, others {sorted(keys)}: make them alike")
        for key, value in row.items():
            waiting.setdefault(key, []).append(np.asarray(array_of(value, f"{where}: {key}")))
        if number % ROWS == ROWS - 1:
            flush()
    flush()
    if not parts:
        raise ValueError(f"{where} is empty: give at least one row")
    if ragged and not any(MASK in key for key in (*ragged, *parts)):
        raise ValueError(
            f"{where}: rows of {', '.join(sorted(ragged))} differ in shape and there is no mask: pad or resize them "
            "alike, or add attention_mask (1 where a position counts)"
        )
    arrays = {key: part.array() for key, part in parts.items()}
    return Raw(arrays | {key: padded(rows, f"{where}: {key}") for key, rows in ragged.items()})


def _named(item: Any, where: str, options: DataOptions) -> dict[str, Any]:
    """One row by the keys of a file."""
    if isinstance(item, (tuple, list)) and len(item) == 2:
        x, y = item
        inputs = {f"x.{name}": part for name, part in x.items()} if isinstance(x, Mapping) else {"x": x}
        return {**inputs, "y": y}
    if not isinstance(item, Mapping):
        raise ValueError(f"{where} gives {_told(item)}: {_WANTED}")
    labels = [options.label] if options.label else [str(key) for key in item if str(key).lower() in LABELS]
    if len(labels) != 1 or labels[0] not in item:
        listed = ", ".join(shown(str(key)) for key in item)
        raise ValueError(f"{where}: which key holds the labels? Name it with --label; there are {listed}")
    rest = {str(key): value for key, value in item.items() if key != labels[0]}
    names = {key: rest.pop(key) for key in NAMES if key in rest and key not in options.inputs}
    chosen = {key: rest[key] for key in options.inputs if key in rest} if options.inputs else rest
    plain = {"x": next(iter(chosen.values()))} if len(chosen) == 1 else {f"x.{key}": v for key, v in chosen.items()}
    return {**plain, "y": item[labels[0]], **names}
