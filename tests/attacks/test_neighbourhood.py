"""Neighbourhood: cosines as scikit-learn finds them, and what changes none of them."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case
from sklearn.neighbors import NearestNeighbors

from attacks.base import NotApplicable, Scores
from attacks.representation.neighbourhood import CONSTANT, Neighbourhood, nearest, unit_rows
from fixtures.cases.digits_world import scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

RANDOM = gaussian_case("random", n=300)


def features(seed: int, place: float = 2.0, factor: float = 1.0) -> StubView:
    """Three clusters with noise; forget rows lie ``place`` from the origin, all others 2."""
    rng = np.random.default_rng(seed)
    sets = {}
    for role in ("forget", "holdout", "retain"):
        y = RANDOM.labels[role]
        values = np.eye(3)[y] * (place if role == "forget" else 2.0) + rng.normal(size=(len(y), 3))
        sets[role] = values * np.array([factor, 1, 1])
    return StubView(feature_sets=sets)


def score(*views: StubView) -> Scores:
    signals = [Neighbourhood().observe(v, None, RANDOM, np.random.default_rng(0)) for v in views]
    return Neighbourhood().score(signals, RANDOM)


def test_cosines_are_those_of_the_nearest_rows() -> None:
    rng = np.random.default_rng(0)
    rows, bank = unit_rows(rng.normal(size=(300, 5))), unit_rows(rng.normal(size=(90, 5)))
    found = nearest(rows, bank, (5, 20))
    for count, mine in zip((5, 20), found, strict=True):
        distance, _ = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(bank).kneighbors(rows)
        np.testing.assert_allclose(mine, (1 - distance).mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(nearest(rows, bank[:3], (5,))[0], (rows @ bank[:3].T).mean(axis=1))


def test_rows_drawn_to_the_retained_ones_score_higher() -> None:
    scores = score(features(0, 4.0), *(features(k) for k in range(1, 6)))
    assert scores.examples is not None
    contrast = scores.examples[:, :300].mean(axis=1) - scores.examples[:, 300:].mean(axis=1)
    assert contrast[0] > contrast[1:].max() + 0.15


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_rescaled_unit_changes_no_cosine(factor: float) -> None:
    mine, theirs = (
        Neighbourhood().observe(features(0, factor=f), None, RANDOM, np.random.default_rng(0))["forget"]
        for f in (1.0, factor)
    )
    np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_constant_features_are_named() -> None:
    dead = StubView(feature_sets={role: np.ones((300, 3)) for role in ("forget", "holdout", "retain")})
    assert score(dead, *(features(k) for k in range(3))).invalid == CONSTANT


def test_a_class_claim_is_left_out() -> None:
    case = gaussian_case("class", (2,))
    with pytest.raises(NotApplicable, match="nearer"):
        Neighbourhood().observe(features(0), None, case, np.random.default_rng(0))


def test_the_profile_covers_every_layer_of_any_network() -> None:
    for network, layers in ((cnn, 2), (vit, 3)):
        case = small_case(60)
        view = ModuleView(network(), case.sets)
        signals = Neighbourhood().observe(view, None, case, np.random.default_rng(0))
        assert len(signals["layers"]) == len(view.layers()) + 1 >= layers


def test_details_name_layers_rows_and_references() -> None:
    scores = scored(Neighbourhood(), "random", "original")
    text = " ".join(scores.details)
    for part in ("300 forget rows against 600 holdout rows", "hidden 1", "features", "(references "):
        assert part in text
    assert scores.plots["profile"].values.shape == (4, 2)
