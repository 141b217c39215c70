"""ONNX files: which output is asked, and what is never read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases.small_models import onnx_linear

from audit.inputs.data import Arrays
from tests.inputs.adapters.asking import X, Y, loaded, logits, said

WEIGHT, BIAS = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32), np.float32([0.1, -0.2, 0.3])


def test_an_onnx_model_is_asked(tmp_path: Path) -> None:
    expected = X @ WEIGHT.T + BIAS
    np.testing.assert_allclose(logits(onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS)), expected, atol=1e-5)
    fixed = onnx_linear(tmp_path / "f.onnx", WEIGHT, BIAS, batch=16)
    np.testing.assert_allclose(logits(fixed), expected, atol=1e-5)
    several = onnx_linear(tmp_path / "s.onnx", WEIGHT, BIAS, hidden=True)
    assert loaded(several).steps == ("its output logits is taken",)
    for output in ("logits", "0"):
        np.testing.assert_allclose(logits(several, output=output), expected, atol=1e-5)
    assert "has no output of floats gone: choose one of logits, hidden" in said(several, output="gone")


def test_an_onnx_model_that_says_probabilities(tmp_path: Path) -> None:
    path = onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS, softmax=True)
    line = said(path)
    assert "its outputs are probabilities (rows between 0 and 1 that sum to 1)" in line
    assert "say so with --probabilities" in line
    z = logits(path, probabilities=True)
    expected = X @ WEIGHT.T + BIAS
    np.testing.assert_allclose(z - z.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=1e-2)


def test_onnx_files_outside_are_not_read(tmp_path: Path) -> None:
    import onnx

    path = onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS)
    model = onnx.load_model(str(path))
    onnx.save_model(model, str(tmp_path / "e.onnx"), save_as_external_data=True, location="secret", size_threshold=0)
    assert "keeps its weights in other files (secret), which are not read" in said(tmp_path / "e.onnx")


def test_what_is_no_onnx_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07nothing")
    assert "m.onnx" in said(tmp_path / "m.onnx")
    path = onnx_linear(tmp_path / "l.onnx", WEIGHT, BIAS)
    import onnx

    model = onnx.load_model(str(path))
    model.graph.initializer[0].dims[0] = 10**12
    onnx.save_model(model, str(path))
    assert "cannot be run by onnxruntime" in said(path)


def test_inputs_by_other_names(tmp_path: Path) -> None:
    target = loaded(onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS))
    with pytest.raises(RuntimeError, match="it takes x, the data give a, b: name them alike"):
        target.raw(Arrays({"a": X, "b": X}, Y), 8)
