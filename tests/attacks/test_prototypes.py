"""Prototypes: exact cosines, shots that are never scored, and when silence proves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case, linear_view

from attacks.base import NotApplicable
from attacks.recovery.prototypes import SHOTS, Prototypes
from fixtures.cases.digits_world import digits, excess

CLASS = gaussian_case("class", (2,))
ORIGINAL = linear_view(CLASS, np.eye(3), np.zeros(3))


def features(**changed: np.ndarray) -> StubView:  # type: ignore[type-arg]
    return StubView({}, {**ORIGINAL.feature_sets, **changed}, np.eye(3), np.zeros(3))


def observe(view: StubView) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return dict(Prototypes().observe(view, None, CLASS, np.random.default_rng(0)))


def test_features_on_their_axes_have_the_margin_of_the_axes() -> None:
    axes = {role: np.eye(3)[CLASS.labels[role]] * 4 for role in CLASS.labels}
    found = observe(features(**axes))
    np.testing.assert_allclose(found["margin"], 1.0)
    np.testing.assert_allclose(found["accuracy"], 1.0)
    np.testing.assert_allclose(found["head"], 1.0)
    np.testing.assert_allclose(found["taken"], 0.0)


def test_scale_and_the_classs_own_head_row_do_not_matter() -> None:
    masked = StubView({}, {r: f * 100 for r, f in ORIGINAL.feature_sets.items()}, np.eye(3), np.array([0, 0, -1e3]))
    one, two = observe(features()), observe(masked)
    for key in ("margin", "accuracy", "head", "taken"):
        np.testing.assert_allclose(one[key], two[key], atol=1e-9)


def test_more_shots_do_no_harm_on_average() -> None:
    accuracy = observe(features())["accuracy"]
    assert accuracy[-1] > accuracy[0]
    assert len(accuracy) == len(SHOTS)


def test_features_without_the_class_give_less() -> None:
    blind = {role: f @ np.diag([1.0, 1.0, 0.0]) for role, f in ORIGINAL.feature_sets.items()}
    assert observe(features(**blind))["margin"].mean() < observe(features())["margin"].mean() - 0.3


def test_constant_features_are_scored_as_knowing_nothing() -> None:
    zero = {role: np.zeros_like(f) for role, f in ORIGINAL.feature_sets.items()}
    np.testing.assert_allclose(observe(features(**zero))["margin"], 0.0)


def test_few_references_or_rows_prove_nothing() -> None:
    attack, signal = Prototypes(), observe(features())
    assert "references" in attack.score([signal] * 3, CLASS).invalid
    assert attack.score([signal] * 4, CLASS).invalid == ""
    few = gaussian_case("class", (2,), n=40)
    view = linear_view(few, np.eye(3), np.zeros(3))
    signals = [attack.observe(view, None, few, np.random.default_rng(0))] * 4
    assert "never-seen rows" in attack.score(signals, few).invalid


def test_rows_have_no_prototype_and_shots_must_be_there() -> None:
    for case, reason in ((gaussian_case("random"), "prototype"), (gaussian_case("class", (2,), n=9), "10 forget rows")):
        with pytest.raises(NotApplicable, match=reason):
            Prototypes().observe(ORIGINAL, None, case, np.random.default_rng(0))


def test_digits() -> None:
    found = digits("class").score(Prototypes(), "original", "random_labels", "head_mask", "retrain")
    assert all(excess(scores) > 3 for scores in found[:3])
    assert abs(excess(found[3])) < 4
