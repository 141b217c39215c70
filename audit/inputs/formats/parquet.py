"""Parquet tables, read a batch of rows at a time (extra ``parquet``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.inputs.archive import LARGE, RATIO
from audit.inputs.columns import Table
from audit.inputs.options import DataOptions
from audit.inputs.raw import Raw
from audit.inputs.usercode import describe
from audit.record.readonce import opened

from .arrow import Array, columns_of, pyarrow

ROWS = 2**14  # rows at once; our choice
BUFFER = 2**16  # bytes of a column at once, else all of it in a group of rows is; our choice


def read_parquet(path: Path, options: DataOptions) -> Raw:
    """A table: numbers, declared categories, lists of numbers, pictures as Hugging Face keeps them.

    Raises:
        ValueError: with the remedy.
    """
    with _file_of(path) as (file, size):
        return _read(file, options, str(path), size)


def first_columns(path: Path) -> dict[str, Array]:
    """The first rows of every column of numbers or text. Raises ValueError as the reader does."""
    with _file_of(path) as (file, _):
        names = [field.name for field in file.schema_arrow if not field.type.num_fields]
        batch = next(file.iter_batches(batch_size=ROWS, columns=names, use_threads=False), None)
        return {} if batch is None else columns_of(batch, names, str(path))[0]


@contextmanager
def _file_of(path: Path) -> Iterator[tuple[Any, int]]:
    """An open file, and its size; whatever goes wrong is a ValueError with the remedy."""
    arrow = pyarrow(f"{path} is parquet, which")
    from pyarrow import parquet

    try:
        with opened(path) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            file = parquet.ParquetFile(stream, pre_buffer=False, buffer_size=BUFFER)
            _check(file.metadata, path, size)
            yield file, size
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except (arrow.ArrowException, OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or describe(error)
        raise ValueError(f"{path} is no readable parquet file ({why}): save it again") from None


def _read(file: Any, options: DataOptions, where: str, size: int) -> Raw:
    table = Table(file.schema_arrow.names, options, where, size)
    pictures = False
    for batch in file.iter_batches(batch_size=ROWS, columns=table.wanted, use_threads=False):
        columns, some = columns_of(batch, table.wanted, where)
        table.add(columns)
        pictures |= some
    return replace(table.raw(), pictures=pictures)


def _check(metadata: Any, path: Path, size: int) -> None:
    """Refuse groups of rows that unpack to far more than the file takes, before any is read.

    The columns of a group are not asked: pyarrow 26 ends the process where their statistics are damaged.
    """
    for i in range(metadata.num_row_groups):
        whole = metadata.row_group(i).total_byte_size
        if whole > max(LARGE, RATIO * size):
            raise ValueError(
                f"{path} unpacks {size} bytes to {whole}, more than {RATIO} times: save it without compression"
            )
