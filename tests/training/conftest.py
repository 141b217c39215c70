"""Digits as a pool, a store, and calls with the defaults of these tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from audit.inputs.recipe import RecipeSection
from audit.training.jobs import Job, Pool
from audit.training.service import Trained, train_models
from audit.training.store import Store

KEY = bytes(range(32))
MLP = "hooks.nets:mlp"
Train = Callable[..., Trained]


def coin_jobs(count: int, first: int = 0, rows: int = 1797, **options: Any) -> list[Job]:
    """Shadow models on coin-flip subsets."""
    jobs = []
    for k in range(first, first + count):
        coins = np.flatnonzero(np.random.default_rng([9, k]).random(rows) < 0.5)
        jobs.append(Job(f"shadow {k}", coins, k, steps_rows=rows // 2, **options))
    return jobs


@pytest.fixture(scope="session")
def digits() -> Pool:
    x, y = load_digits(return_X_y=True)
    return Pool(x / 16, y)


@pytest.fixture(scope="session")
def pictures(digits: Pool) -> Pool:
    return Pool(np.asarray(digits.x).reshape(-1, 1, 8, 8), digits.y)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models", KEY)


@pytest.fixture
def train(digits: Pool, store: Store) -> Train:
    """``train_models`` with a short recipe, stacked unless said otherwise."""

    def call(jobs: Sequence[Job], arch: str = MLP, pool: Pool | None = None, **options: Any) -> Trained:
        keys = ("order", "executor", "deadline", "notify", "key")
        settings = {k: v for k, v in options.items() if k not in keys}
        if "train" not in settings:
            settings = {"epochs": 2, "batch_size": 64, "engine": "vectorised"} | settings
        recipe = settings.pop("recipe", None) or RecipeSection(**settings)
        others = {"key": KEY} | {k: v for k, v in options.items() if k in keys}
        return train_models(recipe, arch, pool or digits, jobs, store, **others)

    return call
