"""audit/statistics/one_run.py: published values, the definition, level by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.statistics.one_run import one_run_epsilon, one_run_p


def test_published_p_value():
    """Steinke et al. 2023, appendix D: 75 of 100 guesses right is ordinary for an (ln 3, 0)-DP pipeline."""
    assert one_run_p(100, 100, 75, math.log(3), 0.0) == pytest.approx(0.5535, abs=1e-4)


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "delta", "epsilon"),
    [  # Steinke et al. 2023, appendix D and section 7
        (100, 100, 75, 0.0, 0.70221),
        (100, 100, 75, 1e-4, 0.69947),
        (1000, 100, 75, 1e-4, 0.67298),
        (100_000, 1510, 1439, 1e-5, 2.67585),
    ],
)
def test_published_lower_bounds(canaries, guesses, correct, delta, epsilon):
    assert one_run_epsilon(canaries, guesses, correct, delta, 0.05) == pytest.approx(epsilon, abs=1e-5)


@pytest.mark.parametrize(("m", "ceiling"), [(20, 1.82), (50, 2.7847), (100, 3.4930), (1000, 5.8091)])
def test_perfect_guesses_reach_the_ceiling(m, ceiling):
    found = one_run_epsilon(m, m, m, 0.0, 0.05)
    assert found == pytest.approx(ceiling, abs=0.005)
    root = 0.05 ** (1 / m)
    assert found == pytest.approx(math.log(root / (1 - root)), abs=1e-8)


@pytest.mark.parametrize(
    ("mu", "m", "power"),
    [(0.25, 100, 0.24), (0.25, 500, 0.72), (0.25, 1000, 0.93), (0.5, 100, 0.61), (0.5, 200, 0.85), (1.0, 50, 0.83)],
)
def test_canary_power_table(mu, m, power):
    """statistics.md 2.6: power to refute epsilon = 0 where each canary is guessed right with Phi(mu / 2)."""
    needed = next(v for v in range(m + 1) if one_run_p(m, m, v, 0.0, 0.0) <= 0.05)
    assert stats.binom.sf(needed - 1, m, stats.norm.cdf(mu / 2)) == pytest.approx(power, abs=0.006)


def upper_hull(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Strictly convex vertices of a ROC staircase, left to right."""
    hull: list[tuple[int, int]] = []
    for x, y in points:
        while len(hull) > 1:
            (a, b), (c, d) = hull[-2:]
            if (c - a) * (y - b) < (d - b) * (x - a):
                break
            hull.pop()
        hull.append((x, y))
    return hull


@pytest.mark.parametrize(("shift", "epsilon"), [(0, 0.0), (1, 1.13346), (2, 2.311945), (4, 4.395568)])
def test_agrees_with_an_independent_implementation(shift, epsilon):
    """jax_privacy's published figures for 10,000 + 10,000 normal quantiles, delta 1e-6, significance .05.

    Its division by the number of hull vertices depends on the data and is not ours; given the same counts and the
    same level, the bound must be the same.
    """
    n, delta = 10_000, 1e-6
    out = stats.norm.ppf((np.arange(n) + 0.5) / n)
    thresholds = np.append(np.union1d(out + shift, out), np.inf)
    missed, rejected = np.searchsorted(out + shift, thresholds), np.searchsorted(out, thresholds)
    vertices = upper_hull(list(zip(missed.tolist(), rejected.tolist(), strict=True)))
    level = 0.05 / len(vertices)
    counts = [(n - a, 2 * n - a - b) for a, b in vertices if a + b < 2 * n]
    best = 0.0
    # most promising first; a vertex that cannot refute the best bound so far cannot raise it
    for correct, guesses in sorted(counts, key=lambda c: -stats.beta.ppf(level, c[0], c[1] - c[0] + 1)):
        if stats.binom.sf(correct - 1, guesses, 1 / (1 + math.exp(-best))) < level and (
            one_run_p(2 * n, guesses, correct, best, delta) < level
        ):
            best = one_run_epsilon(2 * n, guesses, correct, delta, level)
    assert best == pytest.approx(epsilon, rel=1e-5)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 60), st.data(), st.floats(0, 4), st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0]))
def test_p_is_the_definition(canaries, data, epsilon, delta):
    guesses = data.draw(st.integers(0, canaries))
    correct = data.draw(st.integers(0, guesses))
    law = stats.binom(guesses, math.exp(epsilon) / (1 + math.exp(epsilon)))
    worst = max((sum(law.pmf(w) for w in range(correct - i, correct)) / i for i in range(1, correct + 1)), default=0)
    expected = min(1.0, law.sf(correct - 1) + 2 * canaries * delta * worst)
    p = one_run_p(canaries, guesses, correct, epsilon, delta)
    assert p == pytest.approx(expected, abs=1e-12)
    assert 0 < p <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.data(), st.sampled_from([0.0, 1e-6, 1e-3]), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_bound_inverts_p_and_is_monotone(canaries, data, delta, beta):
    guesses = data.draw(st.integers(1, canaries))
    correct = data.draw(st.integers(0, guesses - 1))
    bound = one_run_epsilon(canaries, guesses, correct, delta, beta)
    assert bound >= 0
    if bound > 0:
        for epsilon in np.linspace(0, bound - 1e-6, 5):
            assert one_run_p(canaries, guesses, correct, max(0.0, epsilon), delta) <= beta + 1e-9
    assert one_run_p(canaries, guesses, correct, bound + 1e-6, delta) > beta - 1e-9
    assert one_run_epsilon(canaries, guesses, correct + 1, delta, beta) >= bound - 1e-9
    assert one_run_epsilon(canaries, guesses, correct, delta, beta / 2) <= bound + 1e-9
    assert one_run_epsilon(canaries, guesses, correct, delta + 1e-3, beta) <= bound + 1e-9


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_level(epsilon):
    """Randomised response is exactly epsilon-DP: the bound exceeds epsilon in at most beta of the runs."""
    worlds, m = 2000, 80
    correct = np.random.default_rng(3).binomial(m, 1 / (1 + math.exp(-epsilon)), worlds)
    bounds = {v: one_run_epsilon(m, m, int(v), 0.0, 0.05) for v in np.unique(correct)}
    exceeded = sum(bounds[v] > epsilon for v in correct)
    assert exceeded <= stats.binom.ppf(0.999, worlds, 0.05)


def test_extreme_counts_stay_finite_and_positive():
    assert 0 < one_run_p(5000, 5000, 5000, 0.0, 0.0) < 1e-300
    assert one_run_p(10, 10, 10, 1e6, 0.0) == 1.0
    assert one_run_epsilon(10, 0, 0, 0.0, 0.05) == 0.0
    assert one_run_epsilon(10, 10, 10, 1.0, 0.05) == 0.0, "at delta = 1 everything is private"


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 0, 0, 1.0, 0.0),
        (10, 11, 5, 1.0, 0.0),
        (10, 5, 6, 1.0, 0.0),
        (10, 5, -1, 1.0, 0.0),
        (10, 5, 5, -1.0, 0.0),
        (10, 5, 5, 1.0, 1.5),
        (10, 5, 5, math.nan, 0.0),
        (10, 5, 5, 1.0, math.nan),
    ],
)
def test_refuses(arguments):
    with pytest.raises(ValueError, match="one_run_p"):
        one_run_p(*arguments)


@pytest.mark.parametrize("beta", [0.0, 1.0, math.nan])
def test_refuses_beta(beta):
    with pytest.raises(ValueError, match="beta"):
        one_run_epsilon(10, 10, 10, 0.0, beta)
