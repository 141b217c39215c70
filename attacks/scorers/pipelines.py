"""How well an unlearning procedure's traces can be told, per row and over pipelines.

Pipelines (trained, then unlearned) are the sampling unit. The worst rows are always chosen by chance too: their
figure is corrected by choosing and reading on different pipelines.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..base import Bools, Floats, Ints
from .lira import held_out

DECILE = 0.1


def hits(ratios: Floats, member: Bools) -> Floats:
    """1 where the sign of a log-likelihood ratio tells the coin, 1/2 where it is 0, else 0; (S, n)."""
    return np.asarray(np.where(member, np.heaviside(ratios, 0.5), np.heaviside(-ratios, 0.5)))


def aucs(ratios: Floats, member: Bools) -> Floats:
    """AUC of each pipeline over its rows, ties half, (S,); .5 where a pipeline has one side only."""
    inside = member.sum(axis=1)
    outside = member.shape[1] - inside
    ranks = stats.rankdata(ratios, axis=1)
    pairs = np.maximum(inside * outside, 1)
    found = ((ranks * member).sum(axis=1) - inside * (inside + 1) / 2) / pairs
    return np.asarray(np.where(inside * outside > 0, found, 0.5))


def worst_decile(told: Floats) -> float:
    """Mean accuracy over the tenth of the rows that are told best (uncorrected), from (S, n) hits."""
    accuracy = told.mean(axis=0)
    return float(accuracy[_best(accuracy)].mean())


def worst_decile_corrected(told: Floats, halves: int, rng: np.random.Generator) -> float:
    """The same, chosen on a random half of the pipelines and read on the other, averaged over ``halves`` draws."""
    values = []
    for _ in range(halves):
        order = rng.permutation(len(told))
        one, two = told[order[: len(told) // 2]].mean(axis=0), told[order[len(told) // 2 :]].mean(axis=0)
        values += [two[_best(one)].mean(), one[_best(two)].mean()]
    return float(np.mean(values))


def worst_decile_null(observed: Floats, member: Bools, permutations: int, rng: np.random.Generator) -> Floats:
    """Uncorrected worst decile where the coins say nothing: permuted over pipelines, each row's apart.

    Args:
        observed: signals, (S, n).
        member: (S, n) coins.
        permutations: number of draws.
        rng: generator.

    Returns:
        (permutations,) accuracies, from fits on the permuted coins.
    """
    draws = (rng.permuted(member, axis=0) for _ in range(permutations))
    return np.array([worst_decile(hits(held_out(observed, coins), coins)) for coins in draws])


def _best(accuracy: Floats) -> Ints:
    count = max(1, round(DECILE * len(accuracy)))
    return np.argsort(-accuracy, kind="stable")[:count]
