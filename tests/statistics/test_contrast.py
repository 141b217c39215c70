"""The displayed difference of D2 is the one that the permutation test tests."""

import numpy as np
import pytest

from audit.statistics.contrast import contrast
from audit.statistics.permutation import permutation_max_t


def test_one_stratum_is_the_plain_difference_of_means():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=90)
    found = contrast(scores, 30)
    assert found.value == pytest.approx(scores[:30].mean() - scores[30:].mean())
    assert found.se == pytest.approx(np.sqrt(scores[:30].var(ddof=1) / 30 + scores[30:].var(ddof=1) / 60))
    assert found.null_sd == pytest.approx(scores.std(ddof=1) * np.sqrt(1 / 30 + 1 / 60))


@pytest.mark.parametrize("strata", [None, np.random.default_rng(1).integers(0, 4, 90), np.r_[np.zeros(89), 1]])
def test_value_over_null_sd_is_the_statistic_of_the_test(strata):
    rng = np.random.default_rng(2)
    scores = rng.normal(size=90)
    found = contrast(scores, 30, strata)
    test = permutation_max_t(scores[None], 30, 19, rng, strata)
    assert found.value / found.null_sd == pytest.approx(test.statistic[0])


def test_the_class_mix_is_no_difference():
    """Forget rows mostly of the high class, holdout rows of the low one: nothing within the classes."""
    rng = np.random.default_rng(3)
    labels = np.r_[np.repeat([1, 0], [180, 20]), np.repeat([1, 0], [40, 360])]
    scores = 3.0 * labels + rng.normal(size=600)
    assert contrast(scores, 200).value > 1.5
    found = contrast(scores, 200, labels)
    assert abs(found.value) < 3 * found.se < 0.6


def test_the_standard_error_covers():
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(400):
        labels = rng.integers(0, 5, 120)
        found = contrast(labels + rng.normal(size=120), 40, labels)
        inside += abs(found.value) < 1.96 * found.se
    assert 360 <= inside <= 395


def test_no_stratum_with_both_sides():
    with pytest.raises(ValueError, match="both sides"):
        contrast(np.zeros(4), 2, np.array([0, 0, 1, 1]))
