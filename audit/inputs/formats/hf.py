"""Folders that ``save_to_disk`` of Hugging Face's `datasets` writes: Arrow streams, read without that package.

No script of a data set is ever run: the folder's JSON names the files, and their columns are read (extra ``parquet``).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.inputs.columns import Table
from audit.inputs.naming import listed, shown
from audit.inputs.options import DataOptions
from audit.inputs.raw import Raw
from audit.inputs.usercode import describe
from audit.record.readonce import opened, read_once

from .arrow import columns_of, pyarrow

STATE, SPLITS = "state.json", "dataset_dict.json"
LONGEST = 2**24  # bytes of the JSON; our choice


def is_saved(path: Path) -> bool:
    """Whether a folder was written by ``save_to_disk``."""
    return (path / STATE).is_file() or (path / SPLITS).is_file()


def read_saved(path: Path, options: DataOptions) -> Raw:
    """All rows of a data set.

    Raises:
        ValueError: with the remedy.
    """
    if not (path / STATE).is_file():
        splits = _json(path / SPLITS).get("splits", [])
        raise ValueError(f"{path} holds several splits ({listed([str(s) for s in splits])}): name the folder of one")
    state = _json(path / STATE)
    if state.get("_indices_data_files"):
        raise ValueError(f"{path} keeps its rows in another order than its files: call flatten_indices() before saving")
    try:
        names = [str(item["filename"]) for item in state["_data_files"]]
    except (KeyError, TypeError):
        raise ValueError(f"{path / STATE} names no data files: save the data set again with save_to_disk") from None
    odd = [name for name in names if Path(name).name != name]
    if odd or not names:
        raise ValueError(f"{path / STATE} names {listed(odd) or 'no'} files outside the folder: save the set again")
    if len(set(names)) < len(names):
        raise ValueError(f"{path / STATE} names a file twice: save the data set again with save_to_disk")
    arrow = pyarrow(f"{path} is a folder of save_to_disk, which")
    try:
        return _read([path / name for name in names], options, str(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path} has lost {shown(Path(error.filename).name)}: save the set again") from None
    except (arrow.ArrowException, OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or describe(error)
        raise ValueError(f"{path} is no readable data set ({why}): save it again with save_to_disk") from None


def _read(files: list[Path], options: DataOptions, where: str) -> Raw:
    from pyarrow import ipc

    size = sum(file.stat().st_size for file in files)
    table: Table | None = None
    pictures = False
    for file in files:
        with opened(file) as stream, ipc.open_stream(stream) as batches:
            table = table or Table(batches.schema.names, options, where, size)
            for batch in batches:
                batch.validate(full=True)  # offsets that point outside would be read as they are
                if batch.num_rows:
                    columns, some = columns_of(batch, table.wanted, where)
                    table.add(columns)
                    pictures |= some
    assert table is not None
    return replace(table.raw(), pictures=pictures)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_once(path, LONGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({describe(error)}): save the data set again") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no object of JSON: save the data set again with save_to_disk")
    return found
