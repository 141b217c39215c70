"""One data set and index lists: what a list may look like, what it is told, and a whole plan from it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audit.inputs.indices import read_indices
from audit.inputs.set_files import read_sets
from tests.conftest import ARCH, Cli, arrays

ROWS = 20


def written(path: Path, rows: Any) -> Path:
    """An index list in the format that the name says."""
    if path.suffix == ".npy":
        np.save(path, np.asarray(rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".pt":
        torch.save(torch.tensor(rows), path)
    else:
        path.write_text("\n".join(map(str, rows)))
    return path


@pytest.mark.parametrize("name", ["i.npy", "i.json", "i.txt", "i.csv", "i.pt"])
def test_every_format_names_the_same_rows(tmp_path: Path, name: str) -> None:
    found, said = read_indices(written(tmp_path / name, [3, 0, 19]), ROWS, "it")
    assert (found.tolist(), said) == ([3, 0, 19], [])


UNDERSTOOD: dict[str, tuple[Any, list[int], str]] = {
    "mask": (np.arange(ROWS) < 3, [0, 1, 2], "it is a mask: 3 of 20 rows"),
    "column": (np.array([[4], [2]]), [4, 2], ""),
    "whole floats": ([4.0, 2.0], [4, 2], "it holds whole floats, taken as row numbers"),
    "repeated": ([4, 2, 4, 4], [4, 2], "it names 2 rows again: each counts once"),
    "a set": ({5}, [5], ""),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_has_one_meaning_is_understood_and_said(name: str) -> None:
    rows, expected, note = UNDERSTOOD[name]
    found, said = read_indices(rows, ROWS, "it")
    assert found.tolist() == expected
    assert said == ([note] if note else [])


REFUSED: dict[str, tuple[Any, str]] = {
    "negative": ([-1, 3], "it holds negative numbers (first: -1)"),
    "too large": ([3, 25], "it names row 25, the data set has rows 0 to 19"),
    "from 1": ([1, 20], "if they count from 1, subtract 1"),
    "mask of another set": ([True, False], "it is a mask of 2 rows, the data set has 20"),
    "mask of nothing": ([False] * ROWS, "chooses no row"),
    "mask as numbers": ([0, 1] * 10, "save a mask as booleans"),
    "empty": ([], "it is empty"),
    "fractions": ([0.5], "no whole ones"),
    "text": (["a"], "give row numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_none_or_two_is_refused(name: str) -> None:
    rows, expected = REFUSED[name]
    with pytest.raises(ValueError, match=r"^it ") as refused:
        read_indices(rows, ROWS, "it")
    assert expected in str(refused.value)


class Marker:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


FILES: dict[str, tuple[str, bytes | str, str]] = {
    "pickle": ("i.pkl", pickle.dumps([1]), "is no index file: save the row numbers as .npy"),
    "csv of two columns": ("i.csv", "a,b\n1,2\n", "several columns: name that of the row numbers index"),
    "csv without header": ("i.csv", "1,2\n3,4\n", "several columns without a header"),
    "words": ("i.txt", "one two", "holds no list of row numbers"),
    "object": ("i.json", '{"a": [1], "b": [2]}', "the document is no list"),
    "nested": ("i.json", "[" * 100_000, "holds no list of row numbers"),
    "text": ("i.json", '["1"]', "the list holds more than numbers"),
    "no npy": ("i.npy", b"1,2", "holds no list of row numbers"),
    "lying npy": (
        "i.npy",
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(127)
        + b"\n",
        "8000000000000 bytes, and holds 0",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str) -> None:
    file, content, expected = FILES[name]
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"^it: ") as refused:
        read_indices(path, ROWS, "it")
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_a_payload_in_a_list_runs_nothing(tmp_path: Path, suffix: str) -> None:
    path, marker = tmp_path / f"i{suffix}", tmp_path / "marker"
    if suffix == ".npy":
        np.save(path, np.array([Marker(marker)], dtype=object), allow_pickle=True)
    else:
        torch.save([Marker(marker)], path)
    with pytest.raises(ValueError, match=r"never loaded|would run code"):
        read_indices(path, ROWS, "it")
    assert not marker.exists()


def test_csv_and_json_with_names(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text("name,index\nx,4\ny,2\n")
    (tmp_path / "j.json").write_text('{"forget": [4, 2]}')
    (tmp_path / "k.txt").write_text("# rows\n4, 2\n")
    for name in ("i.csv", "j.json", "k.txt"):
        assert read_indices(tmp_path / name, ROWS, "it")[0].tolist() == [4, 2]


WHOLE = {"x": np.arange(2.0 * ROWS).reshape(ROWS, 2), "y": np.arange(ROWS) % 2}


def problems_of(indices: dict[str, Any], **more: Any) -> list[str]:
    problems: list[str] = []
    read_sets({"test": WHOLE, **more}, problems, need_inputs=True, whole=WHOLE, indices=indices)
    return problems


def test_the_rest_is_retained_and_lists_keep_their_order() -> None:
    read = read_sets({}, [], need_inputs=True, whole=WHOLE, indices={"forget": [5, 3], "holdout": [0, 1]})
    assert read.files["forget"].x[:, 0].tolist() == [10, 6]
    assert len(read.files["retain"]) == ROWS - 4
    assert "forget: 16 of 20 rows stand in no index list: they are the retain set" in read.said
    read = read_sets({}, [], need_inputs=True, whole=WHOLE, indices={"forget": [5], "retain": [1, 2], "test": [3]})
    assert "forget: 16 of 20 rows stand in no index list: they are left out" in read.said


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ({"holdout": [1]}, "add --forget-index FILE"),
        ({"forget": [1, 2], "holdout": [2]}, "--forget-index and --holdout-index share 1 rows"),
        ({"forget": list(range(ROWS))}, "none is left to retain"),
        ({"forget": [99], "holdout": [-1]}, "--holdout-index holds negative numbers"),
    ],
)
def test_lists_that_do_not_fit(indices: dict[str, Any], expected: str) -> None:
    assert any(expected in line for line in problems_of(indices))


def test_a_set_given_twice_and_lists_without_data() -> None:
    assert "the retain set is given as a set and as rows of --data" in problems_of({"forget": [1]}, retain=WHOLE)[0]
    problems: list[str] = []
    read_sets({"retain": WHOLE, "test": WHOLE}, problems, need_inputs=True, indices={"forget": [1]})
    assert "an index list names rows of one data set: add --data FILE" in " ".join(problems)


def whole_case(case: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The sets of a case as one file and lists of its rows; the sets are gone."""
    sets = {role: arrays(case / f"{role}.npz") for role in ("retain", "forget", "holdout")}
    np.savez(case / "train.npz", **{k: np.concatenate([s[k] for s in sets.values()]) for k in ("x", "y", "ids")})
    ends = np.cumsum([len(found["y"]) for found in sets.values()])
    rows = dict(zip(sets, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
    for role in sets:
        (case / f"{role}.npz").unlink()
    return rows


def test_lists_give_the_audit_of_their_sets(case: Path, cli: Cli) -> None:
    def planned(*flags: str | Path) -> str:
        ended = cli("run", "--arch", ARCH, "--dry-run", *flags)
        assert ended.code == 0, ended.err
        return next(line for line in ended.err.splitlines() if line.startswith("  run "))

    sets = planned("--forget", case / "forget.npz")
    rows = whole_case(case)
    np.save(case / "forget.npy", rows["forget"])
    written(case / "holdout.txt", rows["holdout"])
    flags = (
        "--data",
        case / "train.npz",
        "--forget-index",
        case / "forget.npy",
        "--holdout-index",
        case / "holdout.txt",
    )
    assert planned(*flags) == sets  # the same rows, the same name of the run
    Path("audit.toml").write_text(
        f'[data]\ndata = "{case / "train.npz"}"\nforget_index = "{case / "forget.npy"}"\n'
        f'holdout_index = "{case / "holdout.txt"}"\n'
    )
    assert planned() == sets
