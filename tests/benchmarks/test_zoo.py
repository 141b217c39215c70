"""The benchmark counts what the audits said, and saves work without changing a verdict."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audit.inputs.data import Arrays

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def zoo() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("benchmarks.zoo")


def audited(zoo: ModuleType, method: str, world: int, verdict: str, **changes: Any) -> Any:
    fields = {"claim": "random", "bare": verdict, "decided": (), "decided_bare": (), "forget": 0.5, "test": 0.8}
    return zoo.Audited(method=method, world=world, verdict=verdict, **(fields | changes))


def test_audits_are_counted_by_method_and_claim(zoo: ModuleType) -> None:
    found = [
        audited(zoo, "retrain", 0, "PASS"),
        audited(zoo, "retrain", 0, "FAIL", decided=("probe.d2",)),
        audited(zoo, "retrain", 1, "INCONCLUSIVE", decided=("probe.auc",)),
        audited(zoo, "cf_1", 0, "FAIL", bare="PASS", decided=("structure.encoder", "probe.d2"), forget=1.0),
    ]
    honest, shallow = zoo.count(found)
    assert (honest.audits, honest.worlds, honest.verdicts, honest.bar) == (3, 2, (1, 1, 1), 2)
    assert honest.failed == (("probe.d2", 1),)
    assert honest.lacking == (("probe.auc", 1),)
    assert (shallow.verdicts, shallow.bare, shallow.bar) == ((1, 0, 0), (0, 0, 1), None)
    assert shallow.forget == 1.0


def test_the_bar_is_the_design_documents(zoo: ModuleType) -> None:
    for audits, bar in ((40, 7), (60, 9), (200, 21), (800, 60)):
        (row,) = zoo.count([audited(zoo, "retrain", world, "PASS") for world in range(audits)])
        assert row.bar == bar


def test_text_and_page_show_every_row(zoo: ModuleType) -> None:
    rows = zoo.count([audited(zoo, "retrain", 0, "PASS"), audited(zoo, "salun", 0, "FAIL", decided=("probe.d2",))])
    text, page = zoo.table(rows), zoo.page(rows)
    assert len(text.splitlines()) == 4
    assert "probe.d2 1" in text
    assert "| salun | 1 / 1 | 1 | 0 | 0 | 1 / 0 / 0 | 0.50 / 0.80 | probe.d2 1 |  |" in page


def test_the_shift_check_is_made_once_for_the_same_rows(zoo: ModuleType) -> None:
    calls = []

    def blind(forget: Arrays, holdout: Arrays, seed: int) -> None:
        calls.append((len(forget), len(holdout), seed))

    sets = [Arrays(np.full((n, 2), float(n)), np.zeros(n, dtype=np.int64)) for n in (3, 4, 5)]
    check = zoo.once(blind)
    for forget, holdout, seed in ((0, 1, 7), (0, 1, 7), (0, 2, 7), (0, 2, 8)):
        check(sets[forget], sets[holdout], seed)
    assert calls == [(3, 4, 7), (3, 5, 7), (3, 5, 8)]
