"""Attacks that need no shadow models: quantiles, labels, pairs and the legacy figure, each at its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases.stub import gaussian_case

from attacks.base import Floats, NotApplicable
from attacks.membership.label_only import LabelOnly
from attacks.membership.pair import Pair, degradation
from attacks.membership.quantile import QuantileRegression
from attacks.membership.rmia import RmiaOffline
from attacks.membership.svc_mia import SvcMia
from audit.inputs.data import Arrays
from audit.policy.policy import load_policy
from audit.policy.primaries import KINDS, LEVELS
from tests.attacks.stubs import RANDOM, Precomputed, Queried, contrast, observe, score, view

POLICY = load_policy("standard")[0]


def test_quantiles_without_inputs_or_rows_have_no_meaning() -> None:
    bare = {role: Arrays(None, data.y) for role, data in RANDOM.sets.items()}
    with pytest.raises(NotApplicable, match="inputs"):
        observe(QuantileRegression(), view(0), replace(RANDOM, sets=bare))
    small = gaussian_case("random", n=90)
    with pytest.raises(NotApplicable, match="100 auxiliary rows"):
        observe(QuantileRegression(), view(0, case=small), small)


def test_the_plan_knows_rows_and_inputs_that_are_missing() -> None:
    """Asked without a model: by the sizes of the sets and their first rows."""
    bare = replace(RANDOM, sets={role: Arrays(None, data.y) for role, data in RANDOM.sets.items()})
    texts = {role: Arrays(np.full((len(data), 1), "a"), data.y) for role, data in RANDOM.sets.items()}
    small = gaussian_case("random", n=9)
    assert QuantileRegression().applicable(bare) == "needs the inputs of the rows: this data set has no inputs x"
    assert QuantileRegression().applicable(replace(RANDOM, sets=texts)) == "needs inputs that are numbers"
    assert "there are 9" in QuantileRegression().applicable(small)
    assert "there are 9" in RmiaOffline().applicable(small)
    assert "10 retain and 10 test rows" in SvcMia().applicable(small)
    assert "there are 0" in RmiaOffline().applicable(replace(RANDOM, labels={}))
    for attack in (QuantileRegression(), RmiaOffline(), SvcMia()):
        assert attack.applicable(RANDOM) == ""


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


def test_label_only_asks_each_size_once_in_directions_that_take_turns() -> None:
    class Counted(Queried):
        def augmented(self, role: str, query: str) -> Floats:
            asked.append(query)
            return super().augmented(role, query)

    asked: list[str] = []
    found = observe(LabelOnly(), Counted(view(1).logit_sets))
    sizes = [query.rsplit(":", 1)[0] for query in asked]
    assert found["queries"][0] == 1 + len(set(sizes)) == 1 + len(asked) / 2  # forget and holdout rows
    assert {query[-1] for query in asked if query.startswith("noise")} == {"0", "1"}


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
    assert not any(SvcMia.name in POLICY.attacks(kind, level) for kind in KINDS for level in LEVELS)
