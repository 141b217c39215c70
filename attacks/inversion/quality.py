"""How good reconstructions are: matched to rows, in figures alone."""

from __future__ import annotations

import warnings

import numpy as np

from attacks.base import Floats, Ints

from .common import correlations

WINDOW = 7  # scikit-image's own for SSIM


def pairs(similarity: Floats) -> tuple[Ints, Ints]:
    """The assignment of k reconstructions to n rows with the largest sum, one to one: (min(k, n),) indices each."""
    from scipy.optimize import linear_sum_assignment

    one, two = linear_sum_assignment(similarity, maximize=True)
    return np.asarray(one, dtype=np.int64), np.asarray(two, dtype=np.int64)


def nearest(found: Floats, rows: Floats, centre: Floats) -> Floats:
    """Largest centred cosine of each row to any reconstruction, (n,); 0 where there is none.

    Forget rows and decoys are treated alike, so that a row that is one more decoy has any rank with equal chance.
    """
    return np.asarray(correlations(found, rows, centre).max(axis=0) if len(found) else np.zeros(len(rows)))


def matched(found: Floats, rows: Floats, centre: Floats) -> Floats:
    """Centred cosines of matched reconstructions and rows, (min(k, n),)."""
    if not len(found):
        return np.zeros(0)
    similarity = correlations(found, rows, centre)
    return np.asarray(similarity[pairs(similarity)])


def psnr(found: Floats, rows: Floats, span: float) -> Floats:
    """Peak signal-to-noise ratio of pairs (n, ...), 10 log10(span^2 / MSE) in dB, at most 100 (equal pairs)."""
    error = np.square(found - rows).reshape(len(rows), -1).mean(axis=1) / span**2
    return np.asarray(-10 * np.log10(np.maximum(error, 1e-10)))


def ssim(found: Floats, rows: Floats, span: float) -> Floats:
    """Structural similarity of pairs of pictures (n, channels, H, W) in [-1, 1]; empty for anything else or smaller.

    Wang et al. 2004, by scikit-image with its window of 7 pixels.
    """
    if rows.ndim != 4 or min(rows.shape[2:]) < WINDOW:
        return np.zeros(0)
    from skimage.metrics import structural_similarity

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = [
            structural_similarity(a, b, data_range=span, channel_axis=0, win_size=WINDOW)  # type: ignore[no-untyped-call]
            for a, b in zip(found, rows, strict=True)
        ]
    return np.asarray(values, dtype=np.float64)
