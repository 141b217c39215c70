"""Each membership attack alone: where it has no meaning, what makes it invalid, what it may not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.base import Attack, NotApplicable, discover
from attacks.membership.common import queried_confidence
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira_online import LiraOnline
from attacks.membership.pair import Pair
from attacks.membership.population import Population
from attacks.membership.quantile import QuantileRegression
from attacks.membership.rmia import RmiaOffline, RmiaOnline
from attacks.membership.shadow import ShadowLogistic, answer_features, folds
from attacks.membership.ulira import ULira
from attacks.signals import log_label
from audit.inputs.data import Arrays
from tests.attacks.stubs import CLASS, RANDOM, ROLES, Precomputed, contrast, observe, score, shadowed, view

MEMBERSHIP = (LabelOnly, LiraOnline, Pair, QuantileRegression, RmiaOffline, RmiaOnline, ShadowLogistic, ULira)


@pytest.mark.parametrize("attack", MEMBERSHIP)
def test_class_claims_are_refused_with_a_reason(attack: type[Attack]) -> None:
    with pytest.raises(NotApplicable, match="class"):
        observe(attack(), view(0, case=CLASS), CLASS, view(1, case=CLASS))


@pytest.mark.parametrize("attack", [Population, LabelOnly, QuantileRegression, RmiaOffline])
def test_a_leak_raises_the_score(attack: type[Attack]) -> None:
    """T3, T4: higher = more like a member."""
    assert contrast(score(attack(), 2.0)) > contrast(score(attack(), 0.0))


@pytest.mark.parametrize("attack", [LiraOnline, RmiaOnline, ShadowLogistic, ULira])
def test_a_leak_raises_the_score_against_shadow_models(attack: type[Attack]) -> None:
    mine = attack()
    case = shadowed(mine)
    leak, none = (mine.score([observe(mine, view(1, leak=by)), observe(mine, view(2))], case) for by in (2.0, 0.0))
    assert contrast(leak) > contrast(none)
    assert leak.invalid == ""


def test_population_is_minus_the_loss_and_constant_losses_are_invalid() -> None:
    """T2: a constant score is no evidence."""
    one = view(1)
    signals = observe(Population(), one)
    np.testing.assert_array_equal(signals["forget"], log_label(one.logit_sets["forget"], RANDOM.labels["forget"]))
    flat = StubView({role: np.zeros((240, 3)) for role in ROLES})
    assert "same loss" in Population().score([observe(Population(), flat)], RANDOM).invalid


def test_rmia_wants_a_reference_and_a_population() -> None:
    with pytest.raises(NotApplicable, match="reference"):
        score(RmiaOffline(), 0.0, references=0)
    assert score(RmiaOffline(), 0.0, references=1).examples is not None
    small = gaussian_case("random", n=150)
    with pytest.raises(NotApplicable, match="200 auxiliary rows"):
        observe(RmiaOffline(), view(0, case=small), small)


def test_rmia_population_shares_no_row_with_the_audited_sets() -> None:
    """T19: disjoint by id."""
    named = {
        role: Arrays(data.batch(np.arange(240)), data.y, ids=np.arange(240) + 1000 * at)
        for at, (role, data) in enumerate(RANDOM.sets.items())
    }
    case = replace(RANDOM, sets=named)
    assert observe(RmiaOffline(), view(0), case)
    auxiliary = replace(named["auxiliary"], ids=named["holdout"].ids)
    with pytest.raises(NotApplicable, match="holdout"):
        observe(RmiaOffline(), view(0), replace(case, sets={**named, "auxiliary": auxiliary}))


@pytest.mark.parametrize(("attack", "change"), [(RmiaOffline, {"a": 0.9}), (RmiaOffline, {"temperature": 1.0})])
def test_every_parameter_changes_the_scores(attack: type[Attack], change: dict[str, float]) -> None:
    """T20: and stands in the record."""
    one, two = (score(a, 1.0) for a in (attack(), attack(**change)))
    assert attack(**change).parameters != attack().parameters
    assert not np.array_equal(one.examples, two.examples)  # type: ignore[arg-type]


def test_rmia_says_that_nothing_was_tuned() -> None:
    """T17: no other model's membership enters."""
    assert "not tuned" in score(RmiaOffline(), 0.0).details[0]


def test_target_scores_move_no_variance() -> None:
    """T15: the ratio of one row does not depend on another row or another audited model."""
    attack = LiraOnline()
    case = shadowed(attack)
    plain, moved = view(1), view(1)
    moved.logit_sets["holdout"] = moved.logit_sets["holdout"] * np.array([1.0, 1.01, 1.0])
    signals = [observe(attack, v) for v in (plain, view(2))]
    changed = [signals[0], {**signals[1], "holdout": signals[1]["holdout"] + 100}]
    first, second = (attack.score(s, case).examples for s in (signals, changed))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1, :240], second[1, :240])


def test_shadow_folds_are_whole_models_and_disjoint() -> None:
    """T25: no model is in two folds, all are in one."""
    for count in (8, 16, 33):
        parts = folds(count)
        assert sorted(k for part in parts for k in part) == list(range(count))


def test_a_rule_that_does_not_carry_over_is_invalid() -> None:
    attack = ShadowLogistic()
    case = shadowed(attack, leak=0.0)
    scores = attack.score([observe(attack, view(1)), observe(attack, view(2))], case)
    assert "does not carry over" in scores.invalid
    assert "AUC on shadow models left out" in scores.details[0]


@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_features_of_any_number_of_classes(classes: int) -> None:
    """T22."""
    z = np.random.default_rng(0).normal(size=(7, classes))
    features = answer_features(z, np.zeros(7, dtype=np.int64))
    assert features.shape == (7, min(classes, 3) + 6)
    assert np.isfinite(answer_features(1e4 * z, np.zeros(7, dtype=np.int64))).all()


def test_queries_are_averaged_and_refused_ones_left_out() -> None:
    asked = replace(RANDOM, queries=("flip", "shift:1:0"))
    plain, averaged = queried_confidence(view(1), RANDOM), queried_confidence(view(1), asked)
    assert not np.allclose(plain, averaged)
    np.testing.assert_array_equal(queried_confidence(view(1, kind=Precomputed), asked), plain)


@pytest.mark.parametrize("attack", [Population, RmiaOffline, LiraOnline, ShadowLogistic, QuantileRegression])
def test_extreme_logits_give_finite_scores(attack: type[Attack]) -> None:
    """T8: separable rows are kept; as many scores come out as rows went in."""
    mine = attack()
    extreme = view(1)
    extreme.logit_sets = {role: z * 1e5 for role, z in extreme.logit_sets.items()}
    case = shadowed(mine) if mine.design else RANDOM
    examples = mine.score([observe(mine, v) for v in (extreme, view(2), view(3))], case).examples
    assert examples is not None
    assert examples.shape == (3, 480)


def test_every_attack_has_a_name_of_its_own() -> None:
    titles = [attack.title for attack in discover().values()]
    assert len(set(titles)) == len(titles)
