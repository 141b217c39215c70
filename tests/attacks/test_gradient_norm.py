"""Gradient norm: equal to plain backward passes, without underflow, on networks of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attacks.base import NotApplicable
from attacks.representation.gradient_norm import GradientNorm
from fixtures.cases.digits_world import scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit


@pytest.mark.parametrize("network", [cnn, vit])
def test_norms_are_those_of_backward_passes(network: type) -> None:
    case = small_case()
    view = ModuleView(network(), case.sets)
    found = GradientNorm().observe(view, None, case, np.random.default_rng(0))["forget"]
    own = view.network()
    x = view.tensor(np.asarray(case.sets["forget"].batch(np.arange(6))))
    for k in range(6):
        loss = nn.functional.cross_entropy(own.forward(x[k : k + 1]), torch.tensor(case.labels["forget"][k : k + 1]))
        gradients = torch.autograd.grad(loss, list(own.module.parameters()), allow_unused=True)
        norm = sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
        assert found[k] == pytest.approx(-np.log(norm), abs=1e-3)


def test_a_confident_row_does_not_underflow() -> None:
    case = small_case()
    network = cnn()
    with torch.no_grad():
        network.head.weight.mul_(1e4)
    found = GradientNorm().observe(ModuleView(network, case.sets), None, case, np.random.default_rng(0))
    values = np.concatenate([found["forget"], found["holdout"]])
    assert np.isfinite(values).all()
    assert len(np.unique(values)) == len(values)
    assert values.max() > 150  # a loss of e-150: zero in float32


def test_trained_rows_pull_less() -> None:
    scores = scored(GradientNorm(), "random", "original")
    assert scores.examples is not None
    contrast = scores.examples[:, :300].mean(axis=1) - scores.examples[:, 300:].mean(axis=1)
    assert contrast[0] > contrast[1:].max()
    assert "weights 3" in " ".join(scores.details)


def test_a_network_that_asks_for_values_is_a_reason() -> None:
    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x if float(x.detach().sum()) > 0 else -x)

    case = small_case()
    with pytest.raises(NotApplicable, match="gradient of single rows"):
        GradientNorm().observe(ModuleView(Asking(), case.sets), None, case, np.random.default_rng(0))
