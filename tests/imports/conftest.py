"""Losses of one model after another, for logs that the tests write by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.imports.importing import Order, import_logs

SIZES = {"forget": 60, "retain": 80, "holdout": 120}
MODELS = ("original", "unlearned", "retrained-0", "retrained-1", "retrained-2", "retrained-3", "retrained-4")


def losses(model: str, role: str) -> list[float]:
    """Of an honest case: rows have a difficulty of their own, members lose 70 % of it."""
    hard = np.random.default_rng([len(role), 1]).gamma(3.0, size=SIZES[role])
    own = np.random.default_rng([MODELS.index(model), len(role)]).normal(0, 0.15, size=SIZES[role])
    seen = role == "retain" or (role == "forget" and model == "original")
    return [float(v) for v in np.maximum(hard * (0.3 if seen else 1.0) * np.exp(own), 1e-6)]


def indexed(values: list[float], name: str = "score") -> dict[str, Any]:
    return {"agg_value": float(np.mean(values)), "value_by_index": {str(i): {name: v} for i, v in enumerate(values)}}


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Any]:
    """Import paths by model name; returns the folder, what was joined, and what was said."""

    def run(layout: str, models: Mapping[str, Path | str], **more: Any) -> Any:
        folder = tmp_path / "case"
        found, said = import_logs(Order(layout, {m: str(p) for m, p in models.items()}, **more), folder)
        return folder, found, said

    return run


def dump(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def saved(folder: Path, name: str) -> dict[str, Any]:
    """Arrays of a model's scores, or of a set, which says who the rows are."""
    place = folder / "private" if name in (*SIZES, "test") else folder
    with np.load(place / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}
