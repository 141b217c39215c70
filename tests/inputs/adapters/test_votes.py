"""Probabilities as logits: the step in which they are given, and the rows at 0 or 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from attacks.signals import logit_confidence
from audit.inputs.votes import as_logits, saturated, step_of


def test_the_confidence_of_a_class_depends_on_its_probability_alone() -> None:
    p = np.array([[0.9, 0.1, 0.0], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0], [0.0, 0.3, 0.7]])
    z = as_logits(p, 0.05)
    own = z[:, 0] - np.log(np.exp(z[:, 1:]).sum(axis=1))
    assert own[0] == pytest.approx(own[1])
    assert own[2] > own[0] > own[3]
    assert own[2] == pytest.approx(np.log((1 + 0.0125) / 0.025))
    assert saturated(z, np.zeros(4, dtype=int), 0.05).tolist() == [False, False, True, True]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_saturation_is_that_of_the_type(kind: Any) -> None:
    eps = float(np.finfo(kind).epsneg)
    p = np.array([[1 - eps, eps], [1.0, 0.0], [0.5, 0.5]])
    z = as_logits(p, eps)
    assert np.isfinite(z).all()
    assert saturated(z.astype(np.float32).astype(np.float64), np.zeros(3, dtype=int), eps).tolist() == [
        False,
        True,
        False,
    ]


def test_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="rows must lie between 0 and 1 and sum to 1"):
        as_logits(np.array([[0.4, 0.4]]), 0.1)


def test_probabilities_in_few_digits_keep_their_order() -> None:
    """One digit and ten classes: sums from .8 to 1.2, of which none is an error."""
    rng = np.random.default_rng(0)
    exact = rng.dirichlet(np.full(10, 0.2), 500)
    told = exact.round(1)
    assert np.ptp(told.sum(axis=1)) > 0.2
    z = as_logits(told, step_of(told))
    own = exact.argmax(axis=1)
    confidence = logit_confidence(z, own)
    assert np.isfinite(confidence).all()
    order = stats.spearmanr(confidence, exact[np.arange(500), own]).statistic
    assert order > 0.97
    sure = told[np.arange(500), own] == 1
    assert saturated(z, own, 0.1)[sure].mean() > 0.95
    assert confidence[sure].min() > confidence[told[np.arange(500), own] <= 0.8].max()
    for wrong in (told * 2, told / 3, -told):
        with pytest.raises(ValueError, match="but for their rounding"):
            as_logits(wrong, 0.1)
