"""Folders of pictures made by Pillow, scaling, channels, and a function of the user's."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from audit.inputs.options import DataOptions
from audit.inputs.pictures import prepared
from audit.inputs.raw import Raw
from audit.inputs.source import read_source

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
PLAIN = DataOptions()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two pictures each."""
    for i, pixels in enumerate(PIXELS):
        place = tmp_path / "pictures" / ("cat", "dog")[i // 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{i}.png")
    return tmp_path / "pictures"


def ready(path: Path, options: DataOptions) -> Raw:
    return prepared(read_source(path, options, "it"), options, "it")


def test_a_folder_a_class(folder: Path) -> None:
    raw = ready(folder, PLAIN)
    assert raw.arrays["y"].tolist() == ["cat", "cat", "dog", "dog"]
    assert np.allclose(raw.arrays["x"], PIXELS.transpose(0, 3, 1, 2) / np.float32(255))
    assert raw.arrays["x"].dtype == np.float32
    assert any("pictures are divided by 255" in line for line in raw.said)


def test_mean_and_spread_by_channel(folder: Path) -> None:
    raw = ready(folder, DataOptions(scale=255.0, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1)))
    expected = (PIXELS / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.2, 0.1])
    assert np.allclose(raw.arrays["x"], expected.transpose(0, 3, 1, 2), atol=1e-5)
    with pytest.raises(ValueError, match="mean has 2 values"):
        ready(folder, DataOptions(mean=(0.5, 0.4)))


def test_grey_and_resized(folder: Path) -> None:
    for file in folder.glob("*/*.png"):
        Image.open(file).convert("L").save(file)
    assert ready(folder, PLAIN).arrays["x"].shape == (4, 1, 5, 6)
    raw = ready(folder, DataOptions(size=(3, 2)))
    assert raw.arrays["x"].shape == (4, 1, 3, 2)
    assert any("resized to 3 x 2" in line for line in raw.said)


def declares(width: int, height: int) -> bytes:
    """A PNG whose header says anything."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, body, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


WRONG: dict[str, tuple[str, bytes, str]] = {
    "another size": ("cat/9.png", b"", "differ in size or in colour: convert them alike"),
    "no picture": ("cat/9.png", b"GIF89a nothing", "is no picture in PNG"),
    "a huge header": ("cat/9.png", declares(10_000, 10_000), "declares 10000 x 10000 pixels"),
    "a lying header": ("cat/9.png", declares(5, 6), "is a damaged picture"),
    "a pickle": ("cat/9.pkl", b"cposix\nsystem\n.", "holds 9.pkl, which are no pictures"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_picture_is_one_line(folder: Path, name: str) -> None:
    file, content, expected = WRONG[name]
    if content:
        (folder / file).write_bytes(content)
    else:
        Image.fromarray(PIXELS[0, :3]).save(folder / file)
    with pytest.raises(ValueError, match="pictures") as refused:
        ready(folder, PLAIN)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_librarys_leniency_does_not_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    (folder / "cat/9.png").write_bytes(declares(6, 5))
    with pytest.raises(ValueError, match="is a damaged picture"):
        ready(folder, PLAIN)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="is a folder, but neither one of pictures"):
        read_source(tmp_path, PLAIN, "it")


def bytes_set() -> Raw:
    return Raw({"x": PIXELS, "y": np.array([0, 0, 1, 1])})


def test_bytes_channels_last_by_declaration() -> None:
    raw = prepared(bytes_set(), DataOptions(scale=255.0, channels="last"), "it")
    assert np.allclose(raw.arrays["x"], PIXELS.transpose(0, 3, 1, 2) / np.float32(255))
    grey = prepared(Raw({"x": PIXELS[..., 0], "y": np.zeros(4)}), DataOptions(channels="last"), "it")
    assert grey.arrays["x"].shape == (4, 1, 5, 6)
    with pytest.raises(ValueError, match=r"x has shape \(4, 2\), no pictures"):
        prepared(Raw({"x": np.zeros((4, 2))}), DataOptions(channels="last"), "it")


def halves(x: Any) -> Any:
    return x / np.float32(2)


def changing(x: Any) -> Any:
    return x + np.random.default_rng().normal(size=x.shape)


def fewer(x: Any) -> Any:
    return x[:-1]


def failing(x: Any) -> Any:
    raise KeyError("pixels")


def leaving(x: Any) -> Any:
    raise SystemExit(0)


def test_a_function_of_ones_own_makes_the_inputs() -> None:
    raw = prepared(bytes_set(), DataOptions(preprocess=f"{__name__}:halves"), "it")
    assert np.allclose(raw.arrays["x"], PIXELS / 2)
    assert raw.said[-1].startswith(f"inputs are as {__name__}:halves makes them (code ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("changing", "makes other inputs each time (random augmentation)"),
        ("fewer", "returns another number of rows than it gets"),
        ("failing", "fails (KeyError: 'pixels'): repair the function"),
        ("leaving", "fails (SystemExit: 0): repair the function"),
        ("gone", "has no function 'gone'"),
    ],
)
def test_a_function_that_does_not_do(name: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"preprocess {__name__}:{name}") as refused:
        prepared(bytes_set(), DataOptions(preprocess=f"{__name__}:{name}"), "it")
    assert expected in str(refused.value)
