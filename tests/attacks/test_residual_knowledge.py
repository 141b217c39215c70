"""Residual knowledge: exact rates and ratios, cached queries, both sides alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from attacks.base import NotApplicable, Signals
from attacks.recovery.residual_knowledge import ResidualKnowledge
from fixtures.cases.digits_world import digits, excess, gaps
from tests.attacks import stubs

N = len(stubs.RANDOM.labels["forget"])


def signals(forget: float, holdout: float) -> Signals:
    return {"forget": np.full((N, 3), forget), "holdout": np.full((N, 3), holdout)}


def test_shares_are_those_of_the_queries() -> None:
    view = stubs.view(3)
    found = stubs.observe(ResidualKnowledge(draws=2), view)
    labels = stubs.RANDOM.labels["forget"]
    asked = [view.augmented("forget", f"noise:0.2:{draw}").argmax(axis=1) == labels for draw in range(2)]
    np.testing.assert_allclose(found["forget"][:, 1], np.mean(asked, axis=0))


def test_the_ratio_is_the_sources() -> None:
    """Half of 8 draws right against a quarter: (4 + .5) / (2 + .5)."""
    noise = np.random.default_rng(0).integers(-1, 2, (N, 3)) / 8
    models = [signals(0.5, 0.25), signals(0.25, 0.25), signals(0.25, 0.25)]
    models[1] = {**models[1], "forget": 0.25 + noise}
    models[2] = {**models[2], "forget": 0.25 - noise}
    details = ResidualKnowledge(draws=8).score(models, stubs.RANDOM).details
    assert "forget: geometric mean of rate / references' rate 1.800" in details[1]
    assert "holdout: geometric mean of rate / references' rate 1.000" in details[2]


def test_rare_rows_are_a_difference() -> None:
    models = [signals(0.5, 0.5), signals(0.0, 0.5), signals(0.0, 0.5)]
    details = ResidualKnowledge(draws=32).score(models, stubs.RANDOM).details
    assert "difference of rates +0.485" in details[1]
    assert "geometric" not in details[1]


def test_agreeing_models_have_no_scale() -> None:
    same = ResidualKnowledge(draws=8).score([signals(0.5, 0.5)] * 3, stubs.RANDOM)
    assert "no scale" in same.invalid


def test_outputs_alone_cannot_be_asked() -> None:
    with pytest.raises(NotApplicable, match="network"):
        stubs.observe(ResidualKnowledge(), stubs.view(1, kind=stubs.Precomputed))


def test_one_reference_or_none() -> None:
    for references in (0, 1):
        scores = stubs.score(ResidualKnowledge(draws=2), 3.0, references=references)
        assert stubs.contrast(scores) > 0


def test_log_odds_are_finite_at_both_ends() -> None:
    attack = ResidualKnowledge(draws=8)
    assert np.isfinite(special.logit(attack._rate(np.array([0.0, 1.0])))).all()


def test_digits() -> None:
    world = digits("random")
    original, retrain = world.score(ResidualKnowledge(), "original", "retrain")
    assert gaps(original, world.case)[0] > 0.2
    assert abs(gaps(retrain, world.case)[0]) < 0.2
    original, retrain = digits("class").score(ResidualKnowledge(draws=4), "original", "retrain")
    assert excess(original) > 10
    assert abs(excess(retrain)) < 5
