"""The permutation test (family D2): forget and holdout labels are exchangeable under an honest retrain."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attacks.base import Floats, Ints

from .weights import relative_size

CHUNK_BYTES = 64 * 2**20  # permuted label rows held at a time, as float64
KEPT_BYTES = 128 * 2**20  # of relabellings that several tests share, one bit a label
Bytes = npt.NDArray[np.uint8]
TIE = 1e-9  # statistics nearer than this, relative to the largest, are ties


@dataclass(frozen=True)
class MaxT:
    """Result of a max-T test over A statistics.

    Attributes:
        p: p-value of the global null, in (0, 1].
        adjusted: (A,) step-down adjusted p-values (family-wise), in (0, 1].
        statistic: (A,) signed standardised contrasts; > 0 = forget rows score higher.
    """

    p: float
    adjusted: Floats
    statistic: Floats


def permutation_max_t(
    scores: Floats,
    n_forget: int,
    permutations: int,
    rng: np.random.Generator,
    strata: Ints | None = None,
    weights: Floats | None = None,
) -> MaxT:
    """Two-sided permutation max-T test that forget and holdout rows score alike.

    T_a = (mean_F s_a - mean_H s_a) / (sd_a sqrt(1/n_F + 1/n_H)) with the pooled sd, which no relabelling changes;
    p = (1 + #{b: max|T_b| >= max|T|}) / (B + 1). Exact at any n for scores that do not depend on which rows are
    forget rows. Adjusted p-values by step-down (Westfall & Young 1993; Ge, Dudoit & Speed 2003, box 2). Ties count
    against rejection; a constant score has T = 0.

    With strata g, scores are centred within each and labels permuted within each. T_a is then the sum of the forget
    rows' centred scores over its permutation sd, sqrt(sum_g n_Fg n_Hg SS_g / (n_g (n_g - 1))): the same T for one
    stratum. A stratum whose rows all lie on one side (a single row does) carries no information: nothing can be
    relabelled in it and its centred sum is 0.

    With weights w the minimum of 2 Phi(-|T_a|) / w_a takes the place of the maximum of |T_a|, calibrated by the same
    permutations: statistics of more weight need less, and the level is as exact.

    Args:
        scores: (A, n_F + n_H), finite, forget rows first.
        n_forget: n_F, in [1, n - 1].
        permutations: B >= 1.
        rng: generator.
        strata: (n,) code of each row's stratum, or None for one stratum.
        weights: (A,), > 0, or None for equal ones.

    Returns:
        The test's result.

    Raises:
        ValueError: empty or non-finite input, n_F out of range, strata of another length than the rows, or no
            stratum with rows on both sides.
    """
    attacks, n = scores.shape
    if attacks == 0 or not 0 < n_forget < n or permutations < 1:
        raise ValueError("permutation_max_t needs scores, rows on both sides and at least one permutation")
    if strata is not None and np.shape(strata) != (n,):
        raise ValueError(f"permutation_max_t: {np.shape(strata)} strata for {n} rows")
    return max_t(scores, Relabellings(n, n_forget, permutations, rng, strata), weights)


def max_t(scores: Floats, relabellings: Relabellings, weights: Floats | None = None) -> MaxT:
    """The test of ``permutation_max_t`` by relabellings that several tests of the same rows share.

    Raises:
        ValueError: non-finite scores.
    """
    if not np.isfinite(scores).all():
        raise ValueError("permutation_max_t: scores must be finite")
    labels = relabellings.labels
    contributions = _standardised(scores[:, relabellings.order], labels, relabellings.slices).T
    observed = labels.astype(float) @ contributions
    exceed, drawn = np.zeros(len(scores)), 0
    for block in relabellings.blocks():
        exceed += exceedances(observed, block.astype(float) @ contributions, weights)
        drawn += len(block)
    adjusted = step_down(observed, (1 + exceed) / (drawn + 1), weights)
    return MaxT(p=float(adjusted.min()), adjusted=adjusted, statistic=observed)


class Relabellings:
    """Which rows count as forget rows in each permutation.

    Drawn once, in blocks, and kept at one bit a row up to ``KEPT_BYTES``; what is beyond each test draws again.
    Arguments as in ``permutation_max_t``.

    Attributes:
        order: of the rows, sorted by stratum, so that each stratum is one slice of columns.
        slices: the strata.
        labels: 1 = a forget row, in that order.
    """

    def __init__(
        self, n: int, n_forget: int, permutations: int, rng: np.random.Generator, strata: Ints | None = None
    ) -> None:
        codes = np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
        self.order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(codes[self.order]) != 0])
        self.slices = [slice(start, stop) for start, stop in zip(starts, [*starts[1:], n], strict=True)]
        self.labels = (self.order < n_forget).astype(np.uint8)
        self._mixed = [part for part in self.slices if 0 < self.labels[part].sum() < part.stop - part.start]
        if not self._mixed:
            raise ValueError("permutation_max_t: no stratum has rows on both sides")
        rows = max(1, CHUNK_BYTES // (8 * n))
        sizes = [min(rows, permutations - start) for start in range(0, permutations, rows)]
        stream, room = rng.spawn(1)[0], 8 * KEPT_BYTES  # a stream of its own, whatever the caller draws next
        self._kept: list[Bytes] = []
        while len(self._kept) < len(sizes) and (size := sizes[len(self._kept)]) * n <= room:
            self._kept.append(np.packbits(self._draw(size, stream), axis=1))
            room -= size * n
        self._sizes, self._rest = sizes[len(self._kept) :], stream

    def blocks(self) -> Iterator[Bytes]:
        """Permuted labels, (b, n) each; the same in each call."""
        for packed in self._kept:
            yield np.unpackbits(packed, axis=1, count=len(self.labels))
        stream = deepcopy(self._rest)
        for size in self._sizes:
            yield self._draw(size, stream)

    def _draw(self, size: int, rng: np.random.Generator) -> Bytes:
        # one byte per label: the shuffle is bound by memory, and 3 times as fast as on floats
        block = np.tile(self.labels, (size, 1))
        for part in self._mixed:
            block[:, part] = rng.permuted(block[:, part], axis=1)
        return block


def exceedances(observed: Floats, drawn: Floats, weights: Floats | None = None) -> Floats:
    """How often relabelled statistics reach each observed one, for the step-down max-T.

    The null of the r-th largest |T| is the maximum over the statistics ranked r and below (Ge, Dudoit & Speed 2003,
    box 2). Ties, up to rounding, count as reached.

    Args:
        observed: (A,).
        drawn: (B, A) statistics under relabellings.
        weights: (A,), > 0, or None for equal ones.

    Returns:
        (A,) counts out of B, in the order of ``observed``.
    """
    size = _size(observed, weights)
    order = np.argsort(-size, kind="stable")
    ranked = size[order]
    maxima = np.maximum.accumulate(_size(drawn, weights)[:, order[::-1]], axis=1)[:, ::-1]
    counts = np.empty(len(observed))
    counts[order] = (maxima >= ranked - TIE * max(1.0, float(ranked[0]))).sum(axis=0)
    return counts


def step_down(observed: Floats, p: Floats, weights: Floats | None = None) -> Floats:
    """Adjusted p-values (A,): no statistic's p may lie below that of a larger statistic."""
    order = np.argsort(-_size(observed, weights), kind="stable")
    adjusted = np.empty(len(observed))
    adjusted[order] = np.maximum.accumulate(p[order])
    return adjusted


def _size(statistics: Floats, weights: Floats | None) -> Floats:
    """What is compared: |T|, or its p over the weight, in logarithms; equal weights order as none do."""
    if weights is None or np.ptp(weights) <= 1e-12 * weights.max():
        return np.abs(statistics)
    return relative_size(statistics, weights)


def _standardised(scores: Floats, labels: np.ndarray, slices: list[slice]) -> Floats:
    """Scores centred within strata and divided by the permutation sd of their sum over the forget rows."""
    centred = np.empty_like(scores)
    variance = np.zeros((len(scores), 1))
    for part in slices:
        block = scores[:, part]
        n, n_forget = block.shape[1], int(labels[part].sum())
        centred[:, part] = block - block.mean(axis=1, keepdims=True)
        squares = (centred[:, part] ** 2).sum(axis=1, keepdims=True)
        variance += n_forget * (n - n_forget) * squares / (n * max(n - 1, 1))
    # constant within every mixed stratum, up to rounding
    sd = np.sqrt(variance / len(labels))
    constant = sd <= 1e-12 * np.maximum(1.0, np.abs(scores).max(axis=1, keepdims=True))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, np.sqrt(variance)))
