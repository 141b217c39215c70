"""Weights as they are found: known wrappings are opened, what is no plain network is a problem of its file."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from audit.inputs.data import Arrays
from audit.inputs.given import Build
from audit.inputs.models import load_model
from audit.inputs.reading import read_models
from tests.conftest import ARCH, Cli

HERE = __name__
NET = f"{HERE}:net"


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


class Complex(nn.Module):
    """Filters in the frequency domain."""

    def __init__(self) -> None:
        super().__init__()
        self.filter, self.fc = nn.Parameter(torch.ones(3, dtype=torch.complex64)), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.fft.ifft(torch.fft.fft(x) * self.filter).real)


class Extra(nn.Linear):
    """Keeps more than tensors in its state."""

    def get_extra_state(self) -> Any:
        return {"scale": 2}

    def set_extra_state(self, state: Any) -> None: ...


def extra() -> nn.Module:
    return nn.Sequential(Extra(3, 2))


def double() -> nn.Module:
    return net().double()


def halved() -> nn.Module:
    return net().bfloat16()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(2))


def whole() -> nn.Module:
    module = nn.Linear(3, 2)
    module.weight = nn.Parameter(torch.ones(2, 3, dtype=torch.int8), requires_grad=False)
    return module


@pytest.fixture
def weights() -> dict[str, Any]:
    torch.manual_seed(3)
    return net().state_dict()


def state_of(path: Path, arch: str = NET) -> Mapping[str, Any]:
    return load_model(path, arch=arch, device="cpu", head=None, trust_pickle=False)[0].state


def said(path: Path, arch: str = NET, **build: Any) -> str:
    """The one line in the list of problems."""
    problems: list[str] = []
    read_models({"unlearned": path}, Build(arch=arch, **build), problems)
    (line,) = problems
    assert line.startswith((f"{path} ", "--arch"))
    return line


def put(name: str, change: Callable[[torch.Tensor], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {**state, name: change(state[name])}


NOT_PLAIN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no tensor": (put("0.weight", lambda v: v.tolist()), "0.weight is a list, the factory's is (4, 3)"),
    "fp8": (put("0.weight", lambda v: v.to(torch.float8_e4m3fn)), "holds 8-bit floats in 0.weight: save them as"),
    "quantised": (
        put("0.weight", lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8)),
        "holds quantised weights in 0.weight: save the float network",
    ),
    "sparse": (put("0.weight", lambda v: v.to_sparse()), "holds sparse weights in 0.weight: save them dense"),
    "meta": (put("0.weight", lambda v: v.to("meta")), "holds weights without values (meta) in 0.weight: load"),
    "complex": (put("0.weight", lambda v: v.to(torch.complex64)), "holds complex weights in 0.weight"),
    "integers": (
        put("0.weight", lambda v: (v * 9).long()),
        "holds weights of another type than the factory's (0.weight int64, not float32)",
    ),
    "fractions for a counter": (
        put("1.num_batches_tracked", lambda v: torch.tensor(0.5)),
        "1.num_batches_tracked float32, not int64",
    ),
    "unsigned": (put("0.weight", lambda v: v.to(torch.uint16)), "holds weights of an odd type in 0.weight"),
    "beyond float32": (put("0.bias", lambda v: v.double() + 1e300), "holds NaN or infinite weights in 0.bias"),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
@pytest.mark.filterwarnings("ignore")  # torch deprecates its quantisation
def test_weights_that_are_no_plain_numbers(weights: dict[str, Any], tmp_path: Path, name: str) -> None:
    change, expected = NOT_PLAIN[name]
    torch.save(change(weights), tmp_path / "m.pt")
    assert expected in said(tmp_path / "m.pt")


def test_lazy_weights_in_a_file(tmp_path: Path) -> None:
    torch.save(lazy().state_dict(), tmp_path / "m.pt")
    assert "m.pt is no plain state dict" in said(tmp_path / "m.pt")
    assert "holds lazy weights that were never made in 0.weight" in said(tmp_path / "m.pt", trust_pickle=True)


def test_complex_weights_with_nan_get_no_verdict(tmp_path: Path) -> None:
    state = Complex().state_dict()
    state["filter"] = state["filter"] * torch.nan
    save_file(state, tmp_path / "m.safetensors")
    assert "--arch" in said(tmp_path / "m.safetensors", f"{HERE}:Complex")
    assert "complex weights in filter" in said(tmp_path / "m.safetensors", f"{HERE}:Complex")


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("lazy", "holds lazy weights that were never made in 0.weight, 0.bias: run one batch"),
        ("extra", "holds more than tensors (0._extra_state): leave extra state out"),
        ("whole", "has integer weights (weight): audit the float network"),
    ],
)
def test_factories_of_odd_networks(weights: dict[str, Any], tmp_path: Path, arch: str, expected: str) -> None:
    torch.save(weights, tmp_path / "m.pt")
    assert expected in said(tmp_path / "m.pt", f"{HERE}:{arch}")


def test_a_pickled_network_with_nan(tmp_path: Path) -> None:
    module = net().eval()
    with torch.no_grad():
        module[0].weight[0, 0] = torch.nan
    torch.save(module, tmp_path / "m.pt")
    assert "holds NaN or infinite weights in 0.weight" in said(tmp_path / "m.pt", trust_pickle=True)


@pytest.mark.parametrize(
    ("arch", "kind"), [("double", torch.float64), ("halved", torch.bfloat16), ("net", torch.float32)]
)
def test_inputs_have_the_type_of_the_parameters(tmp_path: Path, arch: str, kind: torch.dtype) -> None:
    torch.save(globals()[arch]().state_dict(), tmp_path / "m.pt")
    target = load_model(tmp_path / "m.pt", arch=f"{HERE}:{arch}", device="cpu", head=None, trust_pickle=False)[0]
    x = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)
    assert target.tensor(x).dtype is kind
    logits, features = target.outputs("test", Arrays(x, np.zeros(5, dtype=np.int64)), 2)
    assert (logits.shape, logits.dtype, features.shape) == ((5, 2), np.float64, (5, 4))


def test_doubles_are_not_rounded_to_float32(tmp_path: Path) -> None:
    module = double().eval()
    torch.save(module.state_dict(), tmp_path / "m.pt")
    target = load_model(tmp_path / "m.pt", arch=f"{HERE}:double", device="cpu", head=None, trust_pickle=False)[0]
    x = np.array([[1.0, 1 + 1e-12, -1.0]])
    expected = module(torch.as_tensor(x)).detach().numpy()
    np.testing.assert_array_equal(target.outputs("test", Arrays(x, np.zeros(1, dtype=np.int64)), 1)[0], expected)


def test_members_twice_and_compressed_members(weights: dict[str, Any], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "m.pt")
    with zipfile.ZipFile(tmp_path / "m.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "packed.pt holds compressed members" in said(tmp_path / "packed.pt")
    name = next(name for name in members if name.endswith("data/0"))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "m.pt", "a") as archive:
        archive.writestr(name, bytes(len(members[name])))
    assert f"m.pt holds {name} more than once" in said(tmp_path / "m.pt")


def test_names_twice_in_safetensors(weights: dict[str, Any], tmp_path: Path) -> None:
    content = save(weights)
    (size,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + size].decode()
    entry = json.dumps({"0.bias": json.loads(header)["0.bias"]}, separators=(",", ":"))[1:-1]
    header = "{" + entry + "," + header[1:]
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode() + content[8 + size :])
    assert "names 0.bias more than once" in said(tmp_path / "m.safetensors")


def test_one_line_for_one_problem_of_many_files(weights: dict[str, Any], tmp_path: Path) -> None:
    paths = {f"retrained/{i}": tmp_path / f"r{i}.pt" for i in range(12)}
    for path in paths.values():
        torch.save({key: value for key, value in weights.items() if key != "0.bias"}, path)
    problems: list[str] = []
    read_models({"unlearned": tmp_path / "gone.pt", **paths}, Build(arch=NET), problems)
    named = ", ".join(str(tmp_path / f"r{i}.pt") for i in range(8))
    assert problems == [
        f"{tmp_path / 'gone.pt'} does not exist: check the path",
        f"{named} and 4 more does not fit the factory: missing keys 0.bias. Name the matching --arch",
    ]


@pytest.mark.parametrize("name", ["a\nb.pt", "a\x1b[2Jb.pt", "a\u202etp.exe", "a\udcffb.pt"])
def test_names_with_control_characters(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    read_models({"unlearned": tmp_path / name}, Build(arch=NET), problems := [])
    (line,) = problems
    assert line.endswith("has control characters, or bytes that are no UTF-8, in its name: rename it")
    assert line.isprintable()


def test_any_exception_is_a_problem_of_the_file(
    weights: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise AttributeError("no such thing")

    torch.save(weights, tmp_path / "m.pt")
    monkeypatch.setattr("audit.inputs.models.fit_state", fails)
    assert "m.pt cannot be read (AttributeError: no such thing): save plain float weights again" in said(
        tmp_path / "m.pt"
    )


def test_a_missing_signing_key_comes_before_training(case: Path, cli: Cli) -> None:
    Path("audit.toml").write_text("[recipe]\nepochs = 1\n")
    flags = ("--arch", ARCH, "--train-references", "2", "--sign-key", "gone.key")
    ended = cli("run", "--forget", case / "forget.npz", *flags)
    assert (ended.code, ended.out) == (2, "")
    assert "gone.key" in ended.text
    assert not (case / ".audit" / "store").exists()
