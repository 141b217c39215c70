"""Rows tied at probability 0 or 1: a PASS holds in whatever order they stood, a FAIL is what it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases.synthetic import Setup, finding

from audit.judge.judge import judge
from audit.judge.tied import Tied
from audit.policy.policy import load_policy
from audit.record.findings import FindingStatus
from audit.record.result import AuditResult, Outcome

POLICY = load_policy("standard")[0].model_copy(update={"permutations": 999, "shams": 0})
SIZE = {"n_forget": 500, "n_holdout": 1000, "access": "logits"}


def judged(share: float, **changes: Any) -> AuditResult:
    """Synthetic evidence of a model with so large a share of its rows tied."""
    evidence = Setup(seed=0, **{**SIZE, **changes}).evidence()
    for role, rows in (("forget", 500), ("holdout", 1000)):
        evidence.arrays[f"saturated/{role}"] = np.arange(rows) < share * rows
    return judge(evidence, POLICY, "0" * 64)


def test_few_tied_rows_change_nothing() -> None:
    plain = judge(Setup(seed=0, **SIZE).evidence(), POLICY, "0" * 64)
    assert plain.verdict.outcome is Outcome.PASS
    few = judged(0.02)
    assert [f.status for f in few.findings] == [f.status for f in plain.findings]
    assert few.verdict.outcome is Outcome.PASS


def test_many_tied_rows_leave_it_open() -> None:
    result = judged(0.4)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    for name in ("membership.auc", "membership.tpr_upper"):
        found = finding(result, name)
        assert found.status is FindingStatus.INCONCLUSIVE
        assert "600 rows (40% of the forget and 40% of the holdout rows) are tied at probability 0 or 1" in found.reason
        assert "give raw logits" in found.settle[0]


def test_a_leak_is_failed_all_the_same() -> None:
    assert judged(0.4, leak={"membership": 0.9}).verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize(("metric", "reach"), [("auc", 0.03), ("tpr_upper", 0.2), ("tpr_lower", 0.2), ("share", 0.3)])
def test_how_far_a_figure_could_move(metric: str, reach: float) -> None:
    assert Tied(0.2, 0.3, 10).reach(metric, 0.05) == pytest.approx(reach)


def test_a_threshold_above_the_tied_rows_moves_no_tail() -> None:
    assert Tied(0.2, 0.01, 10).reach("tpr_upper", 0.05) == 0


def test_an_auc_moves_as_far_as_its_ties_allow() -> None:
    """Tied pairs count for a half each: the best and the worst order of real scores lie within the reach."""
    rng = np.random.default_rng(0)
    forget, holdout = (np.minimum(rng.normal(0.3, 1, n), 0.8) for n in (200, 300))

    def auc(up: float) -> float:
        a = forget + up * (forget == 0.8)
        return float(((a[:, None] > holdout) + 0.5 * (a[:, None] == holdout)).mean())

    tied = Tied(float((forget == 0.8).mean()), float((holdout == 0.8).mean()), 1)
    assert auc(1e-6) - auc(0.0) == pytest.approx(tied.reach("auc", 0.05))
    assert auc(0.0) - auc(-1e-6) == pytest.approx(tied.reach("auc", 0.05))
