"""The benchmark's modules, imported with the project's root on the path."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


class Bench:
    """The benchmark's modules by name."""

    def __getattr__(self, name: str) -> ModuleType:
        return importlib.import_module(f"benchmarks.{name}")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2]))
        yield Bench()
