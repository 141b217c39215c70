"""attacks/calibration.py: the closed forms against the loops and matrices that define them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attacks.calibration import PRIOR_DF, RIDGE, adjust, leave_one_out, others_moments


def looped(signal: np.ndarray) -> np.ndarray:
    """Model by model, as the formula reads."""
    others = len(signal) - 1
    z = np.empty_like(signal)
    for j in range(len(signal)):
        rest = np.delete(signal, j, axis=0)
        variance = rest.var(axis=0, ddof=1)
        shrunk = (PRIOR_DF * variance.mean() + (others - 1) * variance) / (PRIOR_DF + others - 1)
        z[j] = (signal[j] - rest.mean(axis=0)) / np.sqrt(shrunk * (1 + 1 / others))
    return z


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 20), st.integers(1, 30), st.integers(0, 2**31), st.sampled_from([1.0, 30.0, 1e6]))
def test_leave_one_out_is_the_loop(models, n, seed, outlier):
    """Also where one model lies far from the rest: no cancellation."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(rng.normal(), rng.gamma(2, size=n), size=(models, n))
    signal[rng.integers(models)] *= outlier
    z, mu = leave_one_out(signal)
    np.testing.assert_allclose(z, looped(signal), rtol=1e-9, atol=1e-9)
    for j in range(models):
        np.testing.assert_allclose(mu[j], np.delete(signal, j, axis=0).mean(axis=0), rtol=1e-9, atol=1e-9)
    order = rng.permutation(models)
    np.testing.assert_allclose(leave_one_out(signal[order])[0], z[order], rtol=1e-9, atol=1e-9)


def test_moments_of_models_that_agree_are_exact():
    signal = np.array([[1e8, 0.3], [0.1, 0.1], [0.1, 0.1], [0.1, 0.1]])
    mean, variance = others_moments(signal)
    assert variance[0].tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(mean[0], [0.1, 0.1])
    assert (variance[1:] > 0).all()


def test_far_apart_references_lose_no_digits_to_a_far_model():
    rng = np.random.default_rng(0)
    references = 1 + 1e-3 * rng.normal(size=(4, 50))
    signal = np.vstack([np.full(50, 1e9), references])
    np.testing.assert_allclose(others_moments(signal)[1][0], references.var(axis=0, ddof=1), rtol=1e-9)


def dense(z: np.ndarray, mu: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ridge regression on the written-out design matrix."""
    indicators = np.eye(y.max() + 1)[y]
    result = np.empty_like(z)
    for j in range(len(z)):
        design = np.column_stack([indicators, mu[j], mu[j] ** 2, np.maximum(-mu[j], 0)])
        spread = design.std(axis=0)
        design = (design - design.mean(axis=0))[:, spread > 0] / spread[spread > 0]
        centred = z[j] - z[j].mean()
        gram = design.T @ design + RIDGE * np.eye(design.shape[1])
        result[j] = centred - design @ np.linalg.solve(gram, design.T @ centred)
    return result


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(2, 80), st.integers(0, 2**31), st.sampled_from(["normal", "positive", "zero"]))
def test_adjust_is_the_regression_on_the_dense_design(labels, n, seed, kind):
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(3, n)), rng.integers(0, labels, n)
    mu = {"normal": rng.normal(size=(3, n)), "positive": 1 + rng.random((3, n)), "zero": np.zeros((3, n))}[kind]
    found = adjust(z, mu, y)
    np.testing.assert_allclose(found, dense(z, mu, y), atol=1e-9)
    np.testing.assert_array_equal(adjust(z, mu, 5 * y - 3), found)  # names of labels do not matter


def test_a_label_for_every_row():
    """As many labels as rows (the indicator matrix would be n x n)."""
    rng = np.random.default_rng(1)
    z, mu, y = rng.normal(size=(2, 60)), rng.normal(size=(2, 60)), rng.permutation(60)
    np.testing.assert_allclose(adjust(z, mu, y), dense(z, mu, y), atol=1e-9)


@pytest.mark.parametrize("signal", [np.zeros((0, 5)), np.zeros((3, 0)), np.full((3, 4), np.nan), np.array([[np.inf]])])
def test_leave_one_out_refuses(signal):
    with pytest.raises(ValueError, match="leave_one_out"):
        leave_one_out(signal)
