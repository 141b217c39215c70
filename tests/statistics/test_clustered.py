"""audit/statistics/clustered.py: Obuchowski's AUC error, by its definition and by coverage."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from audit.statistics.clustered import auc_clustered
from audit.statistics.intervals import auc_delong


def clustered(clusters: int, correlation: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    codes = np.repeat(np.arange(clusters), rng.integers(1, 12, clusters))
    shared = rng.normal(size=clusters)[codes]
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=len(codes)), codes


def obuchowski(forget, holdout, forget_codes, holdout_codes) -> float:
    """The published formula, in O(n^2) and cluster by cluster."""
    psi = (forget[:, None] > holdout) + 0.5 * (forget[:, None] == holdout)
    v10, v01, area = psi.mean(axis=1), psi.mean(axis=0), psi.mean()
    m, n = psi.shape
    names = np.union1d(forget_codes, holdout_codes)
    left = [v10[forget_codes == c].sum() - (forget_codes == c).sum() * area for c in names]
    right = [v01[holdout_codes == c].sum() - (holdout_codes == c).sum() * area for c in names]
    i10, i01, i = len(np.unique(forget_codes)), len(np.unique(holdout_codes)), len(names)
    s10 = i10 / ((i10 - 1) * m) * sum(x * x for x in left)
    s01 = i01 / ((i01 - 1) * n) * sum(y * y for y in right)
    s11 = i / (i - 1) * sum(x * y for x, y in zip(left, right, strict=True))
    return max(0.0, s10 / m + s01 / n + 2 * s11 / (m * n))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**31), st.integers(0, 2))
def test_one_row_per_cluster_is_delong(n_f, n_h, seed, decimals):
    """Exactly: Obuchowski's I / (I - 1) is DeLong's n / (n - 1) there."""
    rng = np.random.default_rng(seed)
    forget, holdout = rng.normal(0.4, 1, n_f).round(decimals), rng.normal(size=n_h).round(decimals)
    codes = rng.permutation(n_f + n_h)
    found, expected = auc_clustered(forget, holdout, codes[:n_f], codes[n_f:], 0.9), auc_delong(forget, holdout, 0.9)
    for name in ("value", "low", "high", "se"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9)


@settings(max_examples=40, deadline=None)
@example(4, 2, 14300287, False)  # an AUC of .9, where the scale of the interval changes
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**31), st.booleans())
def test_formula_order_and_ranks(clusters_f, clusters_h, seed, shared):
    rng = np.random.default_rng(seed)
    forget, codes_f = clustered(clusters_f, 0.5, rng)
    holdout, codes_h = clustered(clusters_h, 0.5, rng)
    forget, holdout = forget.round(1), holdout.round(1)
    if not shared:
        codes_h = codes_h + 1000
    base = auc_clustered(forget, holdout, codes_f, codes_h, 0.9)
    labels = np.r_[np.ones(len(forget)), np.zeros(len(holdout))]
    assert base.value == pytest.approx(roc_auc_score(labels, np.r_[forget, holdout]))
    assert base.se == pytest.approx(np.sqrt(obuchowski(forget, holdout, codes_f, codes_h)), abs=1e-12)
    assert 0 <= base.low <= base.value <= base.high <= 1
    order = rng.permutation(len(forget))
    other = auc_clustered(np.exp(forget[order]), np.exp(holdout), codes_f[order] * 3 - 5, codes_h * 3 - 5, 0.9)
    assert (other.low, other.high) == (pytest.approx(base.low), pytest.approx(base.high))


@pytest.mark.parametrize("mu", [0.0, 0.5])
def test_coverage_with_thirty_subjects_a_side_where_rows_would_fail(mu):
    worlds, rng = 500, np.random.default_rng(5)
    truth = stats.norm.cdf(mu / np.sqrt(2))
    by_subject = by_row = 0
    for _ in range(worlds):
        forget, codes_f = clustered(30, 0.5, rng)
        holdout, codes_h = clustered(60, 0.5, rng)
        forget += mu
        found = auc_clustered(forget, holdout, codes_f, codes_h + 1000, 0.9)
        rows = auc_delong(forget, holdout, 0.9)
        by_subject += found.low <= truth <= found.high
        by_row += rows.low <= truth <= rows.high
    assert worlds - by_subject <= stats.binom.ppf(0.999, worlds, 0.12)
    assert by_row < 0.75 * worlds


def test_a_subject_with_rows_on_both_sides_is_one_cluster():
    """What a subject shares cancels in the contrast: the error falls with S11, and holds."""
    worlds, rng = 500, np.random.default_rng(6)
    hits, errors, apart = 0, [], []
    for _ in range(worlds):
        scores, codes = clustered(40, 0.8, rng)
        side = rng.random(len(codes)) < 0.5
        found = auc_clustered(scores[side], scores[~side], codes[side], codes[~side], 0.9)
        hits += found.low <= 0.5 <= found.high
        errors.append(found.se)
        apart.append(auc_clustered(scores[side], scores[~side], codes[side], codes[~side] + 1000, 0.9).se)
    assert worlds - hits <= stats.binom.ppf(0.999, worlds, 0.12)
    assert np.mean(errors) < 0.7 * np.mean(apart)


def test_constant_scores_keep_an_honest_interval():
    codes = np.repeat(np.arange(10), 20)
    found = auc_clustered(np.zeros(200), np.zeros(200), codes, codes + 10, 0.9)
    assert found.value == 0.5
    assert found.high - 0.5 == pytest.approx(1 - 0.05 ** (1 / 10)), "ten subjects, not 200 rows"


@pytest.mark.parametrize(
    ("forget", "holdout", "forget_codes", "holdout_codes"),
    [
        ([1.0, 2.0], [1.0, 2.0], [0, 0], [1, 2]),
        ([1.0, 2.0], [1.0, 2.0], [0, 1], [2, 2]),
        ([1.0, 2.0], [1.0, 2.0], [0], [1, 2]),
        ([], [1.0, 2.0], [], [1, 2]),
        ([np.nan, 2.0], [1.0, 2.0], [0, 1], [2, 3]),
    ],
)
def test_refuses(forget, holdout, forget_codes, holdout_codes):
    with pytest.raises(ValueError, match="auc_clustered"):
        auc_clustered(*map(np.array, (forget, holdout, forget_codes, holdout_codes)), 0.9)
