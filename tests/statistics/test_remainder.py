"""The visible remainder: its value, its interval, and where it is undefined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from audit.statistics.remainder import _Pieces, _Tail, visible_remainder
from audit.statistics.sample_size import remainder_bound, remainder_rows

Q = 0.05


def world(
    rng: np.random.Generator, share: float, strength: float, n: tuple[int, int] = (300, 600), shift: float = 1.1
) -> tuple[Any, Any, float]:
    """Audited model and original with half of their variance in common on a row; the true remainder."""
    common = [rng.normal(size=size) for size in n]

    def seen(c: Any) -> Any:
        return (c + rng.normal(size=len(c))) / math.sqrt(2)

    original = seen(common[0]) + shift, seen(common[1])
    audited = seen(common[0]) + shift * strength * (rng.random(n[0]) < share), seen(common[1])
    z = stats.norm.isf(Q)
    left = share * stats.norm.sf(z - shift * strength) + (1 - share) * Q
    return audited, original, float((left - Q) / (stats.norm.sf(z - shift) - Q))


def test_the_original_itself_is_fully_visible_and_scale_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    audited, original, _ = world(rng, 0.3, 1.0)
    own = visible_remainder(original, original, Q, 0.9, rng)
    assert (own.value, own.low, own.high) == (1.0, 1.0, 1.0)
    one = visible_remainder(audited, original, Q, 0.9, np.random.default_rng(1))
    other = visible_remainder(
        (np.exp(audited[0]), np.exp(audited[1])),
        (3 * original[0] - 7, 3 * original[1] - 7),
        Q,
        0.9,
        np.random.default_rng(1),
    )
    assert one == other


def test_it_is_undefined_where_the_original_shows_nothing() -> None:
    rng = np.random.default_rng(2)
    flat = np.zeros(100), np.zeros(200)
    audited, original, _ = world(rng, 0.5, 1.0)
    assert math.isnan(visible_remainder((audited[0][:100], audited[1][:200]), flat, Q, 0.9, rng).value)
    below = original[0] - 9, original[1]
    assert math.isnan(visible_remainder(audited, below, Q, 0.9, rng).value)
    found = visible_remainder(flat, (original[0][:100], original[1][:200]), Q, 0.9, rng)  # ties are no members
    assert found.value < 0


def test_weights_count_rows_as_copies_would() -> None:
    rng = np.random.default_rng(3)
    forget, holdout = rng.integers(0, 12, size=40).astype(float), rng.integers(0, 12, size=60).astype(float)
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=5), rng.multinomial(60, np.full(60, 1 / 60), size=5)
    tail = _Tail(forget, holdout, Q)
    rates = tail.at(tail.forget_rank, tail.holdout_rank)(*weights)
    for at in range(5):
        copies = np.sort(np.repeat(holdout, weights[1][at]))[::-1]
        threshold = copies[3]  # at most 5 % of 60 rows score higher than the fourth
        assert rates[at] == pytest.approx((np.repeat(forget, weights[0][at]) > threshold).mean())


def test_lumps_say_what_their_rows_say() -> None:
    """Rows beyond the reach of any threshold are drawn together: no rate of any model changes."""
    rng = np.random.default_rng(4)
    sides = [rng.normal(size=(2, n)) for n in (3000, 8000)]
    tails = [_Tail(forget, holdout, Q) for forget, holdout in zip(*sides, strict=True)]
    ranks = [[tail.forget_rank for tail in tails], [tail.holdout_rank for tail in tails]]
    bands = [[tail.forget_band for tail in tails], [tail.holdout_band for tail in tails]]
    pieces = [_Pieces(*side) for side in zip(ranks, bands, strict=True)]
    weights = [rng.poisson(1.0, size=(20, n)) for n in (3000, 8000)]
    lumped = [_summed(*side) for side in zip(weights, ranks, bands, pieces, strict=True)]
    for m, tail in enumerate(tails):
        whole = tail.at(ranks[0][m], ranks[1][m])(*weights)
        np.testing.assert_array_equal(tail.at(pieces[0].keys[m], pieces[1].keys[m])(*lumped), whole)
    assert [len(side.count) for side in pieces] < [1500, 5000]
    assert [side.count.sum() for side in pieces] == [3000, 8000]


def _summed(weights: Any, ranks: Any, bands: Any, pieces: _Pieces) -> Any:
    """Weights of the pieces: of single rows as they are, of lumps the sum of theirs."""
    where = [np.where(r < a, -1, np.where(r < b, r, len(r))) for r, (a, b) in zip(ranks, bands, strict=True)]
    single = np.any([(w >= 0) & (w < weights.shape[1]) for w in where], axis=0)
    found = [weights[:, single]]
    for place in range(int(single.sum()), len(pieces.count)):
        inside = ~single & np.all([w == key[place] for w, key in zip(where, pieces.keys, strict=True)], axis=0)
        found.append(weights[:, inside].sum(axis=1, keepdims=True))
    return np.concatenate(found, axis=1)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("share", "strength"), [(0.1, 1.0), pytest.param(0.0, 1.0, marks=SLOW), pytest.param(1.0, 0.5, marks=SLOW)]
)
def test_its_interval_covers(share: float, strength: float) -> None:
    rng = np.random.default_rng(int(100 * share) + 7)
    worlds, low, high = 40, 0, 0
    for _ in range(worlds):
        audited, original, true = world(rng, share, strength)
        found = visible_remainder(audited, original, Q, 0.9, rng)
        low += found.low > true
        high += found.high < true
    worst = stats.binom.isf(0.001, worlds, 0.05)
    assert low <= worst
    assert high <= worst


def test_the_planned_bound_and_rows_agree_with_what_is_found() -> None:
    rng = np.random.default_rng(5)
    rate = float(stats.norm.sf(stats.norm.isf(Q) - 1.1))
    beyond = []
    for _ in range(8):
        audited, original, _ = world(rng, 0.0, 1.0)
        found = visible_remainder(audited, original, Q, 0.9, rng)
        beyond.append(found.high - found.value)
    assert np.mean(beyond) == pytest.approx(remainder_bound(300, 600, rate, Q, 0.05), abs=0.03)
    rows = remainder_rows(300, 600, rate, Q, 0.1, 0.05)
    assert rows is not None
    assert remainder_bound(rows, 2 * rows, rate, Q, 0.05) < 0.1 < remainder_bound(300, 600, rate, Q, 0.05)
    assert remainder_rows(300, 600, Q, Q, 0.1, 0.05) is None
