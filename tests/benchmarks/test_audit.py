"""The benchmark of whole audits: time goes to the innermost part, and an audit costs a few times its floor."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from attacks.base import discover
from audit.policy.policy import load_policy
from benchmarks import audit as benchmark


def _busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_time_counts_for_the_innermost_part_and_nowhere_else() -> None:
    clock = benchmark._Clock()
    clock.lap("imports")
    inner = clock.timed(lambda: "inner", lambda: _busy(0.2))

    def both() -> None:
        _busy(0.1)
        inner()

    clock.timed(lambda: "outer", both)()
    clock.lap("all else")
    assert clock.parts["inner"] == pytest.approx(0.2, abs=0.05)
    assert clock.parts["outer"] == pytest.approx(0.1, abs=0.05)
    assert clock.parts["all else"] < 0.05
    assert sum(clock.parts.values()) == pytest.approx(clock.last)


@pytest.mark.slow
def test_an_audit_costs_a_few_times_its_floor_and_nothing_that_cannot_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "audit.json"
    argv = ["audit", "demo-random", "demo-class", "--repeats", "1", "--output", str(found)]
    monkeypatch.setattr("sys.argv", argv)
    benchmark.main()
    policy = load_policy("standard")[0]
    for case, said in json.loads(found.read_text()).items():
        assert said["ratio"] <= 4, (case, said)
        assert 1 / 2.5 <= said["plan"] / said["total"] <= 2.5, (case, said)  # promised: 1.5, on a quiet machine
        kind = case.removeprefix("demo-")
        gated = {name for level in ("labels", "logits", "features") for name in policy.attacks(kind, level)}
        ran = {part.removeprefix("attack ") for part in said["parts"] if part.startswith("attack ")}
        assert ran <= gated & set(discover()), case
