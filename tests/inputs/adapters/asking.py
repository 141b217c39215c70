"""What the tests of adapters share: rows, a payload, and what is said of a file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from cases.small_models import blobs

from audit.inputs.called import CalledTarget
from audit.inputs.data import Arrays
from audit.inputs.given import Build
from audit.inputs.models import load_model
from audit.inputs.probing import probe_models
from audit.inputs.reading import read_models

X, Y = blobs(200)
X2, Y2 = blobs(200, classes=2)
ROWS = Arrays(X, Y)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.mark, "ran"))


def loaded(path: Path, **build: Any) -> CalledTarget:
    target, digest = load_model(path, arch=None, device="cpu", head=None, trust_pickle=False, **build)
    assert isinstance(target, CalledTarget)
    assert target.digest() == digest
    return target


def logits(path: Path, data: Arrays = ROWS, **build: Any) -> np.ndarray:
    target = loaded(path, **build)
    target.learn_step(data, 64)
    found = target.outputs("forget", data, 64)[0]
    np.testing.assert_allclose(target.outputs("forget", data, 7)[0], found, rtol=1e-5, atol=1e-5)
    return found


def said(path: Path, **build: Any) -> str:
    """The one line in the list of problems."""
    problems: list[str] = []
    models, _ = read_models({"unlearned": path}, Build(**build), problems)
    if not problems:
        probe_models(models, {"forget": ROWS, "test": ROWS}, problems)
    (line,) = problems
    assert "\n" not in line
    return line


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
