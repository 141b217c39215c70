"""One row on a side, or all rows alike: INCONCLUSIVE with the number of rows that is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.judge.settle import too_few
from audit.policy.policy import load_policy
from audit.statistics.intervals import auc_delong, auc_interval
from tests.conftest import ARCH, Cli, arrays, rewrite

POLICY = load_policy("standard")[0]
NEEDED = "(30 and 100 to be judged at all)"


def one_row(case: Path) -> None:
    for role in ("forget", "holdout"):
        rewrite(case / f"{role}.npz", **{key: value[:1] for key, value in arrays(case / f"{role}.npz").items()})


def all_alike(case: Path) -> None:
    found = arrays(case / "forget.npz")
    rewrite(case / "forget.npz", **{key: np.repeat(found[key][:1], 100, axis=0) for key in ("x", "y")})


@pytest.mark.parametrize("change", [one_row, all_alike])
@pytest.mark.parametrize("split", ["attested", "assumed"])
def test_the_verdict_is_open_and_says_how_many(case: Path, cli: Cli, change: Any, split: str) -> None:
    change(case)
    flags = ("--attacks", "membership", "--split", split, "--claim", "random", "-q")
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, *flags)
    assert ended.code == 3, ended.err
    verdict = json.loads((Path(ended.result["run"]) / "run.json").read_text())["verdict"]
    assert any(NEEDED in way for way in verdict["settle"])
    assert any("there are 1 and " in reason for reason in verdict["reasons"])


def test_one_row_says_nothing_of_an_auc() -> None:
    found = auc_interval(np.array([2.0]), np.array([1.0, 3.0, 0.0]), 0.9)
    assert (found.value, found.low, found.high) == (pytest.approx(2 / 3), 0.0, 1.0)
    assert found.se == pytest.approx(1 / 3)  # sqrt((1 + 1/3) / 12)
    assert auc_interval(np.arange(4.0), np.arange(3.0), 0.9) == auc_delong(np.arange(4.0), np.arange(3.0), 0.9)
    with pytest.raises(ValueError, match="at least two finite"):
        auc_interval(np.array([np.nan]), np.arange(3.0), 0.9)


def test_enough_rows_are_not_too_few() -> None:
    assert too_few((POLICY.min_forget, POLICY.min_holdout), POLICY) == ("", ())
    reason, (way,) = too_few((POLICY.min_forget - 1, POLICY.min_holdout), POLICY)
    assert reason == "the figures need 30 forget and 100 holdout rows, there are 29 and 100"
    assert way.endswith(NEEDED)
