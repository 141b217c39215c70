"""Columns of Arrow, as parquet files and ``save_to_disk`` folders bring them, as arrays (extra ``parquet``)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from audit.inputs.naming import shown
from audit.inputs.options import needs
from audit.inputs.spool import text_array

Array = np.ndarray[Any, Any]


def pyarrow(what: str) -> Any:
    """The library. Raises ValueError with the install command where it is missing."""
    try:
        import pyarrow as found
    except ImportError:
        raise needs("pyarrow", "parquet", what) from None
    return found


def columns_of(batch: Any, wanted: list[str], where: str) -> tuple[dict[str, Array], bool]:
    """The columns of a record batch, and whether some are pictures.

    Raises:
        ValueError: a column holds what no array can; with the remedy.
    """
    found, pictures = {}, False
    for name in wanted:
        column = batch.column(batch.schema.get_field_index(name))
        kind, what = column.type, f"{where}: the column {shown(name)}"
        if hasattr(kind, "storage_type"):  # an extension: its values are those of its storage, its code stays away
            column, kind = column.storage, kind.storage_type
        if column.null_count:
            raise ValueError(f"{what} has {column.null_count} empty values: fill them or drop the rows")
        if _is_picture(kind):
            found[name], pictures = _pictures(column, what), True
        else:
            found[name] = _values(column, kind, what)
    return found, pictures


def _values(column: Any, kind: Any, what: str) -> Array:
    types = pyarrow(what).types
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return text_array(column.to_pylist(), what)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        return _lists(column, what)
    raise ValueError(f"{what} is {shown(str(kind))}, no number, text or list of numbers: leave it out of inputs")


def _lists(column: Any, what: str) -> Array:
    """(b, k, ...) where all rows have one shape, else an array of objects, one array a row."""
    kind = column.type
    flat = column.flatten()
    if flat.null_count:
        raise ValueError(f"{what} has empty values in its lists: fill them or drop the rows")
    types = pyarrow(what).types
    if types.is_integer(flat.type) or types.is_floating(flat.type) or types.is_boolean(flat.type):
        values = np.asarray(flat.to_numpy(zero_copy_only=False))
    else:
        values = _values(flat, flat.type, what)
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{what} holds lists of text, or lists of several lengths in lists: give numbers")
    if types.is_fixed_size_list(kind):
        return values.reshape((len(column), kind.list_size, *values.shape[1:]))
    lengths = np.asarray(column.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int64)
    if len(np.unique(lengths)) == 1:
        return values.reshape((len(column), int(lengths[0]), *values.shape[1:]))
    rows = np.empty(len(column), dtype=object)
    for i, part in enumerate(np.split(values, np.cumsum(lengths)[:-1])):
        rows[i] = part
    return rows


def _is_picture(kind: Any) -> bool:
    """The form in which Hugging Face keeps pictures: their bytes, and the name of a file that is never opened."""
    names = {kind.field(i).name for i in range(kind.num_fields)} if str(kind).startswith("struct") else set()
    return names == {"bytes", "path"}


def _pictures(column: Any, what: str) -> Array:
    from .images import decoded, stacked

    contents = column.field("bytes")
    if contents.null_count:
        raise ValueError(f"{what} names picture files in place of their bytes: embed them before save_to_disk")
    found = [decoded(io.BytesIO(value.as_py()), f"{what}, row {i}", None) for i, value in enumerate(contents)]
    return stacked(found, what)
