"""Hostile data sets in other formats than ``.npz``: tables, single arrays, folders of Hugging Face and of pictures."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import damage
from .arrays import MEMBERS
from .cases import DATA, MODELS, Case, Family, Place, audit, swapped

Sets = Mapping[str, tuple[Any, Any]]
ARROW, STATE = "data-00000-of-00001.arrow", "state.json"
#: what ``--forget`` names, and the file in it that is damaged
FORGET = {
    "csv": ("forget.csv", "forget.csv"),
    "tsv": ("forget.tsv", "forget.tsv"),
    "parquet": ("forget.parquet", "forget.parquet"),
    "npy": ("x_forget.npy", "x_forget.npy"),
    "npy labels": ("x_forget.npy", "y_forget.npy"),
    "arrow": ("forget.saved", f"forget.saved/{ARROW}"),
    "state": ("forget.saved", f"forget.saved/{STATE}"),
}
PICTURE = "forget.pictures/a/0.png"


def build(folder: Path, sets: Sets) -> None:
    """The forget set in every format, and all sets as folders of pictures."""
    x, y = sets["forget"]
    names = [f"c{i}" for i in range(x.shape[1])]
    rows = [[*row, label] for row, label in zip(x.tolist(), y.tolist(), strict=True)]
    for suffix, mark in (("csv", ","), ("tsv", "\t")):
        lines = [mark.join(map(str, line)) for line in ([*names, "y"], *rows)]
        (folder / f"forget.{suffix}").write_text("\n".join(lines) + "\n")
    parquet(folder / "forget.parquet", {**dict(zip(names, x.T, strict=True)), "y": y})
    np.save(folder / "x_forget.npy", x)
    np.save(folder / "y_forget.npy", y)
    (folder / "forget.saved").mkdir(exist_ok=True)
    arrow(folder / "forget.saved" / ARROW, {"x": x.tolist(), "y": y})
    (folder / "forget.saved" / STATE).write_text(json.dumps({"_data_files": [{"filename": ARROW}]}))
    _pictures(folder, sets)


def parquet(target: Any, columns: Mapping[str, Any], **options: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table(dict(columns)), target, **options)


def arrow(path: Path, columns: Mapping[str, Any]) -> None:
    import pyarrow as pa

    table = pa.table(dict(columns))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _pictures(folder: Path, sets: Sets) -> None:
    from PIL import Image

    for role, (_, y) in sets.items():
        for row, label in enumerate(y.tolist()):
            path = folder / f"{role}.pictures" / "abc"[label] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng([len(role), row]).integers(0, 255, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(values).save(path)


def _by_tables(place: Place, name: str) -> tuple[str, ...]:
    return swapped(audit(place), "--forget", str(place.folder / name))


def _by_pictures(place: Place) -> tuple[str, ...]:
    """All sets are pictures, and the models are outputs."""
    arguments = audit(place)
    for role in DATA:
        arguments = swapped(arguments, f"--{role}", str(place.folder / f"{role}.pictures"))
    for name in MODELS:
        arguments = swapped(arguments, f"--{name.partition('-')[0]}", str(place.folder / f"{name}.npz"))
    return arguments


def damaged(place: Place) -> Case:
    """Bytes of a file are not what they were."""
    kind = place.random.choice([*FORGET, "picture"])
    how = place.random.choice(damage.DAMAGES)
    file = PICTURE if kind == "picture" else FORGET[kind][1]
    place.write(file, how(place.bytes_of(file), place.random))
    arguments = _by_pictures(place) if kind == "picture" else _by_tables(place, FORGET[kind][0])
    return Case(f"{kind}/{how.__name__}", arguments, "forget", zero="plain")


def replaced(place: Place) -> Case:
    """Something else stands in the place of a file."""
    kind = place.random.choice([*FORGET, "picture"])
    stand_in = place.random.choice(damage.STAND_INS)
    file = PICTURE if kind == "picture" else FORGET[kind][1]
    stand_in(place.clear(file))
    arguments = _by_pictures(place) if kind == "picture" else _by_tables(place, FORGET[kind][0])
    # a folder without one of its pictures is a smaller set, and links within it are followed nowhere
    return Case(f"{kind}/{stand_in.__name__}", arguments, "forget", zero="plain" if kind == "picture" else "never")


# --- files that say what is not so


def _csv(chance: random.Random) -> bytes:
    header, row = b"c0,c1,c2,c3,c4,y\n", b"1,2,3,4,5,0\n"
    odd = chance.choice(
        (b"nan", b"inf", b"-inf", b"1e400", b"", b"=cmd|'/c calc'!A0", b'"', b"\x00", b"1" * 5000, b"0x10", b"1_0",
         "\u0661".encode(), b"\xff", b"True", b"None", b"1,1", b'"1\n2"', b"\x1b[31m")
    )  # fmt: skip
    return chance.choice(
        (
            header + row * 3 + row.replace(b"3", odd) + row * 3,
            header.replace(b"c1", odd) + row * 6,
            header,
            header + row[:7] + b"\n",
            b"c0," * 20_000 + b"y\n" + b"1," * 20_000 + b"0\n",
            header.replace(b"c1", b"c0") + row * 6,
            row * 6,
            b"\xef\xbb\xbf" + header + row[:-2] + b"\n",
            header.replace(b"y", b"z") + row * 6,
        )
    )


def _parquet(chance: random.Random) -> bytes:
    columns: dict[str, Any] = {f"c{i}": np.arange(12.0) for i in range(5)} | {"y": np.arange(12) % 3}
    odd = chance.choice(
        (
            {"c0": np.full(12, np.nan)},
            {"c0": np.full(12, np.inf)},
            {"c0": np.full(12, 1e300)},
            {"c0": [None] * 12},
            {"c0": ["x"] * 12},
            {"c0": [b"\xff\xfe"] * 12},
            {"c0": [{"a": 1}] * 12},
            {"c0": [[1.0]] * 11 + [[1.0, 2.0]]},
            {"c0": [[[1.0], [2.0, 3.0]]] * 12},
            {"c0": np.arange(12).astype("datetime64[s]")},
            {"y": np.full(12, np.nan)},
            {"y": np.arange(12) - 2**62},
            {"y": [None] * 12},
            {"y": np.arange(12) / 3},
        )
    )
    if chance.random() < 0.3:  # two million rows in a few kilobytes
        columns, odd = {"c0": np.zeros(2 * 10**6, np.float32)}, {"y": np.zeros(2 * 10**6, np.int8)}
    stream = io.BytesIO()
    parquet(stream, {**columns, **odd}, compression=chance.choice(("none", "snappy", "zstd")))
    return stream.getvalue()


def _state(chance: random.Random) -> bytes:
    files = chance.choice(
        (
            "../forget.npz", "/etc/passwd", "/dev/zero", "gone.arrow", "", ".", "a\nb", 7, None, ["x"], {"a": 1},
            "x" * 5000, "\ud800",
        )
    )  # fmt: skip
    document: Any = {"_data_files": [{"filename": files}]}
    document = chance.choice(
        (document, {"_data_files": []}, {"_data_files": files}, {}, [], None, "x", {"_data_files": [files] * 3},
         {"_data_files": [{"filename": ARROW}] * 100_000}, json.loads("[" * 500 + "]" * 500))
    )  # fmt: skip
    return json.dumps(document).encode()


def _png(chance: random.Random) -> bytes:
    """A picture whose header claims what its pixels are not, or that is none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    width, height = chance.choice(((6, 6), (60_000, 60_000), (2**31 - 1, 1), (0, 6), (100_000, 10), (7, 7)))
    head = struct.pack(">IIBBBBB", width, height, *chance.choice(((8, 2), (16, 6), (1, 3), (8, 9))), 0, 0, 0)
    text = chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(50_000_000))) if chance.random() < 0.2 else b""
    pixels = zlib.compress(bytes(chance.choice((114, 3, 50_000_000))))
    sound = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + text + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return chance.choice(
        (sound, sound, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + sound, b"%!PS\n(canary) run\n")
    )


LIES: dict[str, Callable[[random.Random], bytes]] = {
    "csv": _csv,
    "parquet": _parquet,
    "npy": lambda chance: chance.choice(MEMBERS)(chance),
    "npy labels": lambda chance: chance.choice(MEMBERS)(chance),
    "state": _state,
    "picture": _png,
}


def lying(place: Place) -> Case:
    """A file of the format that says what is not so."""
    kind = place.random.choice(list(LIES))
    file = PICTURE if kind == "picture" else FORGET[kind][1]
    place.write(file, LIES[kind](place.random))
    arguments = _by_pictures(place) if kind == "picture" else _by_tables(place, FORGET[kind][0])
    return Case(f"{kind}/lying", arguments, "forget", zero="plain")


FAMILIES: tuple[Family, ...] = (damaged, lying, replaced)
