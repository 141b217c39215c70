"""Files of every data format with changed bytes: arrays, or one line; no other end, and no memory beyond a bound.

It found: pyarrow ends the process where the statistics of a parquet column are damaged and one asks for them.
"""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from audit.inputs.options import DataOptions
from audit.inputs.source import read_source

SAVED = Path(__file__).parent / "saved"
EDGES = (0, 127, 128, 255)
RNG = np.random.default_rng(0)


def made(folder: Path) -> list[tuple[Path, Path]]:
    """What is read, and the file in it that is damaged."""
    lists = {"v": [[1, 2], [3], [4, 5, 6]], "attention_mask": [[1, 1], [1], [1, 1, 1]]}
    names = pa.array(["x", "y", "x"]).dictionary_encode()
    pq.write_table(
        pa.table({**lists, "ids": ["a", "b", "c"], "label": names}), folder / "a.parquet", compression="zstd"
    )
    rows = np.arange(300)
    pq.write_table(pa.table({"a": rows / 2, "b": rows, "y": rows % 3}), folder / "b.parquet")
    pd.DataFrame({"a": [1, 2], "y": [0, 1]}).to_csv(folder / "c.csv", index=False)
    np.save(folder / "x_a.npy", np.eye(5))
    np.save(folder / "y_a.npy", np.arange(5))
    shutil.copytree(SAVED / "pictures", folder / "saved")
    (folder / "pictures" / "cat").mkdir(parents=True)
    for kind in ("png", "jpg", "bmp", "webp", "ppm"):
        picture = Image.fromarray(RNG.integers(0, 255, (6, 7, 3), dtype=np.uint8))
        picture.save(folder / "pictures" / "cat" / f"a.{kind}")
    alone = [folder / name for name in ("a.parquet", "b.parquet", "c.csv", "x_a.npy")]
    inside = [folder / "saved" / name for name in ("data-00000-of-00001.arrow", "state.json")]
    inside += sorted((folder / "pictures" / "cat").iterdir())
    return [(file, file) for file in alone] + [(folder / file.relative_to(folder).parts[0], file) for file in inside]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        found[rng.integers(len(found))] = rng.choice([*EDGES, rng.integers(256)])
    return bytes(found[: rng.integers(len(found))] if rng.random() < 0.15 else found)


@pytest.mark.parametrize("times", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_changed_bytes_end_in_arrays_or_in_one_line(tmp_path: Path, times: int) -> None:
    before, rng, refused = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, np.random.default_rng(2), 0
    for source, file in made(tmp_path):
        sound = file.read_bytes()
        for _ in range(times):
            file.write_bytes(damaged(sound, rng))
            try:
                read_source(source, DataOptions(), "it")
            except ValueError as error:
                refused += 1
                assert "\n" not in str(error)  # noqa: PT017 - reading is right, too
        file.write_bytes(sound)
        read_source(source, DataOptions(), "it")
    assert refused > times
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024  # KiB: twice 256 MiB and a batch
