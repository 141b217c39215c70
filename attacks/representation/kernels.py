"""Similarity of two sets of features of the same rows: debiased linear CKA and orthogonal Procrustes distance."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats

DEGENERATE = 1e-8  # our choice: variance below this share of the mean square is rounding


def centred_gram(features: Floats) -> Floats:
    """Gram matrix (n, n) of features (n, d), each unit minus its mean."""
    centred = features - features.mean(axis=0)
    return np.asarray(centred @ centred.T)


def degenerate(features: Floats) -> bool:
    """The features (n, d) are the same in every row, up to rounding."""
    variance = float(((features - features.mean(axis=0)) ** 2).sum())
    return variance <= DEGENERATE * float((features**2).sum())


def hsic(one: Floats, two: Floats) -> float:
    """Unbiased estimator of HSIC from two Gram matrices (n, n), n >= 4. Song et al. 2012, equation 5.

    [tr(KL) + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1] / (n (n - 3)), both with zeroed diagonals. A constant
    added to a row's and column's entries cancels.
    """
    n = len(one)
    k, m = (matrix - np.diag(np.diag(matrix)) for matrix in (one, two))
    sums, others = k.sum(axis=1), m.sum(axis=1)
    trace = float((k * m).sum())
    product = float(sums.sum() * others.sum())
    return (trace + product / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(sums @ others)) / (n * (n - 3))


def cka(one: Floats, two: Floats) -> float:
    """Debiased CKA of two Gram matrices, about 0 for independent features, 1 for equal ones; 0 where one is constant.

    Kornblith et al. 2019 with the estimator above; slightly negative values are chance.
    """
    own, other = hsic(one, one), hsic(two, two)
    if min(own, other) <= 0:
        return 0.0
    return float(np.clip(hsic(one, two) / np.sqrt(own * other), -1.0, 1.0))


def procrustes(one: Floats, two: Floats) -> float:
    """Orthogonal Procrustes distance of features (n, d) and (n, d'), in [0, 2]: 2 - 2 ||A'B||_*.

    Both are centred and scaled to Frobenius norm 1; rotations, reflections and scale cost nothing. Constant features
    lie at 2 from everything. Williams et al. 2021, arXiv 2110.14739.
    """
    parts = []
    for features in (one, two):
        centred = features - features.mean(axis=0)
        if degenerate(features):
            return 2.0
        if centred.shape[1] > len(centred):  # a rotation to as many units as rows changes nothing
            centred = np.asarray(np.linalg.qr(centred.T, mode="r")).T
        parts.append(centred / np.linalg.norm(centred))
    nuclear = np.linalg.svd(parts[0].T @ parts[1], compute_uv=False).sum()
    return float(2 - 2 * min(nuclear, 1.0))
