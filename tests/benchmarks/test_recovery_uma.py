"""The batched descent finds what one row and one radius at a time find, passes as many rows, and is much faster."""

from __future__ import annotations

import pytest

from benchmarks.recovery_uma import measure


def test_the_baseline_does_the_same_work() -> None:
    for line in measure(repeats=1, rows=4, steps=2):
        assert line["rows passed, one by one"] == line["rows passed, batched"]
        assert float(str(line["largest relative difference"])) < 1e-2


@pytest.mark.slow
def test_the_batched_descent_is_ten_times_faster_than_a_loop_over_rows() -> None:
    mlp, cnn = measure()
    assert float(str(mlp["times"])) >= 10
    assert float(str(cnn["times"])) > 1  # beside it, without a bar
