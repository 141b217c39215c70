"""What is to be trained: the rows, one job a model, and the address of each model by its content."""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attacks.base import Inputs, Ints
from audit.inputs.recipe import RecipeSection
from audit.record.digest import KEY_BYTES
from audit.record.version import VERSION

FORMAT = 1  # raise it when the same recipe comes to train another model
Mode = Literal["vectorised", "single"]
MODES: tuple[Mode, ...] = ("vectorised", "single")


@dataclass(frozen=True, eq=False)
class Pool:
    """All rows that may be trained on.

    Attributes:
        x: inputs (N, ...) or a mapping of such arrays.
        y: classes (N,), or numbers or flags (N, k).
    """

    x: Inputs
    y: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.y)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """``y`` and ``x``, or ``x.<name>`` of named inputs."""
        named = {f"x.{k}": v for k, v in self.x.items()} if isinstance(self.x, Mapping) else {"x": self.x}
        return {**named, "y": self.y}

    def take(self, rows: Ints) -> Pool:
        """The rows ``rows`` (n,), in that order."""
        return pool_of({name: array[rows] for name, array in self.arrays().items()})

    def canonical(self) -> Pool:
        """As models see it: floats as float32, everything else as int64.

        Raises:
            ValueError: there are no rows, or the arrays have unlike lengths.
        """
        arrays = {
            name: np.ascontiguousarray(a, dtype=np.float32 if np.asarray(a).dtype.kind == "f" else np.int64)
            for name, a in self.arrays().items()
        }
        if not len(self) or len({len(array) for array in arrays.values()}) != 1:
            raise ValueError("a pool needs rows, as many of inputs as of labels")
        return pool_of(arrays)


def pool_of(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Pool:
    """The pool that ``Pool.arrays`` came from; other names are ignored."""
    named = {name[2:]: array for name, array in arrays.items() if name.startswith("x.")}
    return Pool(named or arrays["x"], arrays["y"])


@dataclass(frozen=True, eq=False)
class Job:
    """One model.

    Attributes:
        name: for people, such as ``shadow 12``; unique within a call.
        rows: sorted rows of the pool to train on, (n,), n >= 1.
        seed: of the weights, the order of the rows and all other randomness; >= 0.
        unlearn: rows to be unlearned after the training by the user's procedure, a proper subset of ``rows``.
        steps_rows: nominal number of rows that sets the number of steps; None = n.
    """

    name: str
    rows: Ints
    seed: int
    unlearn: Ints | None = None
    steps_rows: int | None = None


@dataclass(frozen=True)
class Steps:
    """How long one model is trained: ``count`` steps of ``batch`` rows each."""

    count: int
    batch: int


def steps_of(recipe: RecipeSection, rows: int, nominal: int | None) -> Steps:
    """Steps of the built-in recipe for ``rows`` rows; ``nominal`` rows, where given, set their number."""
    nominal = nominal or rows
    count = math.ceil(recipe.epochs * nominal / min(recipe.batch_size, nominal))
    return Steps(count, min(recipe.batch_size, rows))


def check_jobs(jobs: Sequence[Job], pool: Pool, recipe: RecipeSection) -> None:
    """Check that the jobs can be meant.

    Raises:
        ValueError: a mistake of the caller, not of the user.
    """
    if len({job.name for job in jobs}) != len(jobs):
        raise ValueError("two jobs have the same name")
    for job in jobs:
        rows = job.rows
        if not len(rows) or rows[0] < 0 or rows[-1] >= len(pool) or (np.diff(rows) <= 0).any() or job.seed < 0:
            raise ValueError(f"{job.name}: rows must be sorted, distinct rows of the pool, and the seed >= 0")
        if job.unlearn is not None:
            if recipe.unlearn is None:
                raise ValueError(f"{job.name} is to be unlearned, and the recipe names no unlearn")
            if not 0 < len(np.unique(job.unlearn)) < len(rows) or not np.isin(job.unlearn, rows).all():
                raise ValueError(f"{job.name}: the rows to unlearn must be some, not all, of its rows")


@dataclass(frozen=True)
class Sources:
    """SHA-256 of the source files that decide what a model is; "" where there is none."""

    arch: str
    train: str = ""
    unlearn: str = ""


class Addresses:
    """Content addresses of models: keyed digests, since they cover personal data.

    A model's address depends on the recipe, the sources, the content and place of its own rows, its seed and the
    versions, and on nothing else: not on its name, nor on the other jobs.

    Args:
        recipe: the recipe.
        arch: ``package.module:factory``.
        sources: digests of the files behind ``arch`` and the user's functions.
        pool: canonical pool.
        key: 32 secret bytes.
    """

    def __init__(self, recipe: RecipeSection, arch: str, sources: Sources, pool: Pool, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a commitment key has {KEY_BYTES} bytes, this one has {len(key)}")
        self._key = key
        self._rows = _row_digests(pool, key)
        versions = {"torch": importlib.metadata.version("torch"), "tool": VERSION, "format": FORMAT}
        self._common = {"recipe": recipe.resolved(), "arch": arch, "arch source": sources.arch, "versions": versions}
        self._common["train source"] = sources.train
        self._unlearn = {"unlearn": recipe.unlearn, "unlearn source": sources.unlearn}

    def trained(self, job: Job, mode: Mode) -> str:
        """Address of the model before unlearning, 64 hex digits."""
        return self._address(
            {
                **self._common,
                "mode": mode,
                "seed": job.seed,
                "steps rows": job.steps_rows,
                "rows": _places(job.rows),
                "content": hmac.digest(self._key, self._rows[job.rows].tobytes(), "sha256").hex(),
            }
        )

    def of(self, job: Job, mode: Mode) -> str:
        """Address of the job's model, 64 hex digits."""
        trained = self.trained(job, mode)
        if job.unlearn is None:
            return trained
        return self._address({"base": trained, "rows": _places(np.sort(job.unlearn)), **self._unlearn})

    def _address(self, parts: Mapping[str, Any]) -> str:
        return hmac.digest(self._key, json.dumps(parts, sort_keys=True).encode(), "sha256").hex()


def _places(rows: Ints) -> str:
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


def _row_digests(pool: Pool, key: bytes) -> np.ndarray[Any, Any]:
    """HMAC-SHA256 of each row, (N, 32) uint8: every job's content is a digest of some of them."""
    arrays = pool.arrays()
    layout = json.dumps([[name, a.dtype.str, a.shape[1:]] for name, a in sorted(arrays.items())]).encode()
    parts = [np.ascontiguousarray(a).reshape(len(pool), -1).view(np.uint8) for _, a in sorted(arrays.items())]
    digests = np.empty((len(pool), 32), np.uint8)
    for row in range(len(pool)):
        content = b"".join([layout, *(part[row].tobytes() for part in parts)])
        digests[row] = np.frombuffer(hmac.digest(key, content, "sha256"), np.uint8)
    return digests
