"""attacks/signals.py: against direct formulas, and stable where the direct formulas are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from attacks.signals import (
    class_excess,
    class_logit,
    contrast,
    correct,
    entropy,
    label_margin,
    log_label,
    log_softmax,
    logit_confidence,
    modified_entropy,
    retained_spread,
    spread_of,
)


def logits(seed: int, n: int = 12, c: int = 5, scale: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (n, c))


def test_log_softmax_is_scipys():
    z = logits(0)
    np.testing.assert_allclose(log_softmax(z), special.log_softmax(z, axis=1), rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_softmax(z)).sum(axis=1), 1)


def test_log_softmax_is_stable_and_float64():
    z = np.array([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]], dtype=np.float32)
    result = log_softmax(z)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result[0], [0, -1e4, -2e4])
    np.testing.assert_allclose(result[1], np.log([1 / 3] * 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 8), st.floats(-100, 100))
def test_logit_confidence_is_the_log_odds_of_the_label(seed, classes, offset):
    z = logits(seed, c=classes)
    y = np.random.default_rng(seed).integers(0, classes, len(z))
    own = np.exp(log_softmax(z))[np.arange(len(z)), y]
    others = np.delete(np.exp(log_softmax(z)), 0, axis=1).sum(axis=1) if (y == 0).all() else 1 - own
    signal = logit_confidence(z, y)
    np.testing.assert_allclose(signal, np.log(own) - np.log(others), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(logit_confidence(z + offset, y), signal, atol=1e-9, err_msg="common shift")
    np.testing.assert_allclose(logit_confidence(log_softmax(z), y), signal, atol=1e-9)


def test_logit_confidence_keeps_the_rank_where_probabilities_round_to_one():
    z = np.array([[40.0, 0.0, 0.0], [60.0, 0.0, 0.0], [800.0, 0.0, 0.0]])
    signal = logit_confidence(z, np.zeros(3, dtype=np.int64))
    assert (np.diff(signal) > 10).all()
    assert signal[0] == pytest.approx(40 - np.log(2))


def test_logit_confidence_of_two_classes_is_the_logit_difference():
    z = logits(1, c=2)
    np.testing.assert_allclose(logit_confidence(z, np.ones(len(z), dtype=np.int64)), z[:, 1] - z[:, 0])


def test_logit_confidence_leaves_its_input_alone():
    z = logits(2)
    before = z.copy()
    logit_confidence(z, np.zeros(len(z), dtype=np.int64))
    np.testing.assert_array_equal(z, before)


def test_logit_confidence_follows_the_order_of_the_rows():
    z, y = logits(3), np.random.default_rng(3).integers(0, 5, 12)
    order = np.random.default_rng(4).permutation(12)
    np.testing.assert_array_equal(logit_confidence(z[order], y[order]), logit_confidence(z, y)[order])


def test_class_logit_is_blind_to_a_constant_per_row_and_picks_the_rows_own_class():
    z, own = logits(5), np.random.default_rng(5).integers(0, 2, 12)
    expected = z[np.arange(12), own] - z[:, 2:].mean(axis=1)
    np.testing.assert_allclose(class_logit(z, (0, 1), own), expected)
    np.testing.assert_allclose(class_logit(z, (0, 1), None), z[:, :2].mean(axis=1) - z[:, 2:].mean(axis=1))
    np.testing.assert_allclose(class_logit(z + np.arange(12.0)[:, None], (0, 1), own), expected)


def test_class_excess_ignores_what_the_retained_logits_explain():
    """An offset of a forgotten logit (a masked head) changes nothing, a multiple of all logits multiplies it."""
    control, focus, own = logits(8, n=300), logits(9, n=50), np.random.default_rng(9).integers(0, 2, 50)
    plain = class_excess(focus, control, (0, 1), own)
    assert plain[1].mean() == pytest.approx(0, abs=1e-12)
    masked = [z - 50 * np.eye(5)[0] for z in (focus, control)]
    tripled = class_excess(3 * focus, 3 * control, (0, 1), own)
    for found, once, thrice in zip(class_excess(*masked, (0, 1), own), plain, tripled, strict=True):
        # the mask moves the logit by the same on both sides
        np.testing.assert_allclose(found, once, atol=1e-9)
        np.testing.assert_allclose(thrice, 3 * once, atol=1e-9)
    risen = focus + 2 * np.eye(5)[own]
    np.testing.assert_allclose(class_excess(risen, control, (0, 1), own)[0], plain[0] + 2)
    explained = [np.column_stack([z[:, 1:].max(axis=1), z[:, 1:]]) for z in (focus, control)]
    left = class_excess(*explained, (0,), np.zeros(50, dtype=np.int64))[0]
    assert left.std() < 0.6 * class_logit(explained[0], (0,), None).std()


def test_class_excess_with_one_retained_class_is_the_centred_class_logit():
    z = logits(10)[:, :2]
    own = np.zeros(12, dtype=np.int64)
    expected = class_logit(z, (0,), own) - class_logit(z, (0,), own).mean()
    np.testing.assert_allclose(class_excess(z, z, (0,), own)[0], expected)


def test_spread_of_gives_no_scale_to_a_constant_however_rounded():
    centre, scale = spread_of(np.array([[0.1, 1.0], [np.nextafter(0.1, 1), 3.0], [0.1, 2.0], [0.1, 2.0]]))
    np.testing.assert_allclose(centre, [0.1, 2.0])
    np.testing.assert_allclose(scale, [0, np.sqrt(2)])


def test_retained_spread_is_a_unit_of_the_logits():
    z = logits(6, n=4000)
    assert retained_spread(z, (0,)) == pytest.approx(3 * np.sqrt(3 / 4), rel=0.03)  # 4 classes around their mean
    assert retained_spread(7 * z, (0,)) == pytest.approx(7 * retained_spread(z, (0,)))
    masked = z.copy()
    masked[:, 0] -= 50
    assert retained_spread(masked, (0,)) == retained_spread(z, (0,)), "a masked head changes no unit"
    assert retained_spread(np.zeros((5, 3)), (0,)) == 1.0


def test_contrast_is_a_difference_of_means_with_its_sampling_error():
    rng = np.random.default_rng(7)
    focus, control = rng.normal(1, 2, (2, 4000)), rng.normal(0, 1, (2, 1000))
    difference, error = contrast(list(focus), list(control))
    np.testing.assert_allclose(difference, focus.mean(axis=1) - control.mean(axis=1))
    np.testing.assert_allclose(error, np.sqrt(4 / 4000 + 1 / 1000), rtol=0.05)


def test_contrast_wants_pairs():
    with pytest.raises(ValueError, match="zip"):
        contrast([np.zeros(3)], [np.zeros(3), np.zeros(3)])


def log_p(*rows: tuple[float, ...]) -> np.ndarray:
    return np.log(np.array(rows))


def test_modified_entropy_reads_the_label():
    """T7: the copies in circulation ignore the label and take log p where log(1 - p) is due."""
    z = np.repeat(log_p((0.7, 0.2, 0.1)), 3, axis=0)
    np.testing.assert_allclose(modified_entropy(z, np.arange(3)), [0.16217, 2.14087, 2.95974], atol=5e-6)


def test_modified_entropy_is_finite_where_probabilities_round_to_one():
    """T7, T8: a separable row keeps its rank."""
    z = np.array([[40.0, 0, 0], [400.0, 0, 0], [0.0, 400.0, 0]])
    value = modified_entropy(z, np.zeros(3, dtype=np.int64))
    assert np.isfinite(value).all()
    assert value[0] >= value[1] >= 0
    assert value[2] == pytest.approx(800, rel=0.01)  # log p_y and log(1 - p) of the wrong class


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 8))
def test_modified_entropy_is_the_direct_formula(seed, classes):
    z = logits(seed, c=classes)
    y = np.random.default_rng(seed).integers(0, classes, len(z))
    p = special.softmax(z, axis=1)
    own = p[np.arange(len(z)), y]
    rest = np.where(np.arange(classes) == y[:, None], 0.0, p * np.log1p(-p)).sum(axis=1)
    np.testing.assert_allclose(modified_entropy(z, y), -(1 - own) * np.log(own) - rest, rtol=1e-7, atol=1e-9)


def test_loss_entropy_margin_and_correctness():
    z, y = logits(8), np.random.default_rng(8).integers(0, 5, 12)
    p = special.softmax(z, axis=1)
    np.testing.assert_allclose(log_label(z, y), np.log(p[np.arange(12), y]))
    np.testing.assert_allclose(entropy(z), special.entr(p).sum(axis=1))
    np.testing.assert_array_equal(label_margin(z, y) > 0, correct(z, y))
    assert label_margin(np.array([[1.0, 5.0, 2.0]]), np.array([2]))[0] == -3
