"""The share of class claims: read by rows, bounded by the plain mean."""

from __future__ import annotations

import numpy as np
import pytest

from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.record.findings import Finding, FindingStatus
from fixtures.cases.synthetic import SEEN, Setup, finding

ROWS = 60


def share(*audited: tuple[float, float], scatter: float = 0.3, rows: int = ROWS) -> Finding:
    """The figure of ``membership`` where seeds move the first half of the rows by ``scatter`` of what is known, and
    each run holds so much of it there and in the second half."""
    evidence = Setup(kind="class", references=8, runs=len(audited), n_holdout=rows, seed=1).evidence()
    half, rng = np.arange(rows) < rows // 2, np.random.default_rng(0)
    moved = scatter * np.array([-1.2, -0.9, -0.6, -0.2, 0.2, 0.6, 0.9, 1.2])
    levels = {"original": (1.0, 1.0), **dict(zip(("unlearned", *evidence.facts.runs), audited, strict=True))}
    levels |= {name: (by, 0.0) for name, by in zip(evidence.facts.references, moved, strict=True)}
    for name, (first, second) in levels.items():
        signals = evidence.signals["membership", name]
        signals["class_holdout"] = SEEN * (np.where(half, first, second) + 0.02 * rng.normal(size=rows))
        signals["class_test"] = np.zeros(2)
    return finding(judge(evidence, load_policy("standard")[0], "0" * 64), "membership.share")


def test_rows_that_seeds_move_count_less() -> None:
    found = share((0.3, 0.0))
    assert found.estimate is not None
    assert found.estimate < 0.05  # the plain mean is .15
    assert found.title.endswith("rows weighted")
    assert found.status is FindingStatus.PASS


@pytest.mark.parametrize("sign", [1, -1])
def test_what_the_plain_mean_shows_supports_no_pass(sign: int) -> None:
    found = share((sign * 0.45, 0.0))
    assert found.interval is not None
    assert -0.25 < found.interval.low < found.interval.high < 0.25
    assert found.status is FindingStatus.INCONCLUSIVE
    assert f"as a plain mean over rows the share is {'+' if sign > 0 else '-'}0.22" in found.reason
    assert "a PASS needs it within 0.165" in found.reason
    assert found.settle
    assert ("unlearn the forgotten classes further" in found.settle) == (sign > 0)


def test_rows_that_seeds_leave_alone_show_what_is_left() -> None:
    found = share((0.0, 0.4))
    assert found.estimate is not None
    assert found.estimate > 0.3  # the plain mean is .2
    assert found.status is not FindingStatus.PASS


@pytest.mark.parametrize("runs", [3, 4])
def test_honest_runs_do_not_cover_for_what_the_audited_ones_plain_mean_shows(runs: int) -> None:
    found = share((0.8, 0.0), *[(0.0, 0.0)] * (runs - 1))
    assert found.interval is not None
    assert found.interval.high < 0.25
    assert found.status is FindingStatus.INCONCLUSIVE
    assert "as a plain mean over rows the audited run itself lies outside the margin (+0.4" in found.reason


def test_few_rows_are_read_as_their_mean() -> None:
    found = share((0.3, 0.0), rows=28)
    assert found.estimate == pytest.approx(0.15, abs=0.02)
    assert "rows weighted" not in found.title


def test_references_that_agree_leave_the_sampling_error_of_rows() -> None:
    found = share((0.24, 0.24), scatter=0.0)
    assert found.interval is not None
    assert found.interval.high - found.interval.low > 0.005
