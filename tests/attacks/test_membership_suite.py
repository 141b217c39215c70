"""Each membership attack alone: where it has no meaning, what makes it invalid, what it may not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.base import Attack, Case, Floats, NotApplicable, Scores, Shadows, Signals, discover
from attacks.membership.common import queried_confidence
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira_online import LiraOnline
from attacks.membership.pair import Pair, degradation
from attacks.membership.population import Population
from attacks.membership.quantile import QuantileRegression
from attacks.membership.rmia import RmiaOffline, RmiaOnline
from attacks.membership.shadow import ShadowLogistic, answer_features, folds
from attacks.membership.svc_mia import SvcMia
from attacks.membership.ulira import ULira
from attacks.signals import log_label
from audit.data import Arrays

RANDOM, CLASS = gaussian_case("random", n=240), gaussian_case("class", (2,), n=240)
ROLES = ("forget", "holdout", "retain", "test", "auxiliary")
MEMBERSHIP = (LabelOnly, LiraOnline, Pair, QuantileRegression, RmiaOffline, RmiaOnline, ShadowLogistic, ULira)


def logits(case: Case, role: str, rng: np.random.Generator) -> Floats:
    y = case.labels[role]
    return np.eye(case.n_classes)[y] * 2 + rng.normal(size=(len(y), case.n_classes))


class Queried(StubView):
    """Answers every query by the plain logits plus noise of the query's name."""

    def augmented(self, role: str, query: str) -> Floats:
        rng = np.random.default_rng(sum(map(ord, role + query)))
        return self.logit_sets[role] + rng.normal(size=self.logit_sets[role].shape)


class Precomputed(StubView):
    """No network to ask."""

    def augmented(self, role: str, query: str) -> Floats:
        raise NotApplicable("augmentation queries need a network")


def view(seed: int, *, leak: float = 0.0, case: Case = RANDOM, kind: type[StubView] = Queried) -> StubView:
    rng = np.random.default_rng(seed)
    sets = {role: logits(case, role, rng) for role in ROLES}
    for role in ("forget", "retain"):
        sets[role][np.arange(len(sets[role])), case.labels[role]] += leak if role == "forget" else 1.0
    return kind(sets)


def observe(attack: Attack, one: StubView, case: Case = RANDOM, original: StubView | None = None) -> Signals:
    return attack.observe(one, original, case, np.random.default_rng(0))


def score(attack: Attack, leak: float, *, references: int = 4, case: Case = RANDOM) -> Scores:
    views = [view(1, leak=leak, case=case), *(view(100 + k, case=case) for k in range(references))]
    return attack.score([observe(attack, v, case, view(50, leak=3.0)) for v in views], case)


def shadowed(attack: Attack, models: int = 16, leak: float = 2.0) -> Case:
    """Shadow models that are more confident on the rows of their coins."""
    n = len(RANDOM.labels["forget"])
    member = np.random.default_rng(9).random((models, 2 * n)) < 0.5
    signals = []
    for k, coins in enumerate(member):
        one = view(200 + k)
        for role, mine in (("forget", coins[:n]), ("holdout", coins[n:])):
            one.logit_sets[role][np.flatnonzero(mine), RANDOM.labels[role][mine]] += leak
        signals.append(observe(attack, one))
    return replace(RANDOM, shadows=Shadows(signals, member))


def contrast(scores: Scores) -> float:
    assert scores.examples is not None
    return float(scores.examples[0, :240].mean() - scores.examples[0, 240:].mean())


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


def test_quantiles_without_inputs_or_rows_have_no_meaning() -> None:
    bare = {role: Arrays(None, data.y) for role, data in RANDOM.sets.items()}
    with pytest.raises(NotApplicable, match="inputs"):
        observe(QuantileRegression(), view(0), replace(RANDOM, sets=bare))
    small = gaussian_case("random", n=90)
    with pytest.raises(NotApplicable, match="100 auxiliary rows"):
        observe(QuantileRegression(), view(0, case=small), small)


def test_quantiles_take_pictures_and_named_inputs() -> None:
    def wide(data: object) -> Arrays:
        x = np.asarray(data.batch(np.arange(240)))  # type: ignore[attr-defined]
        return Arrays(np.tile(x, 64).reshape(240, 3, 8, 8), data.y)  # type: ignore[attr-defined]

    def named(data: object) -> Arrays:
        x = np.asarray(data.batch(np.arange(240)))  # type: ignore[attr-defined]
        return Arrays({"a": x[:, :2], "b": x[:, 2]}, data.y)  # type: ignore[attr-defined]

    for change in (wide, named):
        case = replace(RANDOM, sets={role: change(data) for role, data in RANDOM.sets.items()})
        assert observe(QuantileRegression(), view(0), case)["forget"].shape == (240,)


def test_quantiles_that_are_off_are_invalid() -> None:
    """A quantile that held-out never-seen rows do not follow says nothing of forget rows."""
    signals = dict(observe(QuantileRegression(), view(0)))
    alpha, _, rows, shifting, _ = signals["check"]
    signals["check"] = np.array([alpha, rows / 2, rows, shifting, 0.0])
    assert "off" in QuantileRegression().score([signals], RANDOM).invalid
    signals["check"] = np.array([alpha, 3.0, rows, shifting, 200.0])
    assert "cross" in QuantileRegression().score([signals], RANDOM).invalid


def test_label_only_reads_predicted_classes_and_nothing_else() -> None:
    class Labels(Queried):
        def logits(self, role: str) -> Floats:
            return np.eye(3)[super().logits(role).argmax(axis=1)]

        def augmented(self, role: str, query: str) -> Floats:
            return np.eye(3)[super().augmented(role, query).argmax(axis=1)]

    one = view(1)
    for key, values in observe(LabelOnly(), one).items():
        np.testing.assert_array_equal(values, observe(LabelOnly(), Labels(one.logit_sets))[key])


def test_label_only_without_a_network_has_no_meaning() -> None:
    with pytest.raises(NotApplicable, match="need a network"):
        observe(LabelOnly(), view(0, kind=Precomputed))


def test_label_only_stands_references_that_agree_on_every_row() -> None:
    signals = [observe(LabelOnly(), view(k)) for k in (1, 2, 2, 2)]
    scores = LabelOnly().score(signals, RANDOM)
    assert "agree exactly" in scores.details[0]
    flat = {**signals[0], "forget": np.ones(240), "holdout": np.ones(240)}
    assert "same agreement" in LabelOnly().score([flat, *signals[1:]], RANDOM).invalid


def test_a_deleted_row_falls_and_exact_retraining_shows_it_too() -> None:
    original = view(50, leak=3.0)
    signals = [observe(Pair(), view(k), RANDOM, original) for k in (1, 2, 3)]
    scores = Pair().score(signals, RANDOM)
    assert contrast(scores) < -1
    assert "references" in scores.details[0]
    assert float(scores.details[0].split("AUC ")[1].split(" ")[0]) > 0.7
    with pytest.raises(NotApplicable, match="original"):
        observe(Pair(), view(1))


def test_degradation_counts_what_the_pair_adds() -> None:
    deleted = np.arange(10) < 5
    alone, pair = np.zeros(10), np.where(deleted, 1.0, -1.0)
    count, rate = degradation(pair, alone, deleted)
    assert count == 1.0
    assert rate == pytest.approx(0.25)
    assert degradation(alone, alone, deleted) == (0.5, 0.0)


def test_svc_mia_reports_the_share_beside_the_references() -> None:
    scores = score(SvcMia(), 3.0)
    assert scores.statistic is not None
    assert ((scores.statistic >= 0) & (scores.statistic <= 1)).all()
    assert "MIA efficacy" in scores.details[0]
    assert f"{1 - scores.statistic[0]:.3f}" in scores.details[0]
    assert SvcMia.primary_for == frozenset()


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
