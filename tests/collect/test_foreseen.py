"""The plan and the run say the same of an attack that has no meaning for the inputs or for the models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

import audit
from attacks.base import INPUTS_ALONE
from audit.collect.model_view import ModelView
from audit.inputs.heads import nothing_before
from audit.inputs.outputs import PrecomputedOutputs
from audit.inputs.targets import TorchTarget

COLUMNS, CLASSES = 12, 3
SIZES = {"forget": 60, "holdout": 110, "retain": 120, "test": 110}
INPUTS = {
    *("uma", "uma_label", "line_up", "reconstruction", "attribution", "relearning_unrelated"),
    *("flatness", "residual_knowledge"),
}
FEATURES = {
    *("probe", "feature_mapping", "head_recovery", "neighbourhood", "transfer_probe", "contraction", "similarity"),
}
NO_LAYERS = {"layer_probe", "transplant", "heavy_tails", *FEATURES}
COUNTS = {"rmia", "quantile"}  # too few auxiliary rows
ARCHITECTURE = {
    *("transplant", "interpolation", "shallowness", "connectivity", "layer_profile", "heavy_tails"),
    *("line_up", "reconstruction", "closed_form"),
}


class Counts(nn.Module):
    """Reads whole numbers."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(COLUMNS, width), nn.ReLU(), nn.Linear(width, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x.float())  # type: ignore[no-any-return]


def linear(_width: int = 0) -> nn.Module:
    return nn.Sequential(nn.Linear(COLUMNS, CLASSES))


def sets(kind: type) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = {role: rng.integers(0, 9, (n, COLUMNS)).astype(kind) for role, n in SIZES.items()}
    return {role: (rows, rows[:, :CLASSES].argmax(axis=1)) for role, rows in x.items()}


def taught(make: Callable[[int], nn.Module], seed: int, width: int = 16) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make(width)
    x, y = (torch.from_numpy(part) for part in sets(np.float32)["retain"])
    adam = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        adam.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        adam.step()
    return model.eval()


@pytest.mark.parametrize(
    ("make", "kind", "width", "refused"),
    [(Counts, np.int64, 16, INPUTS), (linear, np.float32, 16, NO_LAYERS), (Counts, np.float32, 17, ARCHITECTURE)],
    ids=["whole numbers", "linear", "another architecture"],
)
def test_plan_and_run_skip_the_same_in_the_same_words(
    make: Callable[[int], nn.Module],
    kind: type,
    width: int,
    refused: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("audit.collect.exchangeability.TREES", 10)
    given: dict[str, Any] = {
        **sets(kind),
        "original": taught(make, 0),
        "unlearned": taught(make, 1, width),
        "retrained": [] if make is linear else [taught(make, 2)],  # two of one optimum are kin
        "claim": "random",
        "access": "weights",
        "attacks": ["membership", "interpolation", *sorted(refused | FEATURES | COUNTS)],
        "effort": "quick",
    }
    notes = {step.attack: step.note for step in audit.plan(**given).steps}
    ran = {a.name: a for a in audit.run(**given, out=tmp_path / "runs", progress="off").result.attacks}
    assert {name for name, note in notes.items() if note} == refused | COUNTS
    for name, note in notes.items():
        assert note == (f"will be skipped: {ran[name].reason}" if ran[name].status == "skipped" else "")
        assert ran[name].status != "error"


class Embedded(nn.Module):
    """Its first parameters are no linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(9, 2), nn.Linear(2 * COLUMNS, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(x.long()).flatten(1))  # type: ignore[no-any-return]


class Scaled(nn.Module):
    """A rule without parameters before the head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(COLUMNS, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x / 9)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("module", "alone"),
    [
        (nn.Linear(COLUMNS, CLASSES), True),
        (nn.Sequential(nn.Flatten(), nn.Linear(COLUMNS, CLASSES)), True),
        (Scaled(), True),
        (nn.Sequential(nn.BatchNorm1d(COLUMNS, affine=False), nn.Linear(COLUMNS, CLASSES)), False),
        (nn.Sequential(nn.Unflatten(1, (1, COLUMNS)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(20, CLASSES)), False),
        (Embedded(), False),
        (Counts(), False),
    ],
    ids=["linear", "flattened", "scaled", "normalised", "convolution", "embedding", "two layers"],
)
def test_features_are_the_inputs_where_nothing_stands_before_the_head(module: nn.Module, alone: bool) -> None:
    target = TorchTarget(module.eval(), "cpu", None)
    rows = sets(np.float32)["retain"][0][:4]
    assert nothing_before(module, target.find_head(rows)) is alone


def test_stored_features_are_attacked_whatever_they_are() -> None:
    """Who stores features may store inputs: a file does not say what made them."""
    x, y = sets(np.float32)["forget"]
    stored = PrecomputedOutputs({"forget": np.zeros((len(y), CLASSES)), "forget.features": x})
    assert not ModelView(stored, "", cast("Any", None), {}).reads_inputs()


def test_a_network_of_one_layer_is_told_which_claim_it_admits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("audit.collect.exchangeability.TREES", 10)
    given: dict[str, Any] = {**sets(np.float32), "original": taught(linear, 0), "unlearned": taught(linear, 1)}
    for access in ("features", "logits"):
        found = audit.run(**given, claim="random", access=access, attacks=["probe"], out=tmp_path / access).result
        probe = next(f for f in found.findings if f.id == "probe.execution")
        assert probe.reason == INPUTS_ALONE
        assert any("claim --access logits" in way for way in probe.settle) is (access == "features")
        assert any("claim --access logits" in way for way in found.verdict.settle) is (access == "features")
