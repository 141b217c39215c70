"""Digests and the commitment key."""

import hashlib
import hmac
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from audit.errors import CouldNotRun
from audit.record.digest import keyed_digest, load_or_create_key, sha256_file, state_digest

KEY = bytes(range(32))
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")


def data() -> dict[str, np.ndarray]:
    return {"y": np.array([1, 0, 2], dtype="<i8"), "x": np.arange(6, dtype="<f4").reshape(3, 2)}


def encode(domain: bytes, arrays: dict[str, np.ndarray]) -> bytes:
    """The specified encoding, written out a second time."""
    parts = [domain]
    for key in sorted(arrays):
        array = arrays[key]
        shape = ",".join(str(n) for n in array.shape)
        parts += [key.encode(), array.dtype.str.encode(), shape.encode(), array.tobytes(order="C")]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def test_digests_follow_the_specified_encoding() -> None:
    commitment = encode(b"unlearn-audit/data-commitment/v1", data())
    assert keyed_digest(KEY, data()) == hmac.new(KEY, commitment, "sha256").hexdigest()
    state = encode(b"unlearn-audit/model-state/v1", data())
    assert state_digest(data()) == hashlib.sha256(state).hexdigest()


def test_keyed_digest_is_pinned_for_ever() -> None:
    assert keyed_digest(KEY, data()) == "ba990b2c74e937558ffa39733ef667ce6b82ccdc25b363c299779ec991c553bc"


def test_order_and_memory_layout_do_not_matter() -> None:
    other = dict(reversed(list(data().items())))
    other["x"] = np.asfortranarray(other["x"])
    assert not other["x"].flags.c_contiguous
    assert keyed_digest(KEY, other) == keyed_digest(KEY, data())
    strided = np.arange(12, dtype="<i8")[::2]
    assert state_digest({"a": strided}) == state_digest({"a": strided.copy()})


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"x": data()["x"]},
        data() | {"x": data()["x"] + 1},
        data() | {"x": data()["x"].reshape(2, 3)},
        data() | {"x": data()["x"].astype("<f8")},
        data() | {"x": data()["x"].view("<i4")},
        data() | {"x": data()["x"].astype(">f4")},
        data() | {"z": np.array([])},
        {"x": data()["y"], "y": data()["x"]},
    ],
)
def test_every_difference_shows(arrays: dict[str, np.ndarray]) -> None:
    assert keyed_digest(KEY, arrays) != keyed_digest(KEY, data())
    assert state_digest(arrays) != state_digest(data())


def test_key_and_domain_matter() -> None:
    assert keyed_digest(bytes(32), data()) != keyed_digest(KEY, data())
    assert state_digest(data()) != keyed_digest(KEY, data())


def test_names_and_contents_cannot_be_shifted_into_each_other() -> None:
    one = {"a": np.array([b"bc"]), "d": np.array([b"e"])}
    two = {"a": np.array([b"b"]), "cd": np.array([b"e"])}
    assert state_digest(one) != state_digest(two)


def test_scalars_empty_arrays_booleans_and_strings_are_accepted() -> None:
    arrays = {
        "scalar": np.array(1.5),
        "empty": np.zeros((0, 3)),
        "flag": np.array([True, False]),
        "unicode": np.array(["a", "äö"]),
        "bytes": np.array([b"a", b""]),
        "complex": np.array([1j]),
        "none": np.array([], dtype="U0"),
    }
    assert len({state_digest({"a": array}) for array in arrays.values()}) == len(arrays)
    assert state_digest({"a": np.array(1.5)}) != state_digest({"a": np.array([1.5])})
    assert state_digest({"a": np.zeros((0, 3))}) != state_digest({"a": np.zeros((3, 0))})


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2024-01-01"], dtype="datetime64[D]"),
        np.array([1], dtype=np.longdouble),
    ],
)
def test_arrays_without_canonical_bytes_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="convert it to numbers or fixed-width strings"):
        keyed_digest(KEY, {"x": array})
    with pytest.raises(ValueError, match="'x' has dtype"):
        state_digest({"x": array})


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_other_key_sizes_are_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        keyed_digest(key, data())


def test_sha256_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    content = b"weights" * 100_000
    path.write_bytes(content)
    assert sha256_file(path) == hashlib.sha256(content).hexdigest()
    with pytest.raises(CouldNotRun, match="name a readable file"):
        sha256_file(tmp_path / "absent")
    with pytest.raises(CouldNotRun, match="not a folder"):
        sha256_file(tmp_path)


@posix
def test_key_is_created_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "private" / "commitment.key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert load_or_create_key(path) == key
    assert load_or_create_key(tmp_path / "other.key") != key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_racing_creators_agree(tmp_path: Path) -> None:
    for attempt in range(10):
        path = tmp_path / str(attempt) / "key"
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(load_or_create_key, [path] * 8))
        assert keys == {path.read_bytes()}
        assert list(path.parent.iterdir()) == [path]


def test_the_loser_of_a_race_reads_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert load_or_create_key(path) == KEY
    assert path.read_bytes() == KEY
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_the_wrong_size_is_refused_and_kept(tmp_path: Path, size: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(size))
    with pytest.raises(CouldNotRun, match="restore it from a backup"):
        load_or_create_key(path)
    assert path.read_bytes() == bytes(size)


def test_an_unusable_place_for_the_key_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CouldNotRun, match="make its folder writable"):
        load_or_create_key(tmp_path / "file" / "key")
    with pytest.raises(CouldNotRun, match="make its folder writable"):
        load_or_create_key(tmp_path)
