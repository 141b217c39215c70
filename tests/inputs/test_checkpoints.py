"""Checkpoints as training scripts write them, by the libraries themselves: opened, each step said, or named."""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from audit.inputs.inspect_model import inspect_model
from audit.inputs.models import load_model, read_state
from audit.inputs.targets import TorchTarget
from tests.inputs.test_odd_weights import NET, net, said

State = dict[str, Any]


@pytest.fixture
def weights() -> State:
    torch.manual_seed(3)
    return dict(net().state_dict())


def target_of(path: Path, **build: Any) -> TorchTarget:
    target = load_model(path, **{"arch": NET, "device": "cpu", "head": None, "trust_pickle": False, **build})[0]
    assert isinstance(target, TorchTarget)
    return target


def matches(target: TorchTarget, weights: State) -> None:
    assert target.state.keys() == weights.keys()
    for key, value in weights.items():
        np.testing.assert_array_equal(target.state[key], value.numpy())


def beside(state: State) -> State:
    """What training scripts keep beside the weights."""
    return {
        "net": state,
        "acc": np.float64(91.2),
        "best": np.float32(0.3),
        "epoch": np.int64(7),
        "history": {"loss": [np.float64(0.1), 0.2], "confusion": np.eye(3)},
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "seen": defaultdict(list, {"a": [1]}),
        "when": None,
    }


FORMS: dict[str, tuple[str, Callable[[State], Any], str]] = {
    "state_dict": ("m.pth.tar", lambda s: {"epoch": 3, "arch": "resnet", "state_dict": s}, "state_dict"),
    "model_state_dict": ("m.pt", lambda s: {"model_state_dict": s, "loss": 0.1}, "model_state_dict"),
    "model_state": ("m.pth", lambda s: {"model_state": s}, "model_state"),
    "beside": ("m.ckpt", beside, "net"),
    "deep": ("m.bin", lambda s: {"ema": {"shadow": s}}, "ema.shadow"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_state_dict_is_found_wherever_it_stands(weights: State, tmp_path: Path, name: str) -> None:
    file, form, key = FORMS[name]
    torch.save(form(weights), tmp_path / file)
    target = target_of(tmp_path / file)
    matches(target, weights)
    assert target.steps == (f"its state dict is the one under {key}",)


def test_of_several_the_user_names_one(weights: State, tmp_path: Path) -> None:
    other = {key: value + 1 for key, value in weights.items()}
    torch.save({"model": weights, "ema": {"module": other}}, tmp_path / "m.pt")
    assert "holds several state dicts (model, ema): name the one to audit with --state-key" in said(tmp_path / "m.pt")
    matches(target_of(tmp_path / "m.pt", state_key="ema.module"), other)
    line = said(tmp_path / "m.pt", state_key="gone")
    assert "holds no state dict under --state-key gone: name one of model, ema" in line


def test_prefixes_counters_and_types_are_put_right(weights: State, tmp_path: Path) -> None:
    state = {f"module._orig_mod.{key}": value.half() if value.is_floating_point() else value for key, value in
             weights.items() if not key.endswith("num_batches_tracked")}  # fmt: skip
    torch.save(state, tmp_path / "m.pt")
    target = target_of(tmp_path / "m.pt")
    assert target.steps == (
        "prefixes of wrappers are taken off its names (module._orig_mod.0.weight is 0.weight)",
        "1 num_batches_tracked that are missing are 0: they count steps of training",
        "its float16 weights are computed with in the float32 of the network",
    )
    np.testing.assert_array_equal(target.state["0.weight"], weights["0.weight"].half().float().numpy())
    assert "missing keys 0.weight" in said_without(tmp_path, weights, "0.weight")


def said_without(folder: Path, weights: State, key: str) -> str:
    torch.save({name: value for name, value in weights.items() if name != key}, folder / "less.pt")
    return said(folder / "less.pt")


def test_an_average_of_weights(weights: State, tmp_path: Path) -> None:
    module = net()
    module.load_state_dict(weights)
    torch.save(torch.optim.swa_utils.AveragedModel(module).state_dict(), tmp_path / "m.pt")
    target = target_of(tmp_path / "m.pt")
    matches(target, weights)
    assert "n_averaged, which the network does not have, is left out" in target.steps


def test_tensors_saved_on_a_gpu(weights: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # as torch marks them there
        patch.setattr(torch.serialization, "location_tag", lambda _storage: "cuda:0")
        torch.save({"state_dict": weights}, tmp_path / "m.pt")
    assert b"cuda:0" in (tmp_path / "m.pt").read_bytes()
    matches(target_of(tmp_path / "m.pt"), weights)


class Config:
    """A class of the script's own."""


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("suffix", ["pt", "pth", "pth.tar", "ckpt", "bin"])
def test_objects_beside_the_weights_are_never_made(weights: State, tmp_path: Path, suffix: str) -> None:
    path, mark = tmp_path / f"m.{suffix}", tmp_path / "mark"
    torch.save({"state_dict": weights, "config": Config()}, path)
    line = said(path)
    assert f"is no plain state dict but a pickled object ({__name__}.Config)" in line
    assert "save the state dict alone" in line
    torch.save({"state_dict": weights, "acc": np.float64(1), "x": Payload(mark)}, path)
    assert "a pickled object (posix.system)" in said(path)
    assert not mark.exists()


def test_a_lying_array_beside_the_weights_costs_nothing(weights: State, tmp_path: Path) -> None:
    class Lying:
        def __reduce__(self) -> Any:
            make = np.zeros(1).__reduce__()[0]
            return (make, (np.ndarray, (10**12,), b"b"), (1, (10**12,), np.dtype("O"), False, []))

    torch.save({"state_dict": weights, "history": Lying()}, tmp_path / "m.pt")
    matches(target_of(tmp_path / "m.pt"), weights)


# --- what audit inspect says


def test_inspect_a_checkpoint(weights: State, tmp_path: Path) -> None:
    torch.save(beside(weights), tmp_path / "m.pth.tar")
    seen = inspect_model(tmp_path / "m.pth.tar")
    assert (seen.kind, seen.access, seen.problems) == ("PyTorch checkpoint, state dict under `net`", "weights", ())
    assert seen.facts[0].startswith("under net: 9 tensors of 43 numbers (float32, int64): 0.weight, 0.bias")
    assert "beside them acc, best, epoch, args, when, which are not read" in seen.facts
    fitted = inspect_model(tmp_path / "m.pth.tar", NET)
    assert "its state dict is the one under net" in fitted.uses
    torch.save({"state_dict": {"w": torch.zeros(2)}}, tmp_path / "o.pt")
    assert "does not fit the factory" in inspect_model(tmp_path / "o.pt", NET).problems[0]


def test_inspect_what_cannot_be_read(tmp_path: Path) -> None:
    assert "does not exist" in inspect_model(tmp_path / "gone.pt").problems[0]
    (tmp_path / "m.pkl").write_bytes(b"x")
    assert "is a pickle" in inspect_model(tmp_path / "m.pkl").problems[0]
    torch.save({"epoch": 3}, tmp_path / "m.pt")
    assert "holds no tensors (epoch)" in inspect_model(tmp_path / "m.pt").problems[0]
    assert "unknown model format" in inspect_model(tmp_path).problems[0]


def test_inspect_outputs(tmp_path: Path) -> None:
    p = np.full((40, 4), 0.1)
    p[np.arange(40), np.arange(40) % 4] = 0.7
    np.savez(tmp_path / "p.npz", forget=p, retain=p)
    seen = inspect_model(tmp_path / "p.npz")
    assert (seen.kind, seen.access) == ("logits by set", "logits")
    assert "say so with --probabilities" in seen.problems[0]
    np.savez(tmp_path / "l.npz", forget=np.zeros(4, dtype=int), n_classes=3)
    assert inspect_model(tmp_path / "l.npz").access == "labels"


# --- Lightning (a small file of its own; the library with make test-slow, where it is installed)


def test_a_checkpoint_that_lightning_made() -> None:
    path = Path(__file__).parent / "saved" / "lightning.ckpt"
    target = target_of(path)
    state = read_state(path, path.read_bytes(), trust_pickle=False)["state_dict"]
    matches(target, {key.removeprefix("net."): value for key, value in state.items()})
    assert target.steps[0] == "its state dict is the one under state_dict"
    assert "(net.0.weight is 0.weight)" in target.steps[1]
    assert inspect_model(path, NET).kind.startswith("Lightning checkpoint")
    assert "lightning" not in sys.modules


def test_a_cut_checkpoint_of_lightning_is_one_line(tmp_path: Path) -> None:
    content = (Path(__file__).parent / "saved" / "lightning.ckpt").read_bytes()
    (tmp_path / "m.ckpt").write_bytes(content[: len(content) // 2])
    assert "m.ckpt is no readable model file" in said(tmp_path / "m.ckpt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the library's own
def test_a_checkpoint_of_lightning(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, lr: float = 0.1, hidden: Any = None) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = net()

        def training_step(self, batch: Any) -> Any:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

    data = torch.utils.data.TensorDataset(torch.randn(32, 3), torch.randint(0, 2, (32,)))
    trainer = lightning.Trainer(max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
                                accelerator="cpu", enable_checkpointing=False)  # fmt: skip
    module = Module(hidden=np.float64(3))
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=8))
    trainer.save_checkpoint(tmp_path / "m.ckpt")
    target = target_of(tmp_path / "m.ckpt")
    matches(target, module.net.state_dict())
    assert target.steps[0] == "its state dict is the one under state_dict"
    assert "(net.0.weight is 0.weight)" in target.steps[1]
    assert inspect_model(tmp_path / "m.ckpt").kind.startswith("Lightning checkpoint")
