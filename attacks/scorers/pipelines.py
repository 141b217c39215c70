"""How well an unlearning procedure's traces can be told, per row and over pipelines.

Pipelines (trained, then unlearned) are the sampling unit. The worst rows are always chosen by chance too: their
figure is corrected by choosing on some pipelines and reading on others that had no part in the fit.
"""

from __future__ import annotations

import numpy as np

from attacks.base import Bools, Floats, Ints

from .lira import fit, held_out

DECILE = 0.1


def hits(ratios: Floats, member: Bools) -> Floats:
    """1 where the sign of a log-likelihood ratio tells the coin, 1/2 where it is 0, else 0; (S, n)."""
    return np.asarray(np.where(member, np.heaviside(ratios, 0.5), np.heaviside(-ratios, 0.5)))


def aucs(ratios: Floats, member: Bools) -> Floats:
    """AUC of each pipeline over its rows, ties half, (S,); .5 where a pipeline has one side only."""
    from scipy import stats

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


def worst_decile_corrected(observed: Floats, member: Bools, halves: int, rng: np.random.Generator) -> float:
    """The same with fit and choice on a random half of the pipelines, read on the other; averaged over ``halves``.

    Choosing alone on one half is not enough: models that were scored by fits on each other agree on what chance gave
    a row (.53 in place of .50 for 32 pipelines of pure noise, measured).

    Args:
        observed: signals, (S, n).
        member: (S, n) coins.
        halves: number of random halves, each used both ways round.
        rng: generator.
    """
    values = []
    for _ in range(halves):
        order = rng.permutation(len(observed))
        one, two = order[: len(order) // 2], order[len(order) // 2 :]
        values += [_read_apart(observed, member, one, two), _read_apart(observed, member, two, one)]
    return float(np.mean(values))


def _read_apart(observed: Floats, member: Bools, fitting: Ints, reading: Ints) -> float:
    """Accuracy on the ``reading`` pipelines over the rows that the ``fitting`` ones choose, by their fit."""
    chosen = _best(hits(held_out(observed[fitting], member[fitting]), member[fitting]).mean(axis=0))
    ratios = fit(observed[fitting], member[fitting]).ratio(observed[reading])
    return float(hits(ratios, member[reading])[:, chosen].mean())


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


def record_p(own: Floats, observed: Floats, member: Bools) -> Floats:
    """Rank of the audited model among the pipelines that never used a row, per row; one-sided, ties count against.

    p = (1 + #{never used: s >= own}) / (1 + number never used): exact where the audited model never used it either.

    Args:
        own: (n,) signal of the audited model.
        observed: (S, n) of the pipelines.
        member: (S, n), True = trained on the row and unlearned.

    Returns:
        (n,) in (0, 1].
    """
    above = ((observed >= own) & ~member).sum(axis=0)
    return np.asarray((1 + above) / (1 + (~member).sum(axis=0)))
