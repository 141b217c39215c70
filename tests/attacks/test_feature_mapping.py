"""Feature mapping: exact recovery where it must be, honest failure where the map cannot fit."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case, linear_view

from attacks.base import Case, NotApplicable
from attacks.fits import fit_rows
from attacks.recovery.feature_mapping import FeatureMapping

CLASS = gaussian_case("class", (2,))
ORIGINAL = linear_view(CLASS, np.eye(3) * 2, np.zeros(3))


def transformed(matrix: np.ndarray, offset: np.ndarray) -> StubView:  # type: ignore[type-arg]
    moved = {role: f @ matrix + offset for role, f in ORIGINAL.feature_sets.items()}
    return StubView(ORIGINAL.logit_sets, moved)


def observe(view: StubView, case: Case = CLASS) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    attack = FeatureMapping(max_rows=100)
    return dict(attack.observe(view, ORIGINAL, case, np.random.default_rng(0)))


def test_an_invertible_change_of_features_hides_nothing() -> None:
    plain = observe(ORIGINAL)
    matrix = np.array([[0.0, 2.0, 0.3], [1.0, 0.0, 0.0], [0.0, 0.5, 3.0]])
    disguised = observe(transformed(matrix, np.array([5.0, -1.0, 0.0])))
    np.testing.assert_allclose(disguised["holdout"], plain["holdout"], atol=1e-3)


def test_the_original_recovers_itself() -> None:
    signals = observe(ORIGINAL)
    labels = CLASS.labels["holdout"]
    accuracy = (ORIGINAL.logits("holdout").argmax(axis=1) == labels).mean()
    assert ((signals["holdout"] > 0).mean()) == pytest.approx(accuracy, abs=0.02)


def test_features_without_the_class_recover_less() -> None:
    blind = transformed(np.diag([1.0, 1.0, 0.0]), np.zeros(3))
    assert observe(blind)["holdout"].mean() < observe(ORIGINAL)["holdout"].mean() - 1


def test_constant_features_are_invalid_not_good() -> None:
    attack = FeatureMapping()
    flat = transformed(np.zeros((3, 3)), np.ones(3))
    signals = [observe(view) for view in (flat, ORIGINAL, ORIGINAL)]
    assert "fits the audited model badly" in attack.score(signals, CLASS).invalid
    assert attack.score([signals[1], signals[0], signals[2]], CLASS).invalid == ""


def test_fit_set_holds_no_forgotten_class() -> None:
    labels = {**CLASS.labels, "retain": np.arange(120) % 3}
    rows, sentence = fit_rows(Case("class", (2,), CLASS.sets, labels, 3), 1000, np.random.default_rng(0))
    assert set(labels["retain"][rows]) == {0, 1}
    assert "2: 0" in sentence


def test_fit_set_is_capped_alike_for_every_model_and_refuses_one_class() -> None:
    one, two = (fit_rows(CLASS, 30, np.random.default_rng(3))[0] for _ in range(2))
    assert len(one) == 30
    np.testing.assert_array_equal(one, two)
    with pytest.raises(NotApplicable, match="fewer than two classes"):
        fit_rows(Case("class", (0, 2), CLASS.sets, CLASS.labels, 3), 30, np.random.default_rng(3))


def test_needs_the_original() -> None:
    with pytest.raises(NotApplicable, match="original"):
        FeatureMapping().observe(ORIGINAL, None, CLASS, np.random.default_rng(0))
