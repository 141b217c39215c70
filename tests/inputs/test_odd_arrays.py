"""Data files as they are found: what is odd is read alike, or is a problem of its file with a remedy."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.errors import UsageError
from audit.inputs.config import ClaimSection
from audit.inputs.data import Arrays
from audit.inputs.npz import read_npz
from audit.inputs.outputs import outputs_target
from audit.inputs.resolve import resolve
from audit.inputs.set_files import read_data, read_sets
from audit.inputs.sets import assign, infer_claim
from audit.policy.policy import load_policy
from audit.record.toml import LONGEST

MANY = 10**12


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def declared(shape: str, descr: str = "'<f4'", values: bytes = b"") -> bytes:
    """A member whose header says anything."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


def write(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


LABELS = ("y.npy", npy(np.arange(3)))
GOOD = ("x.npy", npy(np.ones((3, 2), dtype=np.float32)))


def said(path: Path) -> str:
    """The one line in the list of problems of a case whose other sets are sound."""
    problems: list[str] = []
    sound = write(path.with_name("sound.npz"), [GOOD, LABELS])
    read_sets({"forget": sound, "retain": sound, "test": path}, problems, need_inputs=True)
    (line,) = problems
    assert line.startswith(str(path))
    return line.removeprefix(str(path))


@pytest.mark.parametrize("key", ["x", "y", "group"])
def test_big_endian_is_read_alike(tmp_path: Path, key: str) -> None:
    arrays = {"x": np.array([[0.5, -2.0]], dtype="<f4"), "y": np.array([7]), "group": np.array([258])}
    np.savez(tmp_path / "little.npz", **arrays)
    np.savez(tmp_path / "big.npz", **{**arrays, key: arrays[key].astype(arrays[key].dtype.newbyteorder(">"))})
    big, little = (read_data(tmp_path / f"{name}.npz", need_inputs=True) for name in ("big", "little"))
    assert big.arrays()[key].dtype.isnative
    assert big.arrays()[key].tolist() == arrays[key].tolist()
    assert big.fingerprint(b"k" * 32) == little.fingerprint(b"k" * 32)


MEMBERS: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "declared terabytes": (
        [("x.npy", declared(f"({MANY}, 2)")), LABELS],
        f"declares x.npy as ({MANY}, 2) of float32, {8 * MANY} bytes, and holds 0: it is damaged, save it again",
    ),
    "one value too few": ([("x.npy", declared("(3, 2)", values=bytes(20))), LABELS], "24 bytes, and holds 20"),
    "one value too many": ([("x.npy", declared("(3, 2)", values=bytes(28))), LABELS], "24 bytes, and holds 28"),
    "a size that wraps around": ([("x.npy", declared("(4294967296, 4294967296)")), LABELS], "and holds 0"),
    "text of no length": ([("x.npy", declared(f"({MANY},)", "'<U0'")), LABELS], "declares the type <U0"),
    "a negative side": ([("x.npy", declared("(-1, 2)")), LABELS], "declares the shape (-1, 2)"),
    "a nested type": ([("x.npy", declared("(3,)", "('<f4', (2,))", bytes(24))), LABELS], "save numbers or fixed"),
    "no literal": ([("x.npy", declared("open('/tmp/x')")), LABELS], "no readable .npz file"),
    "nested without end": ([("x.npy", declared("(" * 3000)), LABELS], "no readable .npz file"),
    "key with control characters": ([("x.a\x1b[31m.npy", GOOD[1]), LABELS], "has keys with control characters"),
    "a key in two spellings": ([GOOD, LABELS, ("x", GOOD[1])], " holds x, which are no arrays"),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_are_checked_before_they_are_read(tmp_path: Path, name: str) -> None:
    members, expected = MEMBERS[name]
    assert expected in said(write(tmp_path / "odd.npz", members))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_twice(tmp_path: Path) -> None:
    twice = [GOOD, ("x.npy", npy(np.zeros((3, 2)))), LABELS]
    assert said(write(tmp_path / "odd.npz", twice)).startswith(" holds x.npy more than once, and readers differ")


def test_an_archive_that_unpacks_to_far_more(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        stream.write(declared("(3, 25165824)"))
        for _ in range(18):
            stream.write(bytes(2**24))
    assert "more than 100 times its size: save it without compression" in said(path)


def test_other_compressions_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.npz", [GOOD, LABELS], zipfile.ZIP_LZMA)
    assert said(path) == " holds x.npy in a compression that is not read: save it without compression"


def test_compressed_sets_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "c.npz", x=np.zeros((50, 2)), y=np.zeros(50, dtype=int))
    assert len(read_data(tmp_path / "c.npz", need_inputs=True)) == 50


FIRST_TEN = "20, 21, 22, 23, 24, 25, 26, 27, 28, 29, ..."


@pytest.mark.parametrize(("bad", "shown"), [([2, 5], "2, 5"), (list(range(20, 40)), FIRST_TEN)])
def test_rows_that_are_not_finite_are_counted_and_named(tmp_path: Path, bad: list[int], shown: str) -> None:
    x = np.zeros((50, 2))
    x[bad, 1] = np.nan
    np.savez(tmp_path / "odd.npz", x=x, y=np.zeros(50, dtype=int))
    expected = (
        f": x holds NaN or infinite values in {len(bad)} rows: repair or drop them (positions {shown}, counted from 0)"
    )
    assert said(tmp_path / "odd.npz") == expected


def test_logits_that_are_not_finite_are_counted_and_named() -> None:
    logits = np.zeros((9, 3))
    logits[[4, 7], 2] = np.inf
    with pytest.raises(ValueError, match=r"repair test; test holds NaN or infinite values in 2 rows: .*positions 4, 7"):
        outputs_target({"forget": np.zeros((2, 3)), "test": logits}, "m.npz")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (np.array(True), "n_classes is bool True: save the number of classes as one integer, 2 or more"),
        (np.array(10.0), "n_classes is float64 10.0: save the number"),
        (np.array([10]), r"n_classes is int64 of shape \(1,\): save the number"),
        (np.array(1), "n_classes is int64 1: save the number"),
    ],
)
def test_the_number_of_classes_is_one_integer(classes: np.ndarray[Any, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=f"^m.npz: {expected}"):
        outputs_target({"forget": np.arange(3), "n_classes": classes}, "m.npz")


def test_logits_beside_a_number_of_classes() -> None:
    with pytest.raises(ValueError, match="predicted labels, which are integers: repair forget, or leave n_classes out"):
        outputs_target({"forget": np.zeros(3), "n_classes": np.array(3)}, "m.npz")


def test_a_huge_number_of_classes_takes_no_memory() -> None:
    target = outputs_target({"forget": np.arange(3), "n_classes": np.array(10**11)}, "m.npz")
    with pytest.raises(ValueError, match="3 predicted labels of 100000000000 classes take too much memory: correct"):
        target.outputs("forget", Arrays(None, np.arange(3)), 8)
    many = outputs_target({"forget": np.arange(3), "n_classes": np.array(10**5)}, "m.npz")
    assert many.outputs("forget", Arrays(None, np.arange(3)), 8)[0].shape == (3, 10**5)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(("make", "kind"), [(fifo, "a named pipe"), (device, "a device")])
def test_pipes_and_devices_are_refused(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "odd.npz")
    assert said(tmp_path / "odd.npz") == f" cannot be read ({kind}, not a regular file): give a readable .npz file"
    with pytest.raises(UsageError, match=f"cannot read .*{kind}"):
        resolve({}, tmp_path / "odd.npz")
    with pytest.raises(UsageError, match=kind):
        load_policy(str(tmp_path / "odd.npz"))


TOML = {
    "nested": (b"a = " + b"[" * 5000, "nested too deeply"),
    "digits": (b"seed = " + b"9" * 5000, "integer string conversion"),
    "latin": (b"policy = '\xe9'", "can't decode"),
    "long": (b"#" * (LONGEST + 1), f"more than {LONGEST} bytes"),
}


@pytest.mark.parametrize("name", TOML)
def test_any_malformed_toml_is_one_error(tmp_path: Path, name: str) -> None:
    content, expected = TOML[name]
    (tmp_path / "odd.toml").write_bytes(content)
    with pytest.raises(UsageError, match=rf"odd.toml is no valid TOML \(.*{expected}.*correct it"):
        resolve({}, tmp_path / "odd.toml")
    with pytest.raises(UsageError, match=rf"odd.toml' is no valid TOML \(.*{expected}.*correct it"):
        load_policy(str(tmp_path / "odd.toml"))


def test_values_of_any_length_are_shown_in_short(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_bytes(b"device = 3\n[claim]\nkind = '" + b"z" * 9000 + b"'")
    with pytest.raises(UsageError, match=r"claim\.kind") as caught:
        resolve({}, tmp_path / "odd.toml")
    assert len(str(caught.value)) < 1000
    with pytest.raises(UsageError, match=r"seed: .*a int that is too long to show"):
        resolve({"seed": -(16**6000)})


@pytest.mark.parametrize("text", ["a\\u0000b", "a\\u001b[2Jb", "a\\nb"])
def test_control_characters_in_a_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.toml").write_text(f'policy = "{text}"')
    with pytest.raises(UsageError, match=r"policy: a.*\nTake control characters") as caught:
        resolve({}, tmp_path / "odd.toml")
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_test_set_of_one_row_stays_a_test_set() -> None:
    sets = {role: Arrays(np.full((2, 1), i), np.arange(2)) for i, role in enumerate(("forget", "retain", "test"))}
    sets["test"] = sets["test"].take(np.array([0]))
    claim, _ = infer_claim(ClaimSection(kind="random"), sets, grants="logits")
    chosen = assign(claim, sets).selection
    assert (chosen["test"].rows.tolist(), chosen["auxiliary"].rows.tolist()) == ([0], [])


def test_a_bare_read_keeps_values(tmp_path: Path) -> None:
    """Fortran order, no axis, booleans: what numpy writes comes back as it was."""
    arrays = {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.array(4), "c": np.array([True, False])}
    np.savez(tmp_path / "a.npz", **arrays)
    found = read_npz(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    for key, value in arrays.items():
        np.testing.assert_array_equal(found[key], value)
        assert found[key].dtype == value.dtype
