"""Likelihood ratios against shadow models: Gaussians per example, with shrunk variance.

Carlini et al. 2022 (arXiv 2112.03570), algorithm 1. In place of the switch between one variance for all examples and
one each, every example's variance is shrunk towards the pooled within-example residual variance, IN and OUT apart.
Nothing is estimated from the models that are scored.

Every function reads (S, n) arrays block by block along the examples, so they may be memory-mapped, of any float type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Bools, Floats

PRIOR_DF = 4.0  # our choice: weight of the pooled variance, in models
MIN_COUNT = 2  # our choice: models a side below which an example's own mean is not used
BLOCK = 4096  # examples a block: 64 models of float64 are 2 MiB, about a core's cache

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Side:
    """What the models of one side say of each example: count, mean and sum of squared deviations, same shape."""

    count: Floats
    mean: Floats
    squares: Floats

    def pooled(self) -> Floats:
        """Residual variance over all examples: squares over degrees of freedom, (..., 1); 0 without any."""
        freedom = np.maximum(self.count - 1, 0).sum(axis=-1, keepdims=True)
        total = np.where(self.count > 1, self.squares, 0.0).sum(axis=-1, keepdims=True)
        return np.asarray(np.divide(total, freedom, out=np.zeros_like(total), where=freedom > 0))

    def variance(self) -> Floats:
        """Predictive variance: (nu0 * pooled + squares) / (nu0 + count - 1), times 1 + 1 / count for the mean."""
        freedom = np.maximum(self.count - 1, 0)
        shrunk = (PRIOR_DF * self.pooled() + np.where(self.count > 1, self.squares, 0.0)) / (PRIOR_DF + freedom)
        return np.asarray(shrunk * (1 + 1 / np.maximum(self.count, 1)))


@dataclass(frozen=True, eq=False)
class Normals:
    """One Gaussian for IN and one for OUT per example; arrays (n,), or (S, n) where models were left out.

    ``few`` counts the examples with fewer than ``MIN_COUNT`` models on a side: their mean there is the other side's
    plus (IN) or minus (OUT) the mean difference over the other examples, their variance the pooled one.
    """

    mean_in: Floats
    variance_in: Floats
    mean_out: Floats
    variance_out: Floats
    few: int

    def ratio(self, targets: Array) -> Floats:
        """log N(target; in) - log N(target; out), in nats; higher = more like a member.

        Args:
            targets: signals, (J, n), or (S, n) for Gaussians of that shape.

        Returns:
            float64 of the same shape.
        """
        inside = (targets - self.mean_in) ** 2 / self.variance_in + np.log(self.variance_in)
        outside = (targets - self.mean_out) ** 2 / self.variance_out + np.log(self.variance_out)
        return np.asarray((outside - inside) / 2, dtype=np.float64)


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover n examples, ``size`` at a time."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def sides(shadows: Array, member: Array) -> tuple[Side, Side]:
    """Count, mean and squares of the IN and of the OUT models for each example, in one pass.

    Args:
        shadows: signals, (S, n).
        member: (S, n) booleans, True = trained on the example.
    """
    n = shadows.shape[1]
    found = np.empty((6, n))
    for part in blocks(n):
        x = shadows[:, part].astype(np.float64)
        inside = member[:, part].astype(np.float64)
        centre = x.mean(axis=0)
        x -= centre  # keeps the sums of squares accurate
        weighted = inside * x
        count, total, square = inside.sum(axis=0), weighted.sum(axis=0), np.einsum("sb,sb->b", weighted, x)
        rest = len(x) - count, -total, np.einsum("sb,sb->b", x, x) - square  # x sums to 0
        for row, (c, t, q) in zip((0, 3), ((count, total, square), rest), strict=True):
            _moments(c, t, q, centre, found[row : row + 3, part])
    return Side(*found[:3]), Side(*found[3:])


def _moments(count: Floats, total: Floats, square: Floats, centre: Floats, out: Floats) -> None:
    mean = total / np.maximum(count, 1)
    out[0], out[1], out[2] = count, mean + centre, np.maximum(square - total * mean, 0.0)


def normals(inside: Side, outside: Side) -> Normals:
    """The Gaussians of both sides.

    Raises:
        ValueError: the models of one side agree exactly on every example, so no scale exists.
    """
    enough_in, enough_out = inside.count >= MIN_COUNT, outside.count >= MIN_COUNT
    both = enough_in & enough_out
    shared = np.maximum(both.sum(axis=-1, keepdims=True), 1)
    gap = np.where(both, inside.mean - outside.mean, 0.0).sum(axis=-1, keepdims=True) / shared
    variance_in, variance_out = inside.variance(), outside.variance()
    if not (variance_in.min() > 0 and variance_out.min() > 0):
        raise ValueError("the shadow models agree exactly: they are no independent models")
    return Normals(
        np.where(enough_in, inside.mean, outside.mean + gap),
        variance_in,
        np.where(enough_out, outside.mean, inside.mean - gap),
        variance_out,
        int((~both).sum()),
    )


def fit(shadows: Array, member: Array) -> Normals:
    """Gaussians per example from S shadow models; arguments as ``sides``."""
    return normals(*sides(shadows, member))


def online(targets: Array, shadows: Array, member: Array) -> Floats:
    """Online LiRA: the log-likelihood ratio of J models on n examples.

    Args:
        targets: signals of the models to score, (J, n).
        shadows: signals of the shadow models, (S, n), none of them among the targets.
        member: (S, n) booleans, True = trained on the example.

    Returns:
        (J, n), in nats; higher = more like a member.
    """
    return in_blocks(targets, fit(shadows, member))


def in_blocks(targets: Array, fitted: Normals) -> Floats:
    """``Normals.ratio`` of (J, n) targets, block by block."""
    scores = np.empty(targets.shape)
    for part in blocks(targets.shape[1]):
        local = Normals(
            fitted.mean_in[part], fitted.variance_in[part], fitted.mean_out[part], fitted.variance_out[part], 0
        )
        scores[:, part] = local.ratio(targets[:, part])
    return scores


def offline(target: Array, references: Array) -> Floats:
    """Offline LiRA of one model, one-sided: (s - mean) / sd of models that never saw the example.

    The same figure as row 0 of ``attacks.calibration.leave_one_out`` over (target, references), for arrays too large
    to hold at once.

    Args:
        target: signal of the model to score, (n,).
        references: signals of K >= 2 other models, (K, n).

    Returns:
        (n,); strictly increasing in the target's signal.

    Raises:
        ValueError: fewer than two references, or they agree exactly.
    """
    if len(references) < 2:
        raise ValueError("offline needs two references for a scale")
    moments = np.empty((2, references.shape[1]))
    for part in blocks(references.shape[1]):
        x = references[:, part].astype(np.float64)
        mean = x.mean(axis=0)
        x -= mean
        moments[0, part], moments[1, part] = mean, np.einsum("kb,kb->b", x, x)
    side = Side(np.full(references.shape[1], float(len(references))), moments[0], moments[1])
    variance = side.variance()
    if not variance.min() > 0:
        raise ValueError("the references agree exactly: they are no independent models")
    return np.asarray((target - side.mean) / np.sqrt(variance))


def held_out(shadows: Floats, member: Bools) -> Floats:
    """Each shadow model scored by Gaussians fitted on all the others, (S, n): no model is scored by its own fit.

    Closed form: the sums of the others are the totals less the model's own. Arguments as ``sides``; the arrays are
    held in memory a few times over.

    Raises:
        ValueError: the models of one side agree exactly on every example.
    """
    x = shadows - shadows.mean(axis=0)
    found = []
    for side in (member.astype(np.float64), (~member).astype(np.float64)):
        count, total, square = ((side * power).sum(axis=0) - side * power for power in (np.ones_like(x), x, x**2))
        mean = total / np.maximum(count, 1)
        found.append(Side(count, mean, np.maximum(square - total * mean, 0.0)))
    return normals(found[0], found[1]).ratio(x)
