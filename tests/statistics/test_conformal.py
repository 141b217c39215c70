"""audit/statistics/conformal.py: ranks, Benjamini-Yekutieli, what references can discover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from audit.statistics.conformal import benjamini_yekutieli, conformal_p, needed_discoveries


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 2**31), st.integers(0, 2))
def test_conformal_p_is_the_definition_and_rank_based(k, n, seed, decimals):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(k + 1, n)).round(decimals)
    p = conformal_p(scores)
    assert ((p > 0) & (p <= 1)).all()
    for i in range(n):
        assert p[i] == (1 + sum(scores[j, i] >= scores[0, i] for j in range(1, k + 1))) / (k + 1)
    np.testing.assert_array_equal(conformal_p(np.arctan(scores)), p)
    order = np.r_[0, 1 + rng.permutation(k)]
    np.testing.assert_array_equal(conformal_p(scores[order]), p)


def test_ties_count_against_discovery():
    assert conformal_p(np.ones((20, 3))).tolist() == [1.0, 1.0, 1.0]
    assert conformal_p(np.array([[5.0], [5.0], [1.0], [2.0]]))[0] == 0.5


def test_conformal_p_is_uniform_on_its_lattice_for_an_honest_model():
    p = conformal_p(np.random.default_rng(0).standard_cauchy(size=(5, 20_000)))
    counts = np.bincount((p * 5).round().astype(int), minlength=6)[1:]
    assert stats.chisquare(counts).pvalue > 0.001


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=40))
def test_benjamini_yekutieli_is_statsmodels(p):
    adjusted = benjamini_yekutieli(np.array(p))
    np.testing.assert_allclose(adjusted, multipletests(p, method="fdr_by")[1], atol=1e-12)
    assert ((adjusted >= p) & (adjusted <= 1)).all()
    order = np.random.default_rng(0).permutation(len(p))
    np.testing.assert_allclose(benjamini_yekutieli(np.array(p)[order]), adjusted[order])


def test_benjamini_yekutieli_holds_the_false_discovery_rate_under_dependence():
    worlds, n, q, rng = 1000, 40, 0.1, np.random.default_rng(1)
    share = 0.0
    for _ in range(worlds):
        common = rng.normal()
        z = 0.8 * common + 0.6 * rng.normal(size=n)
        z[:5] += 4
        rejected = benjamini_yekutieli(np.clip(stats.norm.sf(z), 1e-300, 1)) <= q
        share += rejected[5:].sum() / max(1, rejected.sum())
    assert share / worlds <= q


def test_the_designs_example():
    """statistics.md 9.4e: at n = 200 and K = 64, 181 records must reach the floor together."""
    assert needed_discoveries(200, 64, 0.1) == 181


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 400), st.sampled_from([0.05, 0.1, 0.2]))
def test_needed_discoveries_is_the_turning_point(n, references, q):
    needed = needed_discoveries(n, references, q)

    def found(k: int) -> bool:
        p = np.ones(n)
        p[:k] = 1 / (references + 1)
        return bool((benjamini_yekutieli(p)[:k] <= q + 1e-12).all())

    if needed is None:
        assert not found(n)
    else:
        assert found(needed)
        assert needed == 1 or not found(needed - 1)


@pytest.mark.parametrize("scores", [np.zeros((1, 3)), np.zeros((2, 0)), np.zeros(3), np.full((2, 2), np.nan)])
def test_conformal_p_refuses(scores):
    with pytest.raises(ValueError, match="conformal_p"):
        conformal_p(scores)


@pytest.mark.parametrize("p", [[], [0.0], [1.1], [np.nan], [-0.1, 0.5]])
def test_benjamini_yekutieli_refuses(p):
    with pytest.raises(ValueError, match="benjamini_yekutieli"):
        benjamini_yekutieli(np.array(p))


@pytest.mark.parametrize("arguments", [(0, 5, 0.1), (5, 0, 0.1), (5, 5, 0.0), (5, 5, 1.0)])
def test_needed_discoveries_refuses(arguments):
    with pytest.raises(ValueError, match="needed_discoveries"):
        needed_discoveries(*arguments)
