"""Tables: parquet of pyarrow, text, frames of pandas. The same rows, the same arrays; a wrong one is one line."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.inputs.held import raw_of
from audit.inputs.options import DataOptions
from audit.inputs.raw import Raw
from audit.inputs.set_files import read_sets
from audit.inputs.source import read_source

FRAME = pd.DataFrame(
    {
        "age": [39, 50, 38, 53],
        "hours": [40.0, 13.5, 40.0, 40.0],
        "work": ["State", "Self", "Private", "Private"],
        "income": ["<=50K", "<=50K", ">50K", ">50K"],
        "ids": [7, 8, 9, 10],
    }
)
OPTIONS = DataOptions(label="income", categories={"work": ("Private", "Self", "State")})
X = [[39, 40, 0, 0, 1], [50, 13.5, 0, 1, 0], [38, 40, 1, 0, 0], [53, 40, 1, 0, 0]]


def saved(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(
        path, index=False, sep="\t" if path.suffix == ".tsv" else ","
    )
    return path


def read(path: Path, options: DataOptions = OPTIONS) -> Raw:
    return read_source(path, options, "it")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.tsv", "frame"])
def test_the_same_table_is_the_same_arrays(tmp_path: Path, name: str) -> None:
    raw = raw_of(FRAME, "it", OPTIONS) if name == "frame" else read(saved(FRAME, tmp_path / name))
    assert raw.arrays["x"].tolist() == X
    assert raw.arrays["y"].tolist() == FRAME["income"].tolist()
    assert raw.arrays["ids"].tolist() == [7, 8, 9, 10]
    chosen = DataOptions(label="income", inputs=("hours", "work"), categories=OPTIONS.categories, encoding="codes")
    again = raw_of(FRAME, "it", chosen) if name == "frame" else read(tmp_path / name, chosen)
    assert again.arrays["x"].tolist() == [[40, 2], [13.5, 1], [40, 0], [40, 0]]


@pytest.mark.parametrize("kind", ["a.parquet", "a.csv"])
def test_row_names_that_pandas_saves_are_no_input(tmp_path: Path, kind: str) -> None:
    """A frame whose rows were chosen keeps their numbers, and saves them as a column."""
    some, path = FRAME.iloc[[2, 0, 3]], tmp_path / kind  # two rows would be a range, which is saved as no column
    some.to_parquet(path) if kind.endswith("parquet") else some.to_csv(path)
    raw = read(path)
    assert raw.arrays["x"].tolist() == [X[2], X[0], X[3]]
    assert any("row names that pandas saved" in line for line in raw.said)


WRONG: dict[str, tuple[pd.DataFrame, DataOptions, str]] = {
    "no label": (FRAME, DataOptions(), "which column holds the labels? Name it with --label"),
    "another label": (FRAME, DataOptions(label="z"), "has no column z: name that of the labels with --label"),
    "text": (FRAME, DataOptions(label="income"), "column work holds text (Private, Self, State): declare its levels"),
    "a level too few": (
        FRAME,
        DataOptions(label="income", categories={"work": ("Private", "Self")}),
        "column work holds State, not among its levels",
    ),
    "empty cells": (FRAME.assign(hours=[1, None, 2, 3]), OPTIONS, "column hours has"),
    "no such input": (FRAME, DataOptions(label="income", inputs=("height",)), "has no columns height"),
    "no inputs": (FRAME[["income"]], DataOptions(), "which column"),
    "no rows": (FRAME[:0], OPTIONS, "is empty: give at least one row"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", ["a.parquet", "a.csv", "frame"])
def test_a_wrong_table_is_one_line(tmp_path: Path, name: str, kind: str) -> None:
    frame, options, expected = WRONG[name]
    source = None if kind == "frame" else saved(frame, tmp_path / kind)
    with pytest.raises(ValueError, match=r"it|a\.") as refused:
        raw_of(frame, "it", options) if source is None else read(source, options)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sequences_with_a_mask_are_padded(tmp_path: Path) -> None:
    table = pa.table({"input_ids": [[1, 2, 3], [4]], "attention_mask": [[1, 1, 1], [1]], "label": [0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    raw = read(tmp_path / "a.parquet", DataOptions())
    assert raw.arrays["x.input_ids"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert raw.arrays["x.attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    pq.write_table(table.drop_columns(["attention_mask"]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="differ in length and no column is a mask: pad them alike"):
        read(tmp_path / "a.parquet", DataOptions())


def test_lists_of_one_length_are_one_array(tmp_path: Path) -> None:
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 3)
    pq.write_table(pa.table({"pixels": values, "y": [0, 1]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", DataOptions()).arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    nested = pa.table({"pixels": [[[1.0, 2.0]], [[3.0, 4.0]]], "y": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(nested, tmp_path / "b.parquet")
    raw = read(tmp_path / "b.parquet", DataOptions())
    assert raw.arrays["x"].shape == (2, 1, 2)
    assert raw.arrays["y"].tolist() == ["a", "b"]


BYTES: dict[str, tuple[str, bytes, str]] = {
    "no parquet": ("a.parquet", b"PAR1 and nothing", "is no readable parquet file"),
    "empty parquet": ("a.parquet", b"", "is no readable parquet file"),
    "empty csv": ("a.csv", b"", "is empty: give a header"),
    "cells too few": ("a.csv", b"a,y\n1,0\n2\n", "row 2 has 1 cells, the header names 2"),
    "columns twice": ("a.csv", b"a,a,y\n1,2,0\n", "columns of the same name (a)"),
    "no text": ("a.csv", b"a,y\n\xff\xfe,0\n", "is no UTF-8 text"),
    "a quote without end": ("a.csv", b'a,y\n"' + b"1" * 200_000, "is no readable table (field larger than"),
    "a long cell": ("a.csv", b"a,y\n" + b"1" * 100_000 + b",0\n", "holds a text of 100000 characters"),
    "a formula": ("a.csv", b"a,y\n=cmd|'/c calc'!A0,0\n", "holds text (=cmd|'/c calc'!A0)"),
}


@pytest.mark.parametrize("name", BYTES)
def test_damaged_files_are_one_line(tmp_path: Path, name: str) -> None:
    file, content, expected = BYTES[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=file) as refused:
        read(tmp_path / file, DataOptions())
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_cut_file_is_one_line(tmp_path: Path) -> None:
    path = saved(FRAME, tmp_path / "a.parquet")
    content = path.read_bytes()
    for cut in range(4, len(content), 97):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="is no readable parquet file"):
            read(path)


def test_a_small_file_of_very_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("columns", "formats.parquet"):
        monkeypatch.setattr(f"audit.inputs.{module}.LARGE", 2**20)
    pq.write_table(pa.table({"a": np.zeros(10**6), "y": np.zeros(10**6, dtype=int)}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    with pytest.raises(ValueError, match="100 times"):
        read(tmp_path / "a.parquet", DataOptions())


def test_an_extension_type_of_a_file_runs_nothing(tmp_path: Path) -> None:
    """Older pyarrow unpickled the type that a file named."""
    marker = tmp_path / "marker"
    payload = b"cposix\nsystem\n(S'touch %s'\ntR." % str(marker).encode()
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": payload}
    schema = pa.schema([pa.field("a", pa.float64(), metadata=kind), pa.field("y", pa.int64())])
    pq.write_table(pa.table([pa.array([0.5]), pa.array([1])], schema=schema), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", DataOptions()).arrays["x"].tolist() == [[0.5]]
    assert not marker.exists()


@pytest.mark.parametrize("package", ["pyarrow", "PIL"])
def test_a_missing_extra_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if package == "pyarrow":
        (tmp_path / "a.parquet").write_bytes(b"")
        path, command = tmp_path / "a.parquet", r"unlearn-audit\[parquet\]"
    else:
        (tmp_path / "a" / "cat").mkdir(parents=True)
        (tmp_path / "a" / "cat" / "1.png").write_bytes(b"")
        path, command = tmp_path / "a", r"unlearn-audit\[images\]"
    with pytest.raises(ValueError, match=f"pip install '{command}'"):
        read(path, DataOptions())


def test_no_library_is_imported_before_its_format_is_read() -> None:
    code = "import sys, audit.inputs.set_files; print(sorted({'pyarrow', 'PIL', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LARGE = """
import resource, sys
from pathlib import Path
from audit.inputs.options import DataOptions
from audit.inputs.source import read_source
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
raw = read_source(Path(sys.argv[1]), DataOptions(), "it")
assert raw.arrays["x"].shape == (1_000_000, 50), raw.arrays["x"].shape
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_a_million_rows_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """400 MB of floats: in memory there are the first 256 MiB at most, twice, and a batch of rows."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"c{i}": rng.normal(size=10**6) for i in range(50)}
    pq.write_table(pa.table({**columns, "y": rng.integers(0, 2, 10**6)}), tmp_path / "a.parquet", compression="none")
    del columns
    done = subprocess.run(
        [sys.executable, "-c", LARGE, tmp_path / "a.parquet"], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 600, done.stdout  # MiB
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame[["hours", "age", "income", "ids"]], "the same columns in another order"),
        (lambda frame: frame.rename(columns={"age": "years"}), "columns that only one of them has"),
    ],
)
def test_columns_count_by_their_place_so_sets_must_have_them_alike(tmp_path: Path, change: Any, says: str) -> None:
    frame = FRAME.drop(columns="work")
    forget, retain = saved(frame, tmp_path / "forget.csv"), saved(change(frame), tmp_path / "retain.parquet")

    def problems(options: DataOptions, other: Path = retain) -> list[str]:
        found: list[str] = []
        read_sets({"forget": forget, "retain": other}, found, need_inputs=True, options=options)
        return [line for line in found if "Models read columns" in line]

    (line,) = problems(DataOptions(label="income"))
    assert says in line
    assert not problems(DataOptions(label="income", inputs=("hours",)))
    assert not problems(DataOptions(label="income"), forget)
