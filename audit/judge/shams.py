"""Sham audits (statistics.md 9.4a): pseudo-forget sets inside the holdout set, which no model has seen.

A family that finds a leak of rows that nobody trained on tests something else than it says: it is invalid then and
can neither FAIL nor PASS. The pseudo-forget sets are drawn at random, so that a sham rejects by chance with the
chance below alone; they check the scores and the test, not the pipeline of the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.base import Floats, Ints
from audit.statistics.model_level import t_family
from audit.statistics.permutation import permutation_max_t

LEVEL = 0.01  # chance that the shams of a valid family reject (statistics.md G2)


@dataclass(frozen=True)
class Shams:
    """The sham audits of one family.

    Attributes:
        smallest: smallest p over the shams; 1 where none could run.
        count: how many ran.
        bar: what ``smallest`` must stay above: .01 over the number of shams.
    """

    smallest: float
    count: int

    @property
    def bar(self) -> float:
        """Bonferroni: the shams share a model and are not independent."""
        return LEVEL / max(self.count, 1)

    @property
    def ok(self) -> bool:
        """No sham rejected."""
        return self.smallest > self.bar


def sham_d2(holdout: Floats, shams: int, permutations: int, rng: np.random.Generator, strata: Ints | None) -> Shams:
    """Each of ``shams`` disjoint parts of the holdout scores (A, n_H) against the rest, by permutation."""
    p = []
    for part, rest in _parts(holdout.shape[1], shams, rng):
        order = np.concatenate([part, rest])
        codes = None if strata is None else strata[order]
        p.append(permutation_max_t(holdout[:, order], len(part), permutations, rng, codes).p)
    return Shams(min(p, default=1.0), len(p))


def sham_d1(holdout: Sequence[Floats], shams: int, rng: np.random.Generator) -> Shams:
    """The audited model's contrast of each part against the references' contrasts, by t.

    Args:
        holdout: per attack (K + 1, n_H) scores, the audited model in row 0.
        shams: number of parts.
        rng: generator.
    """
    p = []
    for part, rest in _parts(holdout[0].shape[1], shams, rng):
        statistics = np.stack([scores[:, part].mean(axis=1) - scores[:, rest].mean(axis=1) for scores in holdout])
        floors = [np.sqrt(scores[1:].var(axis=1).mean() * (1 / len(part) + 1 / len(rest))) for scores in holdout]
        p.append(t_family(statistics, np.array(floors)).p)
    return Shams(min(p, default=1.0), len(p))


def _parts(n: int, shams: int, rng: np.random.Generator) -> list[tuple[Ints, Ints]]:
    """Disjoint random parts of the rows with their complements; none where they would have fewer than ten rows."""
    if shams == 0 or n // (shams + 1) < 10:
        return []
    order = rng.permutation(n)
    size = n // (shams + 1)
    return [
        (order[i * size : (i + 1) * size], np.concatenate([order[: i * size], order[(i + 1) * size :]]))
        for i in range(shams)
    ]
