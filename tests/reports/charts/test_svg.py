from __future__ import annotations

import pytest

from reports.charts import svg
from reports.charts.svg import Axis


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-3, 7), (0.4711, 0.4712), (-1e-7, 1e-7), (1e8, 3e8), (-0.5, 1e4), (99.9, 100.1)],
)
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = Axis(low, high, 0, 1).ticks()
    assert 3 <= len(ticks) <= 7
    assert len({label for _, label in ticks}) == len(ticks)
    for value, label in ticks:
        assert low - 1e-9 * (high - low) <= value <= high + 1e-9 * (high - low)
        assert float(label) == pytest.approx(value, abs=(high - low) * 1e-6)


def test_long_titles_break_between_words_and_end_cut() -> None:
    assert svg.lines("short") == ["short"]
    assert svg.lines("one two three four", 9) == ["one two", "three four"]
    assert svg.lines("", 9) == [""]
    assert "…" in svg.text(0, 0, svg.lines("word " * 50, 20)[-1], "label", limit=20)
