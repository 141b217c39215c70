"""What no adapter loads, and libraries that are imported only when used."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.inputs.adapters.asking import Payload, said

HERE = __name__


def test_no_library_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, audit.inputs.models, audit.inputs.case, audit.commands.app\n"
        "names = ('skops', 'lightgbm', 'onnx', 'onnxruntime', 'transformers', 'xgboost')\n"
        "print([name for name in names if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("m.skops", "skops", "sklearn"), ("m.txt", "lightgbm", "lightgbm"), ("m.onnx", "onnx", "onnx")],
)
def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(b"tree\n")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.io", None)
    assert f"needs {package}, which is not installed: pip install 'unlearn-audit[{extra}]'" in said(tmp_path / name)


def test_a_torchscript_program_is_named(tmp_path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(6, 3), torch.zeros(1, 6)), tmp_path / "m.pt")
    assert "is a TorchScript program, whose code is never run" in said(tmp_path / "m.pt", arch=f"{HERE}:ask")


@pytest.mark.parametrize("suffix", ["pkl", "joblib", "pt2", "keras", "foo"])
def test_what_is_not_loaded_says_what_to_give(tmp_path: Path, suffix: str) -> None:
    path, mark = tmp_path / f"m.{suffix}", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Payload(mark)))
    line = said(path)
    assert "--predict" in line
    assert not mark.exists()
