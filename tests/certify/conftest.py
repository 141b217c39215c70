"""A model of two files, and a gate that asks for it under the standard policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases.certified import PUBLIC, WEIGHTS

from audit.certify.gate import Demand
from audit.policy.policy import load_policy

STANDARD, STANDARD_DIGEST = load_policy("standard")


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, ...]:
    for name, content in WEIGHTS.items():
        (tmp_path / name).write_bytes(content)
    return tuple(tmp_path / name for name in WEIGHTS)


@pytest.fixture
def demand(model: tuple[Path, ...]) -> Demand:
    return Demand((PUBLIC,), model, STANDARD, STANDARD_DIGEST)
