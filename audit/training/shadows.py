"""The design of what a run trains: references on the retain set, shadow models and pipelines on coin-flipped rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from attacks.base import Bools, Inputs, Ints
from audit.inputs.data import Arrays
from audit.inputs.sets import Selection

from .jobs import Job, Pool

#: enters the seed of every model, so that the three kinds share none
KINDS = {"reference": 1, "shadow": 2}


@dataclass(frozen=True, eq=False)
class Design:
    """All rows that any model trains on, in one pool: the retain file, then forget and holdout rows.

    Attributes:
        pool: inputs and labels.
        retain: number of retain rows, the first ones of the pool.
        units: unit of each forget and holdout row (data subject, or the row itself): one coin each, (n_F + n_H,).
        seed: the run's seed.
    """

    pool: Pool
    retain: int
    units: Ints
    seed: int

    def reference(self, index: int) -> Job:
        """A retrain from scratch on the retain set alone."""
        return Job(f"reference {index}", np.arange(self.retain), self._seed("reference", index))

    def coins(self, index: int) -> Bools:
        """Membership of forget and holdout rows in shadow ``index``: independent fair coins, (n_F + n_H,).

        Never exact halves: with those the other shadows' counts betray the target's own coin. Each shadow has a
        generator of its own, so that more shadows leave the first ones as they are.
        """
        rng = np.random.default_rng([self.seed, 0xC0, index])
        return np.asarray(rng.random(int(self.units.max()) + 1) < 0.5)[self.units]

    def shadow(self, index: int) -> Job:
        """A model trained on the retain set and the rows of its coins."""
        return self._job(f"shadow {index}", index, unlearn=False)

    def pipeline(self, index: int) -> Job:
        """The same model, made to forget the rows of its coins by the user's own procedure."""
        return self._job(f"pipeline {index}", index, unlearn=True)

    def _job(self, name: str, index: int, *, unlearn: bool) -> Job:
        chosen = self.retain + np.flatnonzero(self.coins(index))
        nominal = self.retain + round(len(self.units) / 2)  # training length must not follow the coins
        return Job(
            name,
            np.concatenate([np.arange(self.retain), chosen]),
            self._seed("shadow", index),
            chosen if unlearn else None,
            nominal,
        )

    def _seed(self, kind: str, index: int) -> int:
        return int(np.random.SeedSequence([self.seed, KINDS[kind], index]).generate_state(1)[0])


def make_design(files: Mapping[str, Arrays], selection: Mapping[str, Selection], seed: int) -> Design:
    """Pool and units of a case.

    Raises:
        ValueError: the data have no inputs.
    """
    sides = [files[selection[role].source].take(selection[role].rows) for role in ("forget", "holdout")]
    parts = [files["retain"], *sides]
    groups = [side.group for side in sides]
    if all(group is not None for group in groups):
        names = np.concatenate([group.astype(str) for group in groups if group is not None])
        units = np.unique(names, return_inverse=True)[1]
    else:
        units = np.arange(sum(len(side) for side in sides))
    return Design(joined(parts), len(files["retain"]), units, seed)


def joined(parts: list[Arrays]) -> Pool:
    """The rows of several sets, one after another.

    Raises:
        ValueError: a set has no inputs.
    """
    return Pool(_inputs(parts), np.concatenate([part.y if part.targets is None else part.targets for part in parts]))


def _inputs(parts: list[Arrays]) -> Inputs:
    inputs = [part.batch(np.arange(len(part))) for part in parts]
    arrays = [x for x in inputs if not isinstance(x, Mapping)]
    if len(arrays) == len(inputs):
        return np.concatenate(arrays)
    named = [x for x in inputs if isinstance(x, Mapping)]
    return {name: np.concatenate([x[name] for x in named]) for name in named[0]}
