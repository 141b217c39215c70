"""audit/statistics/features.py: the definitions, label-blindness, ranks, ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.statistics.features import FEATURES, features
from audit.statistics.permutation import permutation_max_t

LOCATION, UPPER, LOWER, SPREAD = range(4)


def test_definitions():
    z = np.random.default_rng(0).normal(size=200)
    result = features(z)
    ordered = np.sort(z)
    squares = (z - np.median(z)) ** 2
    assert FEATURES == ("location", "upper", "lower", "spread")
    np.testing.assert_allclose(result[LOCATION], z - z.mean())
    np.testing.assert_allclose(result[UPPER], (z > ordered[189]) - 0.05)
    np.testing.assert_allclose(result[LOWER], (z < ordered[10]) - 0.05)
    np.testing.assert_allclose(result[SPREAD], np.minimum(squares, np.sort(squares)[189]))
    assert (result[UPPER] > 0).sum() == (result[LOWER] > 0).sum() == 10  # one row in twenty


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(0, 2**31), st.integers(0, 3))
def test_row_order_does_not_matter_and_each_model_stands_alone(n, seed, decimals):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(3, n)).round(decimals)
    result, order = features(z), rng.permutation(n)
    assert result.shape == (3, 4, n)
    np.testing.assert_allclose(features(z[:, order]), result[..., order], atol=1e-12)
    for row, own in zip(z, result, strict=True):
        np.testing.assert_array_equal(features(row), own)
    np.testing.assert_array_equal(features(-z)[:, [LOWER, UPPER]], result[:, [UPPER, LOWER]])


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 90), st.integers(0, 2**31), st.integers(0, 3))
def test_tails_depend_on_ranks_alone(n, seed, decimals):
    z = np.random.default_rng(seed).normal(size=n).round(decimals)
    base = features(z)
    for transform in (lambda s: np.exp(3 * s), np.arctan, lambda s: 1e6 * s - 7):
        np.testing.assert_array_equal(features(transform(z))[[UPPER, LOWER]], base[[UPPER, LOWER]])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**31))
def test_ties_never_fill_a_tail(n, seed):
    """At most one row in twenty lies beyond a quantile; a block of ties at the quantile lies within."""
    z = np.random.default_rng(seed).integers(0, 4, n).astype(float)
    result = features(z)
    assert (result[UPPER] > 0).sum() <= n // 20
    assert (result[LOWER] > 0).sum() <= n // 20


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6 + 0.1, -1e100, 1e-300])
def test_constant_scores_say_nothing(value):
    result = features(np.full((2, 50), value))
    assert not result.any()
    test = permutation_max_t(result[0], 20, 99, np.random.default_rng(0))
    assert test.p == 1.0
    assert not test.statistic.any()


def test_an_outlier_does_not_silence_the_spread():
    """One wild row moves the mean and makes an unclipped square an indicator of that row."""
    rng = np.random.default_rng(1)
    z = np.r_[0.3 * rng.normal(size=100), rng.normal(size=200)]
    z[150] = 1e4
    spread, square = features(z)[SPREAD], (z - z.mean()) ** 2
    assert permutation_max_t(spread[None], 100, 999, np.random.default_rng(0)).p == 0.001
    assert permutation_max_t(square[None], 100, 999, np.random.default_rng(0)).p > 0.05


@pytest.mark.parametrize(
    ("feature", "change"),
    [
        (LOCATION, lambda z, _rng: z + 0.6),
        (UPPER, lambda z, rng: z + 3 * (rng.random(z.shape) < 0.1)),
        (LOWER, lambda z, rng: z - 3 * (rng.random(z.shape) < 0.1)),
        (SPREAD, lambda z, _rng: 0.5 * z),
    ],
)
def test_each_feature_sees_its_kind_of_leak(feature, change):
    rng = np.random.default_rng(2)
    forget, holdout = rng.normal(size=300), rng.normal(size=600)
    found = permutation_max_t(features(np.r_[change(forget, rng), holdout]), 300, 999, np.random.default_rng(0))
    assert found.adjusted[feature] <= 0.01
    assert np.argmax(np.abs(found.statistic)) == feature


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [np.inf, 1.0]])
def test_refuses(scores):
    with pytest.raises(ValueError, match="features"):
        features(np.array(scores))
