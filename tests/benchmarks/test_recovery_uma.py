"""The batched descent finds what one row and one radius at a time find, and passes as many rows."""

from __future__ import annotations

from benchmarks.recovery_uma import measure


def test_the_baseline_does_the_same_work() -> None:
    for line in measure(repeats=1, rows=4, steps=2):
        assert line["rows passed, one by one"] == line["rows passed, batched"]
        assert float(str(line["largest relative difference"])) < 1e-2
        assert float(str(line["times"])) > 1
