"""Networks in memory are named by what decides their outputs; what hides anything has no name."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from audit import demo
from audit.inputs.architecture import Unnamed, architecture_digest


class Scaled(nn.Module):
    """A network with configuration of every plain kind."""

    def __init__(self, by: float = 2.0, act: object = functional.relu) -> None:
        super().__init__()
        self.by, self.act, self.sizes, self.kind = by, act, (3, [4, None]), nn.BatchNorm1d
        self.make = functools.partial(nn.LayerNorm, eps=1e-6)
        self.layer = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled logits."""
        return self.by * self.act(self.layer(x))  # type: ignore[operator, no-any-return]


class Renamed(Scaled):
    """The same with another class."""


def test_the_digest_follows_what_decides_the_outputs() -> None:
    digest = architecture_digest(Scaled())
    assert architecture_digest(Scaled()) == digest  # weights are digested elsewhere
    others = [Scaled(3.0), Scaled(act=functional.gelu), Renamed(), nn.Sequential(Scaled())]
    found = {architecture_digest(other) for other in others}
    assert len(found) == len(others)
    assert digest not in found
    assert architecture_digest(demo.network()) == architecture_digest(demo.network())


def test_the_configuration_of_layers_of_torch_is_seen() -> None:
    assert architecture_digest(nn.Dropout(0.1)) != architecture_digest(nn.Dropout(0.2))
    assert architecture_digest(nn.MaxPool2d(2)) != architecture_digest(nn.MaxPool2d(3))


def _hooked() -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_forward_pre_hook(lambda *_: None)
    return model


def _tensor() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].table = torch.eye(2)  # type: ignore[assignment]
    return model


def _patched() -> nn.Module:
    model = nn.Linear(2, 2)
    plain = model.forward
    model.forward = lambda x: 2 * plain(x)  # type: ignore[method-assign]
    return model


def _hidden_buffer() -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_buffer("table", torch.eye(2), persistent=False)
    return model


def _closing() -> nn.Module:
    table = torch.eye(2)

    class Closing(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) @ table

    return Closing(2, 2)


def _without_source() -> nn.Module:
    space: dict[str, type[nn.Module]] = {}
    exec("from torch import nn\nclass Typed(nn.Linear):\n    def forward(self, x):\n        return x\n", space)
    return space["Typed"](2, 2)


def _compiled() -> nn.Module:
    return torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))  # type: ignore[no-untyped-call, no-any-return]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_hooked, "has hooks"),
        (_tensor, "0.table is a Tensor outside its parameters and buffers"),
        (_patched, r"the model.forward closes over variables \(plain\)"),
        (_hidden_buffer, "buffers that its state dict leaves out"),
        (_closing, r"closes over variables \(__class__, table\)"),
        (_without_source, "a function without source"),
        (_compiled, "TorchScript"),
    ],
)
def test_what_hides_something_has_no_name(make: object, why: str) -> None:
    assert callable(make)
    with pytest.raises(Unnamed, match=why):
        architecture_digest(make())


def test_a_class_typed_into_a_notebook_is_named_by_its_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in IPython: no file, but the source of a cell is in the line cache."""
    import linecache

    def typed(factor: int) -> nn.Module:
        name = f"<cell {factor}>"
        lines = [
            "from torch import nn",
            "class Cell(nn.Linear):",
            "    def forward(self, x):",
            f"        return {factor} * x",
        ]
        source = "\n".join([*lines, ""])
        monkeypatch.setitem(linecache.cache, name, (len(source), None, source.splitlines(keepends=True), name))
        space: dict[str, object] = {"__name__": "__main__"}
        exec(compile(source, name, "exec"), space)
        kind = space["Cell"]
        assert isinstance(kind, type)
        made = kind(2, 2)
        assert isinstance(made, nn.Module)
        return made

    main = type("Main", (), {})()
    monkeypatch.setitem(__import__("sys").modules, "__main__", main)
    one, again, two = (architecture_digest(typed(factor)) for factor in (1, 1, 2))
    assert one == again != two
