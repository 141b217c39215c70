"""Hostile ``.npz`` files: archives, headers and values of data sets and of precomputed outputs."""

from __future__ import annotations

import io
import os
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from .archives import ARCHIVES, Members, header, members_of, npy, packed
from .cases import DATA, MODELS, Case, Family, Place, Zero, audit, swapped
from .sound import CLASSES, ROWS

HUGE = (10**6, 10**9, 2**31, 2**40, 2**63 - 1, 2**64, 10**30)


class Payload:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch canary",)


# --- one member's bytes


def declared_shape(chance: random.Random) -> bytes:
    sides = [str(chance.choice((*HUGE, 0, 1, -1, -(2**63)))) for _ in range(chance.randrange(1, 5))]
    return header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({', '.join(sides)},)}}".encode(), bytes(240))


def declared_type(chance: random.Random) -> bytes:
    descr = chance.choice(
        (
            "'|O'", "'<U0'", "'<U500000000'", "'|V8'", "'<c16'", "'<m8[D]'", "'<M8[ns]'", "'<f16'", "'<f2'", "'>f4'",
            "'|b1'", "[('a', '<f4'), ('b', '|O')]", "('<f4', (1000000, 1000000))", "'<i8'", "'float128'", "''", "7",
            "None", "'<f4<f4'", "'" + "a" * 3000 + "'", "[('a', " * 300,
        )
    )  # fmt: skip
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': (24, 5)}}".encode(), bytes(480))


def odd_header(chance: random.Random) -> bytes:
    text = chance.choice(
        (b"", b"{}", b"[]", b"__import__('os').system('touch canary')", b"(" * 9000, b"{'descr': " + b"[" * 5000,
         b"{'descr': '<f4', 'fortran_order': 3, 'shape': (24, 5)}", b"{'descr': '<f4', 'shape': (24, 5)}",
         b"{'descr': '<f4', 'fortran_order': False, 'shape': 24}", b"\xff\xfe" * 40, b"{'a': 1" + b"0" * 6000 + b"}",
         b"{'descr': '<f4', 'fortran_order': False, 'shape': (24L, 5L)}", b"{'descr':\n'<f4',\n  'x", b"  a\n b\n  c",
         b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 5)}", b"x" * 70000)
    )  # fmt: skip
    text = text[:65000]
    return header(text, bytes(480), chance.choice(((1, 0), (2, 0), (3, 0), (9, 9))))


def objects(chance: random.Random) -> bytes:
    return chance.choice((npy(np.array([Payload()] * 24, dtype=object)), pickle.dumps(Payload())))


MEMBERS: tuple[Callable[[random.Random], bytes], ...] = (declared_shape, declared_type, odd_header, objects)

# --- the values of one array (the sound one in, another out)

X: tuple[Callable[[Any], Any], ...] = (
    lambda x: np.where(np.arange(len(x))[:, None] == 3, np.nan, x),
    lambda x: x * np.inf,
    lambda x: x.astype(np.float64) * 1e300,
    lambda x: x[:0],
    lambda x: x[:-1],
    lambda x: x[:, :0],
    lambda x: x[:, :2],
    lambda x: x[:, None, :, None],
    lambda x: np.float32(3.0),
    lambda x: x.astype("<U9"),
    lambda x: x.astype("S9"),
    lambda x: x.astype(complex) * np.nan,
    lambda x: x.astype(np.longdouble),
    lambda x: x.astype(object),
    lambda x: x.astype("datetime64[s]"),
    lambda x: x.astype(bool),
    lambda x: np.zeros(len(x), dtype=[("a", "<f4")]),
    lambda x: np.full(x.shape, 2**63, dtype=np.uint64),
)
Y: tuple[Callable[[Any], Any], ...] = (
    lambda y: y + 1000,
    lambda y: y - 5,
    lambda y: y.astype(float),
    lambda y: y.astype(float) * np.nan,
    lambda y: y.astype(bool),
    lambda y: y.astype(str),
    lambda y: y[:0],
    lambda y: y[:-2],
    lambda y: y[:, None],
    lambda y: np.int64(1),
    lambda y: y.astype(np.uint64) + np.uint64(2**63),
    lambda y: y.astype(object),
    lambda y: y + 0j,
    lambda y: y.astype("timedelta64[s]"),
)
NAMES: tuple[Callable[[Any], Any], ...] = (
    lambda y: np.zeros(len(y)) * np.nan,
    lambda y: np.zeros(len(y), dtype=int),
    lambda y: np.array(["\ud800"] * len(y)),
    lambda y: np.zeros((len(y), 2)),
    lambda y: np.array([None] * len(y)),
    lambda y: np.zeros(len(y), dtype=complex),
    lambda y: np.zeros(3),
    lambda y: np.array("a"),
    lambda y: y.astype("datetime64[D]"),
)
SETS = (("x", X), ("y", Y), ("ids", NAMES))


def _data_case(place: Place, family: str, change: Callable[[Members], bytes], zero: Zero = "never") -> Case:
    role = place.random.choice(DATA)
    place.write(f"{role}.npz", change(members_of(place.bytes_of(f"{role}.npz"))))
    return Case(f"data/{family}", audit(place), role, zero=zero)


def member(place: Place) -> Case:
    """One member is hostile in itself."""
    make, key = place.random.choice(MEMBERS), place.random.choice(("x.npy", "y.npy", "ids.npy", "group.npy"))
    content = make(place.random)
    return _data_case(
        place, make.__name__, lambda found: packed([*(m for m in found if m[0] != key), (key, content)]), "plain"
    )


def values(place: Place) -> Case:
    """One array has values that are none of a data set."""
    key, changes = place.random.choice(SETS)
    number = place.random.randrange(len(changes))

    def change(found: Members) -> bytes:
        arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(content)) for name, content in found}
        stream = io.BytesIO()
        np.savez(stream, **{**arrays, key: changes[number](arrays[key])})
        return stream.getvalue()

    return _data_case(
        place, f"{key} {number}", change, "same" if key == "y" else "never"
    )  # a column may be read as labels


def archive(place: Place) -> Case:
    """The archive is hostile."""
    chance = place.random
    make = chance.choice(ARCHIVES)
    return _data_case(place, make.__name__, lambda found: make(found, chance))


OUTPUTS: tuple[tuple[str, Any], ...] = (
    *((role, np.full((3, 3), value)) for role in DATA for value in (np.nan, 1.0)),
    *((role, np.ones((ROWS[role], columns)) + np.eye(ROWS[role], columns)) for role in DATA for columns in (1, 2, 7)),
    *((role, np.ones((ROWS[role], CLASSES)) / CLASSES * np.array([0.5, 1, 1.5])) for role in DATA),
    *(("test", value) for value in (np.zeros(0), np.zeros((24, 0)), np.zeros((24, 3, 1)), np.float64(1))),
    ("test", np.zeros(24, "U1")),
    *(("n_classes", value) for value in (True, 3.0, np.nan, [3], -1, 0, 1, 10**12, "3", None, 2**63, 3 + 0j, b"3")),
    *(("test", np.full(24, value)) for value in (-1, 3, 10**12, 2.5, True)),
)  # fmt: skip


def outputs(place: Place) -> Case:
    """Precomputed outputs that are none."""
    name, kind = place.random.choice(MODELS), place.random.choice(("", "-labels"))
    key, value = place.random.choice(OUTPUTS)
    arguments = audit(place)
    for other in MODELS:
        arguments = swapped(arguments, f"--{other.partition('-')[0]}", str(place.folder / f"{other}{kind}.npz"))
    found = {n.removesuffix(".npy"): np.load(io.BytesIO(c)) for n, c in members_of(place.bytes_of(f"{name}{kind}.npz"))}
    stream = io.BytesIO()
    np.savez(stream, **{**found, key: np.asarray(value)})
    place.write(f"{name}{kind}.npz", stream.getvalue())
    return Case(f"outputs{kind}/{key}", arguments, name.partition("-")[0])


FAMILIES: tuple[Family, ...] = (member, values, archive, member, values, outputs)
