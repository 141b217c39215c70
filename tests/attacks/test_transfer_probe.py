"""Transfer: margins that are known, and no forget row among the neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.base import NotApplicable
from attacks.representation.transfer_probe import COUNTS, TransferProbe, _margins
from fixtures.cases.digits_world import scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

RANDOM, CLASS = gaussian_case("random", n=300), gaussian_case("class", (2,), n=100)


def test_margins_on_two_axes() -> None:
    bank = np.repeat(np.eye(2), 30, axis=0)
    labels = np.repeat([0, 1], 30)
    margin, agree = _margins(np.eye(2)[[0, 0, 1]], np.array([0, 1, 2]), bank, labels)
    np.testing.assert_allclose(margin, [1, -1, -1 - 1])  # no bank row has label 2: the lowest cosine there is
    np.testing.assert_array_equal(agree, [[1, 1], [0, 0], [0, 0]])


def view(seed: int, place: float = 2.0) -> StubView:
    rng = np.random.default_rng(seed)
    sets = {}
    for role in ("forget", "holdout", "retain"):
        y = RANDOM.labels[role]
        sets[role] = np.eye(3)[y] * (place if role == "forget" else 2.0) + rng.normal(size=(len(y), 3))
    return StubView(feature_sets=sets)


def test_memorised_rows_lie_deeper_among_their_label() -> None:
    views = [view(0, 3.5), *(view(k) for k in range(1, 6))]
    signals = [TransferProbe().observe(v, None, RANDOM, np.random.default_rng(0)) for v in views]
    scores = TransferProbe().score(signals, RANDOM)
    assert scores.examples is not None
    contrast = scores.examples[:, :300].mean(axis=1) - scores.examples[:, 300:].mean(axis=1)
    assert contrast[0] > contrast[1:].max() + 0.3


def test_forget_rows_are_nobodys_neighbours() -> None:
    moved = view(0)
    before = TransferProbe().observe(moved, None, RANDOM, np.random.default_rng(0))
    far = {**moved.feature_sets, "forget": moved.feature_sets["forget"].copy()}
    far["forget"][0] = far["forget"][1]  # standardisation hardly moves: its unit spreads are those of the retained rows
    after = TransferProbe().observe(StubView(feature_sets=far), None, RANDOM, np.random.default_rng(0))
    np.testing.assert_allclose(before["holdout"], after["holdout"], atol=0.02)
    assert after["forget"][0] != before["forget"][0]


def test_a_trained_class_is_recalled_better() -> None:
    scores = scored(TransferProbe(), "class", "head_mask")
    assert scores.statistic is not None
    assert scores.statistic[0] > scores.statistic[1:].max()
    assert f"most of {COUNTS[1]} neighbours" in " ".join(scores.details)
    assert "linear probe" in " ".join(scores.details)


def test_too_few_rows_of_a_class_are_a_reason() -> None:
    few = gaussian_case("class", (2,), n=8)
    rng = np.random.default_rng(0)
    sets = {role: rng.normal(size=(8, 3)) for role in few.sets}
    with pytest.raises(NotApplicable, match="never-seen rows"):
        TransferProbe().observe(StubView(feature_sets=sets), None, few, np.random.default_rng(0))


def test_constant_features_are_named() -> None:
    dead = StubView(feature_sets={role: np.ones((300, 3)) for role in ("forget", "holdout", "retain")})
    signals = [TransferProbe().observe(v, None, RANDOM, np.random.default_rng(0)) for v in (dead, view(1), view(2))]
    assert "same margin" in TransferProbe().score(signals, RANDOM).invalid


def test_networks_of_other_kinds() -> None:
    case = small_case(60)
    for network in (cnn, vit):
        signals = TransferProbe().observe(ModuleView(network(), case.sets), None, case, np.random.default_rng(0))
        assert np.isfinite(signals["forget"]).all()
