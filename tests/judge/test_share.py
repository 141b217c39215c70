"""The share of class claims: read by rows, bounded by the plain mean."""

from __future__ import annotations

import numpy as np
import pytest

from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.record.findings import Finding, FindingStatus
from fixtures.cases.synthetic import SEEN, Setup, finding

ROWS = 60


def share(audited: float, other: float, scatter: float = 0.3) -> Finding:
    """The figure of ``membership`` where seeds move the first half of the rows by ``scatter`` of what is known, and
    the audited model holds ``audited`` of it there and ``other`` of it in the second half."""
    evidence = Setup(kind="class", references=8, n_holdout=ROWS, seed=1).evidence()
    half, rng = np.arange(ROWS) < ROWS // 2, np.random.default_rng(0)
    levels = {"unlearned": (audited, other), "original": (1.0, 1.0)}
    moved = scatter * np.array([-1.2, -0.9, -0.6, -0.2, 0.2, 0.6, 0.9, 1.2])
    levels |= {name: (by, 0.0) for name, by in zip(evidence.facts.references, moved, strict=True)}
    for name, (first, second) in levels.items():
        signals = evidence.signals["membership", name]
        signals["class_holdout"] = SEEN * (np.where(half, first, second) + 0.02 * rng.normal(size=ROWS))
        signals["class_test"] = np.zeros(2)
    return finding(judge(evidence, load_policy("standard")[0], "0" * 64), "membership.share")


def test_rows_that_seeds_move_count_less() -> None:
    found = share(0.3, 0.0)
    assert found.estimate is not None
    assert found.estimate < 0.05  # the plain mean is .15
    assert found.status is FindingStatus.PASS


@pytest.mark.parametrize("sign", [1, -1])
def test_what_the_plain_mean_shows_supports_no_pass(sign: int) -> None:
    found = share(sign * 0.6, 0.0)
    assert found.interval is not None
    assert -0.25 < found.interval.low < found.interval.high < 0.25
    assert found.status is FindingStatus.INCONCLUSIVE
    assert f"as a plain mean over rows the share is {'+' if sign > 0 else '-'}0." in found.reason


def test_rows_that_seeds_leave_alone_show_what_is_left() -> None:
    found = share(0.0, 0.4)
    assert found.estimate is not None
    assert found.estimate > 0.3  # the plain mean is .2
    assert found.status is not FindingStatus.PASS
