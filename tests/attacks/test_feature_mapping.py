"""Feature mapping: exact recovery where it must be, honest failure where the map cannot fit."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case, linear_view

from attacks.base import Case, NotApplicable
from attacks.fits import fit_rows
from attacks.recovery.feature_mapping import FeatureMapping
from attacks.signals import class_excess

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
    for prefix, tolerance in (("light_", 0.1), ("", 0.6)):  # a penalty shrinks what mixed units say, and not to nothing
        found, expected = (s[f"{prefix}holdout"].mean() for s in (disguised, plain))
        assert found == pytest.approx(expected, rel=tolerance)


def test_units_rescaled_or_reordered_are_restored_exactly() -> None:
    plain = observe(ORIGINAL)
    order, factor = np.array([2, 0, 1]), np.array([0.01, 1.0, 300.0])
    disguised = observe(transformed(np.diag(factor)[:, order], np.array([5.0, -1.0, 0.0])))
    assert set(disguised) == set(plain)
    for name, values in plain.items():
        np.testing.assert_allclose(disguised[name], values, atol=1e-9, err_msg=name)


def test_a_constant_unit_adds_nothing_whatever_its_rounding() -> None:
    plain = observe(ORIGINAL)
    widened = {role: np.column_stack([f, np.full(len(f), 0.1)]) for role, f in ORIGINAL.feature_sets.items()}
    widened["holdout"][::2, 3] = np.nextafter(0.1, 1)
    found = observe(StubView(ORIGINAL.logit_sets, widened))
    for name, values in plain.items():
        np.testing.assert_allclose(found[name], values, atol=1e-9, err_msg=name)


def test_two_observations_are_equal() -> None:
    one, two = observe(ORIGINAL), observe(ORIGINAL)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_fewer_rows_than_features_still_fit() -> None:
    rng = np.random.default_rng(4)
    wide = {role: np.column_stack([f, rng.normal(size=(len(f), 300))]) for role, f in ORIGINAL.feature_sets.items()}
    assert np.isfinite(observe(StubView(ORIGINAL.logit_sets, wide))["holdout"]).all()


def test_the_original_recovers_itself_under_the_light_penalty() -> None:
    signals = observe(ORIGINAL)
    own = signals["light_holdout"].mean() - signals["light_test"].mean()
    sides = (ORIGINAL.logits(role) for role in ("holdout", "test"))
    whole = class_excess(*sides, CLASS.classes, CLASS.labels["holdout"])
    assert own == pytest.approx(whole[0].mean() - whole[1].mean(), rel=0.05)


def retrain(seed: int, dose: float = 0.0) -> StubView:
    """Features without the class's direction but for noise, and ``dose`` of it."""
    rng = np.random.default_rng(seed)
    blind = {role: f @ np.diag([1.0, 1.0, 0.0]) for role, f in ORIGINAL.feature_sets.items()}
    sets = {}
    for role, f in blind.items():
        sets[role] = f + np.outer(dose * ORIGINAL.feature_sets[role][:, 2] + rng.normal(size=len(f)), [0, 0, 1])
    return StubView(ORIGINAL.logit_sets, sets)


def test_a_planted_dose_raises_the_share_under_both_penalties() -> None:
    attack, references = FeatureMapping(), [retrain(seed) for seed in range(1, 9)]
    heavy, light = [], []
    for dose in (0.0, 1.0, 3.0):
        scores = attack.score([observe(view) for view in (retrain(0, dose), *references)], CLASS)
        assert scores.statistic is not None
        assert scores.lighter is not None
        heavy.append(float(scores.statistic[0] - scores.statistic[1:].mean()))
        light.append(float(scores.lighter[0].mean() - scores.lighter[1:].mean()))
    assert heavy == sorted(heavy)
    assert light == sorted(light)
    assert light[-1] > heavy[-1]  # the heavy penalty hides part of what is left


def test_features_without_the_class_recover_less() -> None:
    blind = transformed(np.diag([1.0, 1.0, 0.0]), np.zeros(3))
    assert observe(blind)["holdout"].mean() < observe(ORIGINAL)["holdout"].mean() - 1


def test_constant_features_are_invalid_not_good() -> None:
    attack = FeatureMapping()
    flat = transformed(np.zeros((3, 3)), np.ones(3))
    signals = [observe(view) for view in (flat, ORIGINAL, ORIGINAL)]
    assert "fits the audited model badly" in attack.score(signals, CLASS).invalid
    assert "badly" not in attack.score([signals[1], signals[0], signals[2]], CLASS).invalid


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


def test_a_map_with_few_rows_for_its_features_is_named() -> None:
    case, rng = gaussian_case("random"), np.random.default_rng(0)
    rows = len(fit_rows(case, 100, np.random.default_rng(0))[0])
    for width, named in ((rows // 10, False), (rows // 10 + 1, True)):
        wide = {role: rng.normal(size=(len(data), width)) for role, data in case.sets.items()}
        view = linear_view(case, np.eye(3) * 2, np.zeros(3))
        original = linear_view(case, np.eye(3) * 2, np.zeros(3))
        signals = FeatureMapping(max_rows=100).observe(
            StubView(view.logit_sets, wide), original, case, np.random.default_rng(0)
        )
        details = FeatureMapping(max_rows=100).score([signals], case).details
        sentence = f"under-determined: {rows} fit rows for {width} features"
        assert any(line.startswith(sentence) for line in details) is named
        earlier = {key: value for key, value in signals.items() if key != "searched"}
        assert not any("under-determined" in line for line in FeatureMapping().score([earlier], case).details)
