"""The plan and the run say the same of an attack that has no meaning for the inputs or for the models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import audit

COLUMNS, CLASSES = 12, 3
SIZES = {"forget": 60, "holdout": 110, "retain": 120, "test": 110}
INPUTS = {
    *("uma", "uma_label", "line_up", "reconstruction", "attribution", "relearning_unrelated"),
    *("flatness", "residual_knowledge"),
}
LAYERS = {"layer_probe", "transplant", "heavy_tails"}
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
    [(Counts, np.int64, 16, INPUTS), (linear, np.float32, 16, LAYERS), (Counts, np.float32, 17, ARCHITECTURE)],
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
        "attacks": ["membership", "interpolation", *sorted(refused)],
        "effort": "quick",
    }
    notes = {step.attack: step.note for step in audit.plan(**given).steps}
    ran = {a.name: a for a in audit.run(**given, out=tmp_path / "runs", progress="off").result.attacks}
    assert {name for name, note in notes.items() if note} == refused
    for name, note in notes.items():
        assert note == (f"will be skipped: {ran[name].reason}" if ran[name].status == "skipped" else "")
        assert ran[name].status != "error"
