"""Head recovery: the same estimator as feature mapping where it must be, and where it needs less."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case, linear_view

from attacks.base import NotApplicable
from attacks.recovery.feature_mapping import FeatureMapping
from attacks.recovery.head_recovery import HeadRecovery
from fixtures.cases.digits_world import digits, excess, gaps

CLASS = gaussian_case("class", (2,))
ORIGINAL = linear_view(CLASS, np.eye(3) * 2, np.zeros(3))


def test_a_ridge_is_linear_in_its_target() -> None:
    world = digits("class")
    mapped, read = (world.observe(attack, "random_labels") for attack in (FeatureMapping(), HeadRecovery()))
    for key in mapped:
        np.testing.assert_allclose(mapped[key], read[key], rtol=1e-3, atol=1e-3, err_msg=key)


def test_logits_alone_are_asked_of_the_original() -> None:
    outputs = StubView(ORIGINAL.logit_sets)
    outputs.weight = np.full((3, 3), np.nan)
    signals = HeadRecovery().observe(ORIGINAL, outputs, CLASS, np.random.default_rng(0))
    assert np.isfinite(signals["holdout"]).all()


def test_a_constant_added_to_every_logit_of_a_row_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    moved = StubView({role: z + rng.normal(size=(len(z), 1)) * 50 for role, z in ORIGINAL.logit_sets.items()})
    one, two = (HeadRecovery().observe(ORIGINAL, o, CLASS, np.random.default_rng(0)) for o in (ORIGINAL, moved))
    np.testing.assert_allclose(one["holdout"], two["holdout"], atol=1e-8)


def test_constant_features_are_invalid_not_good() -> None:
    flat = StubView(ORIGINAL.logit_sets, {r: np.ones_like(f) for r, f in ORIGINAL.feature_sets.items()})
    signals = [HeadRecovery().observe(v, ORIGINAL, CLASS, np.random.default_rng(0)) for v in (flat, ORIGINAL, ORIGINAL)]
    assert "fits the audited model badly" in HeadRecovery().score(signals, CLASS).invalid


def test_needs_the_original() -> None:
    with pytest.raises(NotApplicable, match="original"):
        HeadRecovery().observe(ORIGINAL, None, CLASS, np.random.default_rng(0))


def test_digits() -> None:
    masked, retrain = digits("class").score(HeadRecovery(), "head_mask", "retrain")
    assert excess(masked) > 5
    assert abs(excess(retrain)) < 4
    world = digits("random")
    original, retrain = world.score(HeadRecovery(), "original", "retrain")
    assert gaps(original, world.case)[0] > 0.2
    assert abs(gaps(retrain, world.case)[0]) < 0.2
