"""User code leaves the process as it was, and nothing in the working directory takes the place of a library."""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audit.inputs import contained as module
from audit.inputs.contained import Meddling, contained, timed
from audit.inputs.usercode import named_function
from tests.conftest import ARCH


@pytest.mark.parametrize(
    ("change", "read"),
    [
        (lambda: os.chdir("/"), os.getcwd),
        (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
        (lambda: random.seed(5), random.getstate),
        (lambda: np.random.seed(5), lambda: np.random.get_state()[1].tolist()),  # noqa: NPY002, PLW0108
        (lambda: torch.manual_seed(5), lambda: torch.get_rng_state().tolist()),
        (lambda: torch.rand(3), lambda: torch.get_rng_state().tolist()),
        (lambda: torch.set_num_threads(3), torch.get_num_threads),
        (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
        (lambda: torch.set_default_device("meta"), torch.get_default_device),
        (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
        (lambda: torch.use_deterministic_algorithms(True), torch.are_deterministic_algorithms_enabled),
        (lambda: np.seterr(all="raise"), np.geterr),
    ],
)
@pytest.mark.parametrize("raises", [False, True])
def test_what_is_changed_is_put_back(change: Callable[[], Any], read: Callable[[], Any], raises: bool) -> None:
    before = read()

    def call() -> None:
        with contained("it"):
            change()
            if raises:
                raise KeyError

    if raises:
        with pytest.raises(KeyError):
            call()
    else:
        call()
    assert read() == before


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (torch, "softmax"),
        (torch.nn.functional, "cross_entropy"),
        (torch.Tensor, "softmax"),  # inherited: the class itself holds no such name
        (torch.nn.Module, "__call__"),
        (torch.nn, "Linear"),
        (np, "mean"),
    ],
)
def test_replaced_functions_are_put_back_and_refused(place: Any, name: str) -> None:
    before = getattr(place, name)
    with pytest.raises(Meddling, match=rf"it replaces .*{name}"), contained("it"):
        setattr(place, name, lambda *_: 0)
    assert getattr(place, name) is before
    assert place is not torch.Tensor or name not in vars(place)
    with contained("it"):
        torch.a_name_of_its_own = 1
    del torch.a_name_of_its_own


def test_a_call_is_cheap() -> None:
    with contained("it"):
        pass
    begun = time.process_time()
    for _ in range(100):
        with contained("it"), timed("it"):
            pass
    assert (time.process_time() - begun) / 100 < 0.005  # measured: 0.7 ms


def test_another_thread_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with contained("it"):
            monkeypatch.setattr(sys, "stdout", None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert sys.stdout is None


def test_calls_are_told_to_whoever_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, str | None]] = []
    monkeypatch.setattr(module, "watch", lambda number, what: told.append((number, what)))
    with pytest.raises(KeyError), timed("a"), timed("b"):
        raise KeyError
    (a, _), (b, _) = told[:2]
    assert told == [(a, "a"), (b, "b"), (b, None), (a, None)]


# --- imports


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An installed place on the path, and the working directory."""
    installed, here = tmp_path / "installed", tmp_path / "here"
    installed.mkdir()
    here.mkdir()
    monkeypatch.syspath_prepend(installed)
    monkeypatch.chdir(here)
    return installed, here


def test_the_named_module_of_the_working_directory_wins(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        (folder / "twice_there.py").write_text(f"def make():\n    return {folder.name!r}\n")
        (folder / "package_twice").mkdir()
        (folder / "package_twice" / "__init__.py").touch()
        (folder / "package_twice" / "nets.py").write_text(f"def make():\n    return {folder.name!r}\n")
    assert named_function("it", "twice_there:make")() == "here"
    assert named_function("it", "package_twice.nets:make")() == "here"


def test_no_other_module_of_the_working_directory_does(folders: tuple[Path, Path]) -> None:
    """A7: the working directory went first, so that any file there took the place of a library's or the tool's own."""
    for folder in folders:
        (folder / "imported_by_a_library.py").write_text(f"place = {folder.name!r}\n")
    (folders[1] / "only_here.py").write_text("place = 'here'\n")
    (folders[1] / "users_net.py").write_text("import imported_by_a_library, only_here\ndef make():\n    return 0\n")
    named_function("it", "users_net:make")
    assert importlib.import_module("imported_by_a_library").place == "installed"
    assert importlib.import_module("only_here").place == "here"


TRAPS = (  # noqa: SIM905 - read as words
    "json dataclasses typing pathlib signal select threading hashlib random pickle socket selectors statistics "
    "numpy torch scipy sklearn xgboost pydantic rich typer safetensors attacks reports yaml plistlib csv zipfile"
).split()


@pytest.mark.parametrize(
    "arguments",
    [("run", "--dry-run"), pytest.param(("references", "train", "--train-references", "1"), marks=pytest.mark.slow)],
)
def test_a_working_directory_full_of_traps(case: Path, arguments: tuple[str, ...]) -> None:
    """Neither the tool nor its workers import from there, `python -m audit` included."""
    for name in TRAPS:
        Path(f"{name}.py").write_text(f"open({str(case / 'sprung')!r}, 'a').write({name!r} + ' ')\n")
    Path("mine.py").write_text("from audit.demo import network as make\n")
    Path("audit.toml").write_text('[recipe]\nepochs = 1\nengine = "pool"\nworkers = 1\n')
    command = [sys.executable, "-m", "audit", *arguments, "--forget", case / "forget.npz", "--arch", "mine:make"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (case / "sprung").exists(), (case / "sprung").read_text()


def test_a_module_of_python_or_the_tool_is_never_taken_from_there(folders: tuple[Path, Path]) -> None:
    (folders[1] / "json.py").write_text("def make():\n    return 0\n")
    with pytest.raises(ValueError, match="json has no function 'make'"):
        named_function("it", "json:make")
    (folders[1] / "audit.py").write_text("raise KeyError\n")
    assert named_function("it", ARCH)
