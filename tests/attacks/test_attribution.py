"""Attribution: exact on linear networks, complete or counted, and fooled by no in-place activation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from cases.stub import gaussian_case, linear_view
from torch import nn

from attacks.base import NotApplicable
from attacks.representation.attribution import Attribution
from attacks.representation.gradients import Attributions
from audit.inputs.data import Arrays
from fixtures.cases.digits_world import digits, scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

CASE = gaussian_case("random", n=40)
WEIGHT = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, 1.0], [1.0, 0.0, -2.0]])
SMALL = Attribution(max_rows=16)


def test_a_linear_network_has_exact_maps() -> None:
    view = linear_view(CASE, WEIGHT, np.array([0.3, -0.2, 0.0]))
    baselines = np.stack([np.zeros(3), np.full(3, 0.5)])
    x, y = np.asarray(CASE.sets["forget"].batch(np.arange(20))), CASE.labels["forget"][:20]
    found = Attributions(view, baselines, 20, 8).integrated(x, y)
    own = WEIGHT[y] - WEIGHT.mean(axis=0)
    np.testing.assert_allclose(found.maps, (x[:, None] - baselines) * own[:, None], atol=1e-9)
    assert found.error.max() < 1e-7


def inplace_network(inplace: bool) -> nn.Module:
    """An activation that works on the input itself, and one between two layers."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.ReLU(inplace), nn.Linear(64, 32), nn.ReLU(inplace), nn.Linear(32, 16), nn.ReLU(inplace), nn.Linear(16, 10)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.3, 0.3, generator=generator)
    return network.eval()


def test_in_place_activations_change_no_map() -> None:
    case = small_case()
    x, y = np.asarray(case.sets["forget"].batch(np.arange(20)), dtype=float) - 0.3, case.labels["forget"][:20]
    maps, layers = [], []
    for inplace in (True, False):
        given = x.copy()
        method = Attributions(ModuleView(inplace_network(inplace), case.sets), np.zeros((1, 64)) - 0.2, 50, 64)
        maps.append(method.integrated(given, y))
        layers.append(method.by_layer(given, y))
        np.testing.assert_array_equal(given, x)
    np.testing.assert_allclose(maps[0].maps, maps[1].maps, atol=1e-6)
    assert np.abs(maps[0].maps).max() > 0
    assert len(layers[0]) == len(layers[1]) == 1
    for mine, theirs in zip(*layers, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_what_every_logit_shares_is_no_attribution() -> None:
    view = linear_view(CASE, WEIGHT, np.zeros(3))
    shifted = linear_view(CASE, WEIGHT + np.array([5.0, -3.0, 1.0]), np.array([0.0, 0.0, -50.0]))
    x, y = np.asarray(CASE.sets["forget"].batch(np.arange(20))), CASE.labels["forget"][:20]
    one, two = (Attributions(v, np.zeros((1, 3)), 20, 8).integrated(x, y).maps for v in (view, shifted))
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_incomplete_maps_are_counted_and_named() -> None:
    class Stairs(nn.Module):
        """Steps a hundredth wide: gradients that say nothing of the change."""

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x + (2 * torch.sin(300 * x)))

    torch.manual_seed(0)
    case = small_case()
    stairs = ModuleView(Stairs(), case.sets)
    signals = SMALL.observe(stairs, stairs, case, np.random.default_rng(0))
    scores = SMALL.score([signals], case)
    assert signals["focus_complete"].mean() < 0.8
    assert "miss the change" in scores.invalid
    assert scores.remedy


def test_a_masked_head_reads_the_class_by_the_same_inputs() -> None:
    scores = scored(SMALL, "class", "head_mask")
    assert scores.invalid == ""
    assert scores.statistic is not None
    assert scores.statistic[0] == pytest.approx(0, abs=1e-5)
    assert scores.statistic[1:].max() < -0.05
    text = " ".join(scores.details)
    for part in (
        "16 holdout rows against 16 test rows",
        "left out, completeness error above 5%",
        "by layer",
        "(references ",
    ):
        assert part in text


def test_networks_of_other_kinds_without_a_word() -> None:
    case = small_case()
    for network in (cnn, vit):
        view, original = (ModuleView(network(seed), case.sets) for seed in (0, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            signals = SMALL.observe(view, original, case, np.random.default_rng(0))
        assert len(signals["layers"]) == len(view.layers())
        assert signals["focus_complete"].mean() > 0.8
        assert not any(p.requires_grad for p in view.target.module.parameters())


def test_budget_and_refusals() -> None:
    case = digits("random").case
    assert SMALL.gradient_rows(case) == 2 * 32 * 101
    tokens = {role: Arrays(np.zeros((40, 3), dtype=np.int64), data.y) for role, data in CASE.sets.items()}
    discrete = type(CASE)("random", (), tokens, CASE.labels, 3)  # type: ignore[arg-type]
    with pytest.raises(NotApplicable, match="continuous"):
        SMALL.observe(
            digits("random").view("original"), digits("random").view("original"), discrete, np.random.default_rng(0)
        )
