"""Any other model by a function of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.inputs.adapters.asking import X, loaded, logits, said

HERE = __name__

WEIGHT, BIAS = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32), np.float32([0.1, -0.2, 0.3])


def ask(path: Path, inputs: Any) -> Any:
    """Reads the file by itself."""
    with np.load(path) as stored:
        return inputs @ stored["w"].T


def ask_labels(_path: Path, inputs: Any) -> Any:
    return np.zeros(len(inputs), dtype=int)


def ask_short(_path: Path, inputs: Any) -> Any:
    return np.zeros((1, 3))


def ask_other(_path: Path, inputs: Any) -> Any:
    return np.random.default_rng().normal(size=(len(inputs), 3))


def ask_batch(_path: Path, inputs: Any) -> Any:
    return (inputs - inputs.mean(0)) @ WEIGHT.T


def ask_tensor(_path: Path, inputs: Any) -> Any:
    import torch

    return torch.from_numpy(inputs @ WEIGHT.T)


def test_a_function_asks_any_other_model(tmp_path: Path) -> None:
    (tmp_path / "m.own").write_bytes(b"")
    with (tmp_path / "m.own").open("wb") as stream:
        np.savez(stream, w=WEIGHT)
    np.testing.assert_allclose(logits(tmp_path / "m.own", predict=f"{HERE}:ask"), X @ WEIGHT.T, atol=1e-5)
    np.testing.assert_allclose(logits(tmp_path / "m.own", predict=f"{HERE}:ask_tensor"), X @ WEIGHT.T, atol=1e-5)
    target = loaded(tmp_path / "m.own", predict=f"{HERE}:ask")
    before = target.digest()
    (tmp_path / "m.own").write_bytes(b"changed")
    assert target.digest() != before


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("ask_labels", "its output is int64: give logits or probabilities as floats"),
        ("ask_short", "its output has shape (1, 3) for 8 rows: give (rows, classes)"),
        ("ask_other", "its output is not deterministic"),
        ("ask_batch", "depends on the other rows of the batch"),
        ("gone", "has no function 'gone'"),
        ("ask", "the model rejects inputs"),
    ],
)
def test_a_function_that_does_not_do(tmp_path: Path, function: str, expected: str) -> None:
    (tmp_path / "m.own").write_bytes(b"x")
    assert expected in said(tmp_path / "m.own", predict=f"{HERE}:{function}")
