"""Labels as people save them: one reading over all sets and models, and it is said; else the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.inputs.labels import numbered, plain, settled
from audit.inputs.options import DataOptions
from audit.inputs.set_files import read_data, read_sets
from tests.conftest import ARCH, Cli, arrays, rewrite

ROLES = ("forget", "retain", "holdout", "test")
FORMS: dict[str, tuple[Any, str]] = {
    "column": (np.array([[2], [0]]), "labels of shape (n, 1) are taken as (n,)"),
    "whole floats": (np.array([2.0, 0.0]), "labels are whole floats, taken as integers"),
    "one-hot": (np.array([[0, 0, 1], [1, 0, 0]]), "one-hot labels of 3 classes are taken as their positions"),
    "one-hot floats": (np.array([[0.0, 0, 1], [1, 0, 0]]), "one-hot labels of 3 classes are taken as their positions"),
    "text numbers": (np.array(["2", "0"]), "labels are numbers saved as text, taken as integers"),
    "bytes": (np.array([b"2", b"0"]), "labels are numbers saved as text, taken as integers"),
    "text floats": (np.array(["2.0", "0.0"]), "labels are whole floats saved as text, taken as integers"),
    "uint8": (np.array([2, 0], dtype=np.uint8), ""),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_with_one_meaning(name: str) -> None:
    given, note = FORMS[name]
    found, said = plain(given, "it")
    assert (found.tolist(), found.dtype, said) == ([2, 0], np.int64, note)


@pytest.mark.parametrize(
    "given",
    [
        np.array([0.5]),
        np.array([np.nan]),
        np.eye(3) * 0.5,
        np.ones((2, 3)),
        np.zeros((2, 2, 2)),
        np.array(["1"], "M8[Y]"),
    ],
)
def test_a_form_with_none(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^it: y must be integer class labels"):
        plain(given, "it")


def test_names_are_numbered_over_all_sets() -> None:
    labels = {"forget": np.array(["dog"]), "retain": np.array(["cat", "ant"]), "test": np.array(["dog", "cat"])}
    found, said, named = numbered(labels, ())
    assert {role: y.tolist() for role, y in found.items()} == {"forget": [2], "retain": [1, 0], "test": [2, 1]}
    assert named == ("ant", "cat", "dog")
    assert said == [
        "labels are names, numbered in sorted order: ant = 0, cat = 1, dog = 2; [data] classes names another order"
    ]
    declared, _, _ = numbered(labels, ("dog", "cat", "ant"))
    assert declared["forget"].tolist() == [0]
    with pytest.raises(ValueError, match=r"labels of the forget set hold dog, not among \[data\] classes: add them"):
        numbered(labels, ("cat", "ant"))
    with pytest.raises(ValueError, match=r"decimal numbers saved as text: declare .* --task regression"):
        numbered({"forget": np.array(["0.5", "1e3"]), "retain": np.array(["-.25", "2"])}, ())
    assert numbered({"forget": np.array(["0.5"])}, ("1.5", "0.5"))[0]["forget"].tolist() == [1]
    with pytest.raises(ValueError, match="labels are names in forget and numbers in retain"):
        numbered({"forget": np.array(["a"]), "retain": np.array([1])}, ())


@pytest.mark.parametrize("classes", [("1.0", "1.5", "2.0"), ("1", "1.50", "2")])
def test_declared_classes_that_are_decimal_numbers_are_found_in_every_set(
    classes: tuple[str, ...], tmp_path: Path
) -> None:
    """A set whose rows happen to have whole numbers alone is read as integers."""
    rows = {"forget": ["1.0", "2.0"], "retain": ["1.5", "1.0"], "holdout": ["2.0"], "test": ["1.5"]}
    for role, values in rows.items():
        (tmp_path / f"{role}.csv").write_text("\n".join(["x,y", *(f"{i},{value}" for i, value in enumerate(values))]))
    paths = {role: tmp_path / f"{role}.csv" for role in rows}
    options, problems = DataOptions(label="y", classes=classes), list[str]()
    read = read_sets(paths, problems, need_inputs=True, options=options)
    assert (problems, read.named) == ([], classes)
    for role, values in rows.items():
        numbers = [["1.0", "1.5", "2.0"].index(value) for value in values]
        assert read.files[role].y.tolist() == numbers
        assert read_data(paths[role], need_inputs=True, options=options).y.tolist() == numbers


def test_whole_floats_that_are_declared_with_their_point() -> None:
    labels, _ = plain(np.array(["2.0", "1.0"]), "it")
    assert numbered({"forget": labels}, ("1.0", "2.0"))[0]["forget"].tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"\[data\] classes names a class twice: .* 1 and 1\.0 are one number"):
        numbered({"forget": labels}, ("1", "1.0"))
    with pytest.raises(ValueError, match=r"the forget set hold 2, not among"):
        numbered({"forget": labels}, ("1.0", "1.5"))


def test_numbers_from_1_where_all_sets_and_the_models_say_so() -> None:
    labels = {"forget": np.array([3]), "retain": np.array([1, 2])}
    found, said, problems = settled(labels, 3, 0)
    assert (found["forget"].tolist(), found["retain"].tolist(), problems) == ([2], [0, 1], [])
    assert said == ["labels run from 1 to 3 in all sets, the model has 3 outputs: 1 is the first of them"]
    assert settled(labels, 4, 0)[0]["forget"].tolist() == [3]  # 0 may be a class without rows here
    assert (
        settled({"forget": np.array([2]), "retain": np.array([3])}, 3, 0)[2] != []
    )  # 2 to 3: nothing says where it starts
    assert "the labels name 2 classes, the model has 3" in settled(labels, 3, 2)[2][0]


SAVED: dict[str, Any] = {
    "names": lambda y: np.array([f"digit {k}" for k in y]),
    "from 1": lambda y: y + 1,
    "one-hot": lambda y: np.eye(10)[y],
    "(n, 1) floats": lambda y: y[:, None].astype(float),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_case_is_the_same_however_its_labels_are_saved(case: Path, cli: Cli, name: str) -> None:
    def planned() -> tuple[str, str]:
        ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "--dry-run")
        assert ended.code == 0, ended.err
        return next(line for line in ended.err.splitlines() if line.startswith("  run ")), ended.text

    run, _ = planned()
    for role in ROLES:
        rewrite(case / f"{role}.npz", y=SAVED[name](arrays(case / f"{role}.npz")["y"]))
    again, text = planned()
    assert again == run
    assert "assumed:" in text
    assert "labels" in text


def test_a_wrong_order_of_names_is_no_verdict(case: Path, cli: Cli) -> None:
    """Names are numbered in sorted order; a model with another order of classes does not know them."""
    words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    for role in ROLES:
        rewrite(case / f"{role}.npz", y=words[arrays(case / f"{role}.npz")["y"]])
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q")
    assert ended.code == 2
    assert "classes numbered differently" in ended.text
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "--classes", ",".join(words), "--dry-run")
    assert ended.code == 0, ended.err


def test_as_many_names_as_rows_end_in_one_line() -> None:
    sets = {role: {"x": np.zeros((500, 2)), "y": np.array([f"{role}{i}" for i in range(500)])} for role in ROLES}
    problems: list[str] = []
    read = read_sets(sets, problems, need_inputs=True, options=DataOptions())
    assert (problems, len(read.named)) == ([], 2000)
    (line,) = settled({role: data.y for role, data in read.files.items()}, 10, len(read.named))[2]
    assert line.startswith("the labels name 2000 classes, the model has 10")


def test_labels_from_1_without_a_model_are_not_guessed(case: Path, cli: Cli) -> None:
    for role in ROLES:
        rewrite(case / f"{role}.npz", y=arrays(case / f"{role}.npz")["y"] + 1)
    ended = cli("references", "plan", "--forget", case / "forget.npz", "--arch", ARCH, "--train-references", "2")
    assert ended.code == 2
    assert "labels start at 1, and no model is here to say" in ended.text
