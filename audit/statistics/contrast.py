"""Mean of the forget rows minus mean of the holdout rows, as family D2 tests it: within strata where there are any."""

from dataclasses import dataclass

import numpy as np

from attacks.base import Floats, Ints


@dataclass(frozen=True)
class Contrast:
    """A difference of means.

    Attributes:
        value: forget minus holdout.
        se: its standard error.
        null_sd: its standard deviation under permuted labels.
    """

    value: float
    se: float
    null_sd: float


def contrast(scores: Floats, n_forget: int, strata: Ints | None = None) -> Contrast:
    """Difference of means; with strata g the mean of the differences within them, weighted by n_Fg n_Hg / n_g.

    These weights make ``value / null_sd`` the statistic of ``permutation_max_t``. Strata with rows on one side alone
    say nothing and have weight 0. The spread of each side is pooled over the strata.

    Args:
        scores: (n,), forget rows first.
        n_forget: n_F, in [2, n - 2].
        strata: (n,) code of each row's stratum, or None for one stratum.

    Raises:
        ValueError: no stratum has rows on both sides.
    """
    n = len(scores)
    codes = np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    forget = np.arange(n) < n_forget
    counts = [np.bincount(codes[side], minlength=codes.max() + 1).astype(float) for side in (forget, ~forget)]
    n_f, n_h = counts
    weight = n_f * n_h / (n_f + n_h)
    if not weight.any():
        raise ValueError("contrast: no stratum has rows on both sides")
    share = weight / weight.sum()
    means = [_means(scores[side], codes[side], count) for side, count in zip((forget, ~forget), counts, strict=True)]
    variances = [
        _pooled_variance(scores[side] - mean[codes[side]], count)
        for side, mean, count in zip((forget, ~forget), means, counts, strict=True)
    ]
    mixed = weight > 0
    error = sum(v * (share[mixed] ** 2 / count[mixed]).sum() for v, count in zip(variances, counts, strict=True))
    both = n_f + n_h
    centred = scores - _means(scores, codes, both)[codes]
    squares = np.bincount(codes, weights=centred**2, minlength=len(both))
    permuted = (weight * squares / np.maximum(both - 1, 1)).sum()
    return Contrast(
        value=float((share * (means[0] - means[1])).sum()),
        se=float(np.sqrt(error)),
        null_sd=float(np.sqrt(permuted) / weight.sum()),
    )


def _means(values: Floats, codes: Ints, counts: Floats) -> Floats:
    return np.asarray(np.bincount(codes, weights=values, minlength=len(counts)) / np.maximum(counts, 1))


def _pooled_variance(residuals: Floats, counts: Floats) -> float:
    degrees = len(residuals) - int((counts > 0).sum())
    return float((residuals**2).sum() / max(degrees, 1))
