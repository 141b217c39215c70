"""``.npy`` pairs: read whatever their size, and a wrong one is one line."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.inputs import spool
from audit.inputs.options import DataOptions
from audit.inputs.source import read_source

OPTIONS = DataOptions()


@pytest.mark.parametrize(
    ("x", "y"),
    [("x_forget", "y_forget"), ("forget_x", "forget_y"), ("X_train", "y_train"), ("train_images", "train_labels")],
)
def test_a_pair_by_its_names(tmp_path: Path, x: str, y: str) -> None:
    np.save(tmp_path / f"{x}.npy", np.eye(3))
    np.save(tmp_path / f"{y}.npy", np.arange(3))
    raw = read_source(tmp_path / f"{x}.npy", OPTIONS, "it")
    assert raw.arrays["x"].tolist() == np.eye(3).tolist()
    assert raw.arrays["y"].tolist() == [0, 1, 2]
    assert raw.said == (f"labels of {x}.npy from {y}.npy",)


def test_without_its_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "x_forget.npy", np.eye(3))
    with pytest.raises(ValueError, match=r"name has y in place of x .* there is none: name the two files so"):
        read_source(tmp_path / "x_forget.npy", OPTIONS, "it")


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


WRONG: dict[str, tuple[bytes, str]] = {
    "lying shape": (header("(1000000000000, 2)"), "8000000000000 bytes, and holds 0: it is damaged"),
    "a size that wraps around": (header("(4294967296, 4294967296)"), "and holds 0"),
    "objects": (header("(3,)", "'|O'"), "holds object arrays, which are pickles and are never loaded"),
    "code in the header": (header("open('/tmp/x')"), "is no readable .npy file"),
    "no npy": (b"1,2,3", "is no readable .npy file"),
    "empty": (b"", "is no readable .npy file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str) -> None:
    content, expected = WRONG[name]
    np.save(tmp_path / "y_a.npy", np.arange(3))
    (tmp_path / "x_a.npy").write_bytes(content)
    with pytest.raises(ValueError, match="x_a") as refused:
        read_source(tmp_path / "x_a.npy", OPTIONS, "it")
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("values", [np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.zeros((0, 4)), np.float32(2)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orders_and_sizes_are_read_as_numpy_reads_them(tmp_path: Path, values: Any, order: str) -> None:
    from audit.inputs.archive import values_of

    path = tmp_path / "a.npy"
    np.save(path, np.asarray(values).astype(np.asarray(values).dtype.newbyteorder(order)))
    with path.open("rb") as stream:
        found = values_of(stream, "it")
    assert np.array_equal(found, np.load(path))
    assert found.dtype.isnative
    assert found.flags.writeable


def _root(array: Any) -> Any:
    return _root(array.base) if isinstance(array, np.ndarray) and array.base is not None else array


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed, None])
def test_an_array_larger_than_its_share_of_memory_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any
) -> None:
    import audit.inputs.data as data

    monkeypatch.setattr(spool, "LARGE", 1000)
    monkeypatch.setattr(data, "LARGE", 1000)
    for module in ("audit.inputs.spool", "audit.inputs.archive"):
        monkeypatch.setattr(f"{module}.BLOCK", 256)
    values = np.random.default_rng(0).normal(size=(200, 4)).astype(">f4")
    path = tmp_path / ("x_a.npz" if save else "x_a.npy")
    if save:
        save(path, x=values, y=np.arange(200))
    else:
        np.save(path, values)
        np.save(tmp_path / "y_a.npy", np.arange(200))
    x: Any = read_source(path, OPTIONS, "it").arrays["x"]
    assert isinstance(_root(x), memoryview | mmap.mmap)  # a map of a file without a name
    assert np.array_equal(x, values)
    assert x.dtype.isnative
    path.write_bytes(b"")  # what was read stays
    assert np.array_equal(x, values)
    whole = data.Arrays(x, np.arange(200))
    assert whole.take(np.arange(200)) is whole
    assert np.array_equal(whole.take(np.arange(199, -1, -1)).x, values[::-1])
    assert whole.row_hashes() == data.Arrays(values.astype(np.float32), np.arange(200)).row_hashes()
