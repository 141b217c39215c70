"""What a score can show about a forget set: four label-blind features per example (statistics.md 2.1)."""

import numpy as np

from attacks.base import Floats

FEATURES = ("location", "upper", "lower", "spread")
TAIL = 20  # our choice: a tail is one row in twenty


def features(scores: Floats) -> Floats:
    """Four features of each score, from the pooled rows alone: no label enters, so labels stay exchangeable.

    location = z - mean(z); upper = 1[z > q95] - .05; lower = 1[z < q05] - .05; spread = min((z - median)^2, q95 of
    it): clipped, and around the median, so that single outliers do not decide. The quantiles are order statistics:
    at most floor(n / 20) rows lie beyond each, fewer where rows are tied with it (below 20 rows none, and the tails
    are silent). Upper and lower depend on ranks alone. Each model's features use its own row only, so models stay
    exchangeable too.

    Args:
        scores: (n,) or (J, n), forget and holdout rows together, n >= 1.

    Returns:
        (4, n) or (J, 4, n), in the order of ``FEATURES``. All zero where scores are constant up to rounding.

    Raises:
        ValueError: empty or non-finite input.
    """
    if scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError("features needs finite scores of at least one row")
    beyond = scores.shape[-1] // TAIL  # rows in a tail
    low, high = _order_statistics(scores, beyond, -1 - beyond)
    result = np.empty((*scores.shape[:-1], len(FEATURES), scores.shape[-1]))
    location, upper, lower, spread = (result[..., i, :] for i in range(len(FEATURES)))  # views to fill
    location[:] = scores - scores.mean(axis=-1, keepdims=True)
    upper[:] = (scores > high) - 1 / TAIL
    lower[:] = (scores < low) - 1 / TAIL
    np.square(scores - np.median(scores, axis=-1, keepdims=True), out=spread)
    np.minimum(spread, _order_statistics(spread, -1 - beyond)[0], out=spread)
    constant = np.ptp(scores, axis=-1) <= 1e-12 * np.maximum(1.0, np.abs(scores).max(axis=-1))
    result[constant] = 0.0
    return result


def _order_statistics(values: Floats, *ranks: int) -> list[Floats]:
    """Values of these ranks (negative: from the top) along the last axis, which is kept."""
    n = values.shape[-1]
    kth = [rank % n for rank in ranks]
    ordered = np.partition(values, kth, axis=-1)
    return [ordered[..., k : k + 1] for k in kth]
