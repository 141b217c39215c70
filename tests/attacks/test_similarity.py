"""Similarity: the estimator against its definition, what it must ignore, and what the difference says."""

from __future__ import annotations

import itertools

import numpy as np
from cases.stub import StubView, gaussian_case

from attacks.representation.kernels import centred_gram, cka, degenerate, hsic, procrustes
from attacks.representation.similarity import Similarity
from fixtures.cases.digits_world import scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

RNG = np.random.default_rng(0)
ROTATION = np.linalg.qr(RNG.normal(size=(12, 12)))[0]


def test_hsic_is_the_u_statistic() -> None:
    """Song et al. 2012, equation 4, over all ordered quadruples of distinct rows."""
    k, m = (centred_gram(RNG.normal(size=(7, 3))) for _ in range(2))
    total = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in itertools.permutations(range(7), 4)]
    assert np.isclose(hsic(k, m), np.mean(total))


def test_independent_features_have_no_similarity_however_wide() -> None:
    values = [cka(*(centred_gram(RNG.normal(size=(100, 400))) for _ in range(2))) for _ in range(20)]
    assert abs(np.mean(values)) < 0.02  # the biased estimator gives about .8
    assert max(np.abs(values)) < 0.1


def test_rotation_scale_and_shift_cost_nothing() -> None:
    x = RNG.normal(size=(60, 12)) * np.arange(1, 13)
    moved = 3 * x @ ROTATION + 5
    assert np.isclose(cka(centred_gram(x), centred_gram(moved)), 1)
    assert abs(procrustes(x, moved)) < 1e-9
    assert np.isclose(procrustes(x[:8], moved[:8]), 0, atol=1e-9)  # fewer rows than units
    assert 0.1 < procrustes(x, RNG.normal(size=(60, 5))) <= 2


def test_constant_features_are_degenerate() -> None:
    flat = np.full((30, 4), 7.0)
    assert degenerate(flat)
    assert not degenerate(RNG.normal(size=(30, 4)) + 100)
    assert cka(centred_gram(flat), centred_gram(RNG.normal(size=(30, 4)))) == 0
    assert procrustes(flat, flat) == 2


def test_a_collapsed_model_is_named() -> None:
    case = gaussian_case("random", n=60)

    def view(seed: int, scale: float) -> StubView:
        rng = np.random.default_rng(seed)
        return StubView(feature_sets={role: scale * rng.normal(size=(60, 4)) + 1 for role in case.sets})

    views = [view(0, 0.0), *(view(k, 1.0) for k in range(1, 4))]
    signals = [Similarity().observe(v, view(9, 1.0), case, np.random.default_rng(0)) for v in views]
    assert "constant" in Similarity().score(signals, case).invalid
    assert Similarity().score(signals[1:], case).invalid == ""


def test_a_forgotten_class_is_arranged_as_before_in_the_original_alone() -> None:
    scores = scored(Similarity(), "class", "original")
    assert scores.statistic is not None
    assert scores.sampling_error is not None
    assert scores.statistic[0] == 0
    assert scores.statistic[1:].max() < -0.01
    assert (scores.sampling_error[1:] > 0).all()
    masked = scored(Similarity(), "class", "head_mask").statistic
    assert masked is not None
    assert np.isclose(masked[0], 0, atol=1e-6)  # a head edit leaves the features


def test_details_compare_with_the_references_too() -> None:
    text = " ".join(scored(Similarity(), "random", "last_layer").details)
    for part in ("forget, 300 rows", "holdout, 512 rows", "among the references", "hidden 1", "Procrustes"):
        assert part in text


def test_networks_of_other_kinds() -> None:
    case = small_case()
    for network in (cnn, vit):
        view, original = (ModuleView(network(seed), case.sets) for seed in (0, 1))
        signals = [Similarity().observe(v, original, case, np.random.default_rng(0)) for v in (view, original)]
        statistic = Similarity().score(signals, case).statistic
        assert statistic is not None
        assert np.isclose(statistic[1], 0, atol=1e-9)
