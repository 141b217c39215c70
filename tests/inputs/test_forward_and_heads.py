"""Forward passes that return or take more than a tensor, and heads that are no plain linear layer."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attacks.base import Access
from audit.inputs.data import Arrays
from audit.inputs.network import PrivateNetwork
from audit.inputs.probing import probe_models
from audit.inputs.targets import TorchTarget

X = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
ROWS = Arrays(X, np.arange(20) % 4)
Out = namedtuple("Out", ["hidden", "logits"])


class Net(nn.Module):
    """A body, a head, and whatever becomes of what they put out."""

    def __init__(self, head: nn.Module | None = None, after: Callable[[Any, Any], Any] = lambda _h, z: z) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.after = nn.Linear(6, 8), head or nn.Linear(8, 4), after

    def forward(self, x: torch.Tensor) -> Any:
        h = torch.relu(self.body(x)) + 0.1
        return self.after(h, self.head(h))


class Cosine(nn.Linear):
    """Cosines times a scale: no linear map of what it reads, though it is a linear layer by its class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 7 * functional.linear(functional.normalize(x), functional.normalize(self.weight))


class Pointwise(nn.Module):
    """1x1 convolution of feature maps, then the mean over positions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.classifier = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.relu(self.body(x[:, None]))).mean((2, 3))


class Odd(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) ** 3


def probed(network: nn.Module, rows: Arrays = ROWS, **build: Any) -> tuple[TorchTarget, list[str]]:
    target = TorchTarget(network.eval(), "cpu", build.pop("head", None), **build)
    problems: list[str] = []
    probe_models({"m": target}, {"forget": rows}, problems)
    return target, problems


@pytest.mark.parametrize(
    ("after", "output"),
    [
        (lambda h, z: (z, h), "0"),
        (lambda h, z: [h, z], "1"),
        (lambda h, z: {"out": z, "hidden": h}, "out"),
        (lambda h, z: {"logits": z, "hidden": h}, None),
        (Out, None),
        (lambda _h, z: (z,), None),
        (lambda _h, z: {"y": z}, None),
    ],
)
def test_the_logits_among_several_outputs(after: Any, output: str | None) -> None:
    target, problems = probed(Net(after=after), output=output)
    assert problems == []
    plain = Net()
    expected = plain(torch.from_numpy(X)).detach().numpy()
    logits, features = target.outputs("forget", ROWS, 7)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert features is not None
    weight, bias = target.head()
    np.testing.assert_allclose(features @ weight.T + bias, logits, atol=1e-4)
    private = PrivateNetwork(target)
    np.testing.assert_allclose(private.forward(torch.from_numpy(X)).detach(), expected, atol=1e-5)
    state = {"head.bias": torch.zeros(4)}
    moved = private.functional(state, torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(moved + plain.head.bias.detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("after", "output", "expected"),
    [
        (lambda h, z: (z, h), None, "it returns several outputs: name the logits with --output, one of 0 (8, 4), 1"),
        (lambda h, z: (z, h), "logits", "it returns no part logits: choose one of 0 (8, 4), 1 (8, 8) with --output"),
        (lambda _h, z: z, "0", "it returns one tensor, which has no part 0: leave --output out"),
        (lambda _h, _z: "text", None, "its output is a str, not a tensor (rows, classes): wrap the model"),
        (lambda h, z: {"logits": h[:, :, None], "z": z}, None, "its output has shape (8, 8, 1), not (rows, classes)"),
    ],
)
def test_outputs_without_logits_are_named(after: Any, output: str | None, expected: str) -> None:
    (line,) = probed(Net(after=after), output=output)[1]
    assert expected in line


class Named(Net):
    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> Any:  # type: ignore[override]
        assert mask is not None
        return super().forward(tokens * mask)


class Whole(Net):
    def forward(self, batch: Any) -> Any:
        return super().forward(batch["tokens"] * batch["mask"])


@pytest.mark.parametrize("kind", [Named, Whole])
def test_inputs_by_name(kind: type[Net]) -> None:
    rows = Arrays({"tokens": X, "mask": np.ones_like(X)}, ROWS.y)
    target, problems = probed(kind(), rows)
    assert problems == []
    np.testing.assert_allclose(
        target.outputs("forget", rows, 7)[0], Net()(torch.from_numpy(X)).detach().numpy(), atol=1e-5
    )


def normalised() -> nn.Module:
    return nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))


def old_normalised() -> nn.Module:
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(nn.Linear(8, 4))


@pytest.mark.parametrize(
    ("head", "kind"),
    [(Cosine(8, 4, bias=False), "cosine"), (normalised, "linear"), (old_normalised, "linear"), (None, "linear")],
)
def test_heads_are_linear_maps_of_their_features(head: Any, kind: str) -> None:
    target, problems = probed(Net(head() if callable(head) and not isinstance(head, nn.Module) else head))
    assert problems == []
    assert target.find_head(X).kind == kind
    assert_linear(target, ROWS)
    assert {name for name in target.state if name.startswith("head.")} == target.head_parameters()
    PrivateNetwork(target)


def test_a_pointwise_convolution_is_a_head() -> None:
    rows = Arrays(np.random.default_rng(0).normal(size=(20, 6, 6)).astype(np.float32), ROWS.y)
    target, problems = probed(Pointwise(), rows)
    assert problems == []
    assert_linear(target, rows)
    assert target.head_parameters() == {"classifier.weight", "classifier.bias"}


def assert_linear(target: TorchTarget, rows: Arrays) -> None:
    logits, features = target.outputs("forget", rows, 7)
    assert features is not None
    weight, bias = target.head()
    np.testing.assert_allclose(features @ weight.T + bias, logits, atol=1e-4)


@pytest.mark.parametrize("network", [Net(Odd(8, 4)), Net(after=lambda _h, z: z * 2), Net(nn.Identity())])
def test_a_network_without_a_head_gives_its_outputs(network: Net) -> None:
    target, problems = probed(network)
    assert problems == []
    assert target.access == Access.LOGITS
    assert "head" in target.headless or "last layer" in target.headless
    logits, features = target.outputs("forget", ROWS, 7)
    assert features is None
    np.testing.assert_allclose(logits, network(torch.from_numpy(X)).detach().numpy(), atol=1e-5)


def test_of_several_heads_the_one_that_is_named() -> None:
    class Two(Net):
        def forward(self, x: torch.Tensor) -> Any:
            h = torch.relu(self.body(x))
            return {"a": self.head(h), "b": self.other(h)}

    network = Two()
    network.other = nn.Linear(8, 3)
    for output, head in (("a", network.head), ("b", network.other)):
        target, problems = probed(network, output=output)
        assert problems == []
        assert target.find_head(X).module is head
    target, _ = probed(network, output="b", head="other")
    assert target.find_head(X).module is network.other
