"""``--dry-run`` counts what attacks on labels ask, and prices the shift check and the statistics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases.module_view import ModuleView
from torch import nn

from attacks.base import Case
from attacks.membership.label_only import LabelOnly
from attacks.membership.population import Population
from audit.collect import pricing
from audit.collect.plan import Step
from audit.inputs.data import Arrays

RNG = np.random.default_rng(0)
SETS = {role: Arrays(RNG.random((n, 6)).astype(np.float32), RNG.integers(0, 3, n)) for role, n in
        {"forget": 30, "holdout": 40, "retain": 50, "test": 20, "auxiliary": 20}.items()}  # fmt: skip
CASE = Case("random", (), SETS, {role: data.y for role, data in SETS.items()}, 3)


def test_the_rows_that_label_only_asks_are_those_that_it_asks() -> None:
    view: Any = ModuleView(nn.Sequential(nn.Linear(6, 3)), SETS)
    queries = int(LabelOnly().run(view, None, CASE, np.random.default_rng(0))["queries"][0]) - 1  # one is no change
    assert pricing.asked_rows(LabelOnly(), CASE) == queries * 70
    assert pricing.asked_rows(Population(), CASE) == 0
    assert "2310 rows asked a model, about 4.0 s" in str(Step("label_only", "labels", True, 0, "", 2310, 4.0))


def test_the_shift_check_is_priced_by_its_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(pricing, "blind_scores", lambda forget, _holdout, _seed: sizes.append(len(forget)))
    monkeypatch.setattr(pricing, "_timed", lambda run: (run(), 1.0 + sizes[-1] / 100)[1])
    many = Arrays(np.zeros((9000, 2), np.float32), np.zeros(9000, np.int64))
    case: Any = SimpleNamespace(rows_of=lambda _role: many)
    assert pricing.shift_check_seconds(case) == pytest.approx(1.0 + pricing.MAX_ROWS / 100)
    assert sizes == list(pricing.SIDES)


def test_statistics_are_priced_by_the_rows_and_at_most_so_many_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, int]] = []
    monkeypatch.setattr(pricing, "permutation_max_t", lambda scores, own, *_: tried.append((scores.shape[1], own)))
    monkeypatch.setattr(pricing, "_timed", lambda run: (run(), 0.1)[1])
    sizes = {"forget": 2000, "holdout": 8000}
    case: Any = SimpleNamespace(rows_of=lambda role: range(sizes[role]))
    assert pricing.statistics_seconds(case, 999) == pytest.approx(pricing.TESTS * 0.1 * 10_000 / pricing.TESTED_ROWS)
    assert tried == [(pricing.TESTED_ROWS, pricing.TESTED_ROWS // 5)]
