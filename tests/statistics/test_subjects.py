"""audit/statistics/subjects.py: the worst subject, corrected for having been picked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.statistics.model_level import crawford_howell
from audit.statistics.subjects import FLOOR, worst_subject


def subject_scores(models: int, sizes: list[int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unlike subjects: some models know some subjects better, and rows add noise of their own."""
    codes = np.repeat(np.arange(len(sizes)) * 7, sizes)
    common = rng.normal(size=(models, len(sizes)))
    return np.repeat(common, sizes, axis=1) + rng.normal(size=(models, len(codes))), codes


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(0, 2**31))
def test_it_is_one_sided_crawford_howell_with_bonferroni(k, sizes, seed):
    rng = np.random.default_rng(seed)
    scores, codes = subject_scores(k + 1, sizes, rng)
    result = worst_subject(scores, codes, 0.05)
    means = np.stack([scores[:, codes == code].mean(axis=1) for code in np.unique(codes)])
    floor = np.sqrt(FLOOR * means[:, 1:].var(axis=1, ddof=1).mean())
    pairs = [crawford_howell(row, floor) for row in means]
    best = int(np.argmax([t for t, _ in pairs]))
    t = pairs[best][0]
    assert result.code == np.unique(codes)[best]
    assert result.subjects == len(sizes)
    assert result.estimate == pytest.approx(means[best, 0] - means[best, 1:].mean())
    assert result.p == pytest.approx(min(1.0, len(sizes) * stats.t.sf(t, k - 1)))
    assert 0 < result.p <= 1
    assert result.low < result.estimate < result.high
    assert (result.low > 0) == (result.p < 0.05)
    order = rng.permutation(len(codes))
    mixed = worst_subject(scores[:, order], codes[order], 0.05)
    assert (mixed.code, mixed.p) == (result.code, pytest.approx(result.p))


def test_it_finds_the_planted_subject():
    rng = np.random.default_rng(0)
    scores, codes = subject_scores(9, [5] * 20, rng)
    scores[0, codes == 77] += 15
    result = worst_subject(scores, codes, 0.05)
    assert result.code == 77
    assert result.p < 0.01
    assert 0 < result.low < 15 < result.high


def test_the_bound_keeps_its_digits_over_many_subjects():
    """Two references: one degree of freedom, whose quantile is a cotangent."""
    subjects = 100_000
    scores = np.random.default_rng(0).normal(size=(3, subjects))
    result = worst_subject(scores, np.arange(subjects), 0.05)
    variance = scores[1:].var(axis=0, ddof=1)
    se = np.sqrt(max(variance[result.code], FLOOR * variance.mean()) * 1.5)
    assert result.estimate - result.low == pytest.approx(se / np.tan(np.pi * 0.05 / subjects), rel=1e-12)


@pytest.mark.parametrize("k", [2, 5, 8, 19])
@pytest.mark.parametrize("uneven", [False, True])
def test_level_and_coverage(k, uneven):
    """Honest models, even and uneven subjects: the worst is accused in at most 5 %, its true value (0) covered."""
    worlds, subjects, rng = 1000, 20, np.random.default_rng(k)
    codes = np.arange(subjects)
    accused = below = 0
    for _ in range(worlds):
        sd = np.exp(rng.normal(size=subjects)) if uneven else 1.0
        result = worst_subject(sd * rng.normal(size=(k + 1, subjects)), codes, 0.05)
        accused += result.p <= 0.05
        below += result.high < 0
    bar = stats.binom.ppf(0.999, worlds, 0.05)
    assert accused <= bar
    assert below <= bar


def test_ties_go_to_the_first_subject_and_agreement_is_no_evidence():
    scores = np.array([[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]])
    assert worst_subject(scores, np.array([4, 9]), 0.05).code == 4
    one_agrees = np.array([[0.5, 0.1], [0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert worst_subject(one_agrees, np.array([0, 1]), 0.05).p > 0.05, "the floor stands in for a spread of 0"


@pytest.mark.parametrize(
    ("scores", "codes", "alpha"),
    [
        (np.zeros((2, 3)), [0, 1, 2], 0.05),
        (np.zeros((4, 0)), [], 0.05),
        (np.random.default_rng(0).normal(size=(4, 3)), [0, 1], 0.05),
        (np.random.default_rng(0).normal(size=(4, 3)), [0, 1, 2], 0.0),
        (np.full((4, 3), np.nan), [0, 1, 2], 0.05),
        (np.ones((4, 3)), [0, 1, 2], 0.05),
    ],
)
def test_refuses(scores, codes, alpha):
    with pytest.raises(ValueError, match=r"worst_subject|agree exactly"):
        worst_subject(scores, np.array(codes), alpha)
