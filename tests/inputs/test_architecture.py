"""Networks in memory are named by what decides their outputs; what hides anything has no name."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from audit import demo
from audit.inputs.architecture import architecture_digest
from audit.inputs.code import Unnamed


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


def _compiled() -> nn.Module:
    return torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))  # type: ignore[no-untyped-call, no-any-return]


class Adapter(nn.Linear):
    """Saves a part of its weights alone, as adapters do."""

    def state_dict(self, *args: object, **kwargs: object) -> dict[str, object]:  # type: ignore[override]
        """The bias alone."""
        return {"bias": self.bias}


class Slots(nn.Linear):
    """A value that ``vars`` does not show."""

    __slots__ = ("gain",)


class Copied(nn.Linear):
    """A copy is another network."""

    def __deepcopy__(self, _memo: object) -> nn.Module:
        return nn.Linear(2, 2)


class Quantised(nn.Parameter):
    """A parameter with arithmetic of its own."""


def _wrapped() -> nn.Module:
    model = nn.Linear(2, 2)
    model.weight = Quantised(model.weight.detach())
    return model


def _bound() -> nn.Module:
    model = nn.Linear(2, 2)
    model.scale = torch.tensor(-1.0).mul  # type: ignore[assignment]
    return model


def _own_dict() -> nn.Module:
    model = nn.Linear(2, 2)
    model.order = type("Order", (dict,), {})(a=1)  # type: ignore[assignment]
    return model


def _state_hook() -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_state_dict_post_hook(lambda *_: None)
    return model


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_hooked, "has hooks"),
        (_state_hook, "has hooks"),
        (_tensor, "0.table is a Tensor, which has no name"),
        (_patched, r"the model.forward closes over variables \(plain\)"),
        (_hidden_buffer, "buffers that its state dict leaves out"),
        (_closing, r"closes over variables \(__class__, table\)"),
        (_compiled, "TorchScript"),
        (lambda: Adapter(2, 2), "has its own state_dict"),
        (lambda: Slots(2, 2), "has __slots__"),
        (lambda: Copied(2, 2), "has its own __deepcopy__"),
        (_wrapped, "weight is a Quantised, no plain tensor"),
        (_bound, "scale is a builtin_function_or_method"),
        (_own_dict, "order is a Order"),
    ],
)
def test_what_hides_something_has_no_name(make: object, why: str) -> None:
    assert callable(make)
    with pytest.raises(Unnamed, match=why):
        architecture_digest(make())


def test_hooks_of_all_modules_are_seen() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.raises(Unnamed, match="hooks are registered for all modules"):
            architecture_digest(nn.Linear(2, 2))
    finally:
        handle.remove()
    architecture_digest(nn.Linear(2, 2))


def typed(source: str, **space: object) -> nn.Module:
    """A network whose class was typed in, as in a notebook; no file has its source."""
    space |= {"__name__": "__main__", "torch": torch, "nn": nn, "base": nn.Linear}
    exec(source, space)
    kind = space["Cell"]
    assert isinstance(kind, type)
    made = kind(2, 2)
    assert isinstance(made, nn.Module)
    return made


FORWARD = "class Cell(nn.Linear):\n    def forward(self, x):\n        return {}\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FORWARD.format("x"), FORWARD.format("-x")),
        ("class Cell(nn.Linear):\n    gain = 1.0\n", "class Cell(nn.Linear):\n    gain = -1.0\n"),
        (
            "class Cell(nn.Linear):\n    @staticmethod\n    def act(x):\n        return x\n",
            "class Cell(nn.Linear):\n    @staticmethod\n    def act(x):\n        return -x\n",
        ),
        (
            "class Cell(nn.Linear):\n    @property\n    def gain(self):\n        return 1\n",
            "class Cell(nn.Linear):\n    @property\n    def gain(self):\n        return 2\n",
        ),
        ("k = 1\n" + FORWARD.format("k * x"), "k = 2\n" + FORWARD.format("k * x")),
        (
            "def act(x, k=1):\n    return k * x\n" + FORWARD.format("act(x)"),
            "def act(x, k=2):\n    return k * x\n" + FORWARD.format("act(x)"),
        ),
        (
            "order = {'a': 1, 'b': 2}\n" + FORWARD.format("order"),
            "order = {'b': 2, 'a': 1}\n" + FORWARD.format("order"),
        ),
        (FORWARD.format("(lambda v: v)(x)"), FORWARD.format("(lambda v: -v)(x)")),
    ],
)
def test_code_that_was_typed_in_is_named_by_what_runs(one: str, other: str) -> None:
    assert architecture_digest(typed(one)) == architecture_digest(typed("\n\n" + one))  # places do not count
    assert architecture_digest(typed(one)) != architecture_digest(typed(other))


def test_a_method_that_was_replaced_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = architecture_digest(Scaled())
    monkeypatch.setattr(Scaled, "forward", lambda self, x: x)
    assert architecture_digest(Scaled()) != before


def test_a_helper_in_another_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "helper_of_test.py").write_text("import torch\ndef act(x):\n    return torch.relu(x)\n")
    monkeypatch.syspath_prepend(tmp_path)
    helper = importlib.import_module("helper_of_test")
    source = "def net():\n    pass\n" + FORWARD.format("helper.act(x)")
    before = architecture_digest(typed(source, helper=helper))
    assert architecture_digest(typed(source, helper=helper)) == before
    monkeypatch.setattr(helper, "act", torch.zeros_like)
    assert architecture_digest(typed(source, helper=helper)) != before


def test_weights_of_another_type_are_another_network() -> None:
    assert architecture_digest(nn.Linear(2, 2)) != architecture_digest(nn.Linear(2, 2).bfloat16())


def test_a_class_that_says_it_is_of_torch_is_not_believed() -> None:
    def made(k: int) -> nn.Module:
        return typed(f"k = {k}\n" + FORWARD.format("k * x") + "Cell.__module__ = 'torch.nn.modules.linear'\n")

    assert architecture_digest(made(1)) != architecture_digest(made(2))


def test_values_that_are_made_on_the_way_are_told_apart() -> None:
    """Defaults are gathered in lists that are gone at once: another may stand at the same address."""
    functions = "".join(f"def f{i}(x, k={i}, *, m={i}):\n    return x\n" for i in range(40))
    source = functions + FORWARD.format(" + ".join(f"f{i}(x)" for i in range(40)))
    names = {architecture_digest(typed(source)) for _ in range(5)}
    assert len(names) == 1
    assert architecture_digest(typed(source.replace("k=39", "k=38"))) not in names
    assert architecture_digest(typed(source.replace("m=20", "m=21"))) not in names


def test_equal_configurations_have_one_name_wherever_they_lie() -> None:
    def pair(one: object, other: object) -> str:
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model[0].sizes, model[1].sizes = one, other  # type: ignore[assignment]
        return architecture_digest(model)

    shared = [3, (4, 5)]
    assert pair(shared, shared) == pair([3, (4, 5)], [3, (4, 5)]) != pair([3, (4, 5)], [3, (4, 6)])


def test_what_holds_itself_has_no_name() -> None:
    model = nn.Linear(2, 2)
    model.sizes = []  # type: ignore[assignment]
    model.sizes.append(model.sizes)  # type: ignore[operator, union-attr]
    with pytest.raises(Unnamed, match="sizes holds itself"):
        architecture_digest(model)


def test_the_name_is_the_same_in_another_process() -> None:
    """The order of a set of words is another in each process."""
    code = (
        "from torch import nn\nfrom tests.inputs.test_architecture import Worded\n"
        "from audit.inputs.architecture import architecture_digest\nprint(architecture_digest(Worded(2, 2)))"
    )
    found = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


class Worded(nn.Linear):
    """Asks whether a word is one of some."""

    words = frozenset({"alpha", "beta", "gamma", "delta"})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, or not."""
        return x if "beta" in {"alpha", "beta", "gamma", "delta"} else super().forward(x)
