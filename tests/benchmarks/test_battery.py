"""benchmarks/battery.py: every attack by its own test, on models that it tells apart; the tables count them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Bench

ATTACKS = ("membership", "contraction", "prototypes")


@pytest.fixture(scope="module")
def found(bench: Bench) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.battery.demo, "STEPS", 200)
        patch.setattr(bench.battery, "methods_for", lambda kind: {"retrain": None, "fine_tune": None})
        result: dict[str, Any] = bench.battery.measured("digits", "random", 4, ATTACKS, True)
    return result


def test_each_attack_is_put_to_the_test_of_its_family(found: dict[str, Any]) -> None:
    assert found["membership"]["family"] == "D2"
    assert found["contraction"]["family"] == "D1"
    assert found["membership"]["p"].keys() == {"original", "retrain", "fine_tune"}
    assert found["membership"]["p"]["original"] == found["membership"]["p"]["fine_tune"] == 0.001
    assert 0.001 < found["membership"]["p"]["retrain"] <= 1
    assert not {"original", "fine_tune"} & set(found["membership"]["below"])
    assert found["prototypes"].keys() == {"skipped"}


def test_a_row_counts_honest_retrains_originals_and_methods(
    bench: Bench, found: dict[str, Any], tmp_path: Path
) -> None:
    clear = {"original": 0.001, "retrain": 0.5, "fine_tune": 0.001}
    found = {**found, "membership": {**found["membership"], "p": clear}}
    accused = {**found, "membership": {**found["membership"], "p": {"original": 0.9, "retrain": 0.01}}}
    rows = bench.battery_page.rows(bench.kept.Kept(tmp_path / "x", {}, {"0": found, "1": accused}))
    row = next(row for row in rows if row.attack == "membership")
    assert (row.worlds, row.honest, row.original, row.seen) == (2, 1, 1, {"fine_tune": (1, 1, 0)})
    text = bench.battery_page.table(rows)
    assert "| membership | D2 | 2 | 1 (0.013 to 0.987) | 2 | 1 of 2 |" in text
    assert "| prototypes | - | 0 | puts a forgotten class back" in text
    over = {**found, "membership": {**found["membership"], "below": ["fine_tune", "retrain"]}}
    seen = bench.battery_page.rows(bench.kept.Kept(tmp_path / "z", {}, {"0": over, "1": found}))[0].seen
    assert seen == {"fine_tune": (2, 2, 1)}
    assert "2/2 ↓1" in bench.battery_page.table(
        bench.battery_page.rows(bench.kept.Kept(tmp_path, {}, {"0": over, "1": found}))
    )
    always = {"membership": {**found["membership"], "p": {"original": 0.9, "retrain": 0.01}}}
    worst = bench.battery_page.rows(bench.kept.Kept(tmp_path / "y", {}, {str(k): always for k in range(20)}))
    assert not worst[0].ok
