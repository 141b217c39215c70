"""Interpolation: exact barriers, ends that are the models themselves, BatchNorm statistics taken anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attacks.base import NotApplicable
from attacks.recovery.blend import blended, renormalised
from attacks.recovery.interpolation import Interpolation, barrier
from fixtures.cases.digits_world import digits, excess
from fixtures.cases.networks import cnn
from tests.attacks import stubs


def test_barrier_of_a_known_path() -> None:
    shares = np.linspace(0, 1, 3)
    right = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]], dtype=float)
    found, error = barrier(right, shares)
    assert found == pytest.approx(0.75 - 0.25)  # the line from 1 to .5 is .75 in the middle
    assert error == pytest.approx(np.std([0, 1, 0.5, 0.5]) / 2)
    assert barrier(np.ones((3, 4)), shares)[0] == 0


def test_the_ends_are_the_models_themselves() -> None:
    world = digits("random")
    signals = world.observe(Interpolation(), "retrain")
    for role, rows in (("forget", 300), ("holdout", 600)):
        for at, name in ((0, "original"), (-1, "retrain")):
            labels = world.case.labels[role]
            right = world.view(name).logits(role).argmax(axis=1) == labels
            assert signals[role].shape[1] == rows
            np.testing.assert_array_equal(signals[role][at], right)


def test_distance_is_that_of_the_weights() -> None:
    world = digits("random")
    flat = [torch.cat([p.detach().flatten() for p in world.model(n).parameters()]) for n in ("original", "retrain")]
    found = world.observe(Interpolation(), "retrain")["distance"]
    assert found[0] == pytest.approx(float((flat[0] - flat[1]).norm()), rel=1e-5)
    assert world.observe(Interpolation(), "original")["distance"][0] == 0


def test_integers_are_not_averaged() -> None:
    one, two = (type("N", (), {"module": cnn()})() for _ in range(2))
    two.module.get_buffer("body.1.num_batches_tracked").fill_(10)
    assert blended(one, two, 0.4)["body.1.num_batches_tracked"] == 0
    assert blended(one, two, 0.6)["body.1.num_batches_tracked"] == 10


def test_statistics_are_those_of_the_batches() -> None:
    class Own:
        module = cnn().eval()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.module(x)

    x = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(1)) + 3
    network = Own()
    assert renormalised(network, [x[:32], x[32:]])  # type: ignore[arg-type]
    layer, seen = network.module.body[1], network.module.body[0](x).detach()
    torch.testing.assert_close(layer.running_mean, seen.mean((0, 2, 3)), rtol=1e-3, atol=1e-3)
    assert layer.momentum == 0.1
    assert not any(m.training for m in network.module.modules())


def test_outputs_alone_have_no_path() -> None:
    with pytest.raises(NotApplicable, match="original"):
        stubs.observe(Interpolation(), stubs.view(1))


def test_a_shallow_method_meets_no_barrier_and_the_report_says_what_that_is_worth() -> None:
    relabelled, retrain = digits("class").score(Interpolation(), "random_labels", "retrain")
    assert relabelled.statistic is not None
    assert relabelled.statistic[0] > -0.05
    assert relabelled.statistic[0] > relabelled.statistic[1:].max()
    assert abs(excess(retrain)) < 5
    assert any("legitimately" in line for line in relabelled.details)
