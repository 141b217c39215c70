"""The table of the frameworks' benchmark counts what it says."""

from __future__ import annotations

from benchmarks.frameworks import table


def test_worlds_are_counted_by_kind_and_dose() -> None:
    lines = [
        {"kind": "forest", "honest": "PASS", "half": "FAIL"},
        {"kind": "forest", "honest": "FAIL"},
        {"kind": "xgboost", "honest": "INCONCLUSIVE"},
    ]
    rows = table(lines).splitlines()
    assert "| forest | honest | 2 | 1 | 0 | 1 | at most 2 FAIL |" in rows
    assert "| forest | half | 1 | 1 | 0 | 0 |  |" in rows
    assert "| xgboost | honest | 1 | 0 | 1 | 0 | at most 1 FAIL |" in rows
