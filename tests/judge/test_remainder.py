"""The visible remainder as a finding: reported always, judged where the policy bounds it, said in the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cases.synthetic import audit

from audit.certify.strictness import weaker
from audit.errors import UsageError
from audit.judge.remainder import _said
from audit.policy.policy import load_policy
from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome
from reports.effects import _remainder as size_of_remainder

POLICY = load_policy("standard")[0].model_copy(update={"permutations": 999, "shams": 0})
BOUNDED = POLICY.model_copy(
    update={
        "remainder_margin": 0.3,
        "mandatory": {"random": {"logits": (*POLICY.mandatory["random"]["logits"], "membership.remainder")}},
    }
)
SIZE = {"n_forget": 500, "n_holdout": 1000, "access": "logits"}


def remainder(result: AuditResult) -> Finding:
    return next(f for f in result.findings if f.id == "membership.remainder")


def test_an_honest_model_shows_next_to_nothing_and_the_summary_says_so() -> None:
    result = audit(POLICY, seed=0, **SIZE)
    found = remainder(result)
    assert (found.kind, found.status, found.role) == ("exploratory", FindingStatus.NOTE, "supplementary")
    assert found.estimate is not None
    assert found.interval is not None
    assert found.interval.low < 0.05
    assert found.interval.high < 0.4
    assert (found.n_forget, found.n_holdout, found.control) == (500, 1000, 1.0)
    assert "it counts no rows" in found.reason
    said = f"as visible as {max(found.estimate, 0):.0%} of the rows fully retained ("
    assert f" The forget set is {said}" in result.verdict.sentence


def test_a_model_that_leaks_shows_how_much_of_it_is_left() -> None:
    leaks = [remainder(audit(POLICY, seed=1, leak={"membership": leak}, **SIZE)).estimate for leak in (0.0, 0.4, 0.8)]
    assert leaks == sorted(leaks, key=lambda value: value or 0.0)
    assert (leaks[2] or 0.0) > (leaks[0] or 0.0) + 0.2


def test_without_an_original_or_a_sighted_attack_it_is_not_defined() -> None:
    blind = audit(POLICY, seed=2, original={"membership": 0.0}, **SIZE)
    found = remainder(blind)
    assert found.estimate is None
    assert found.interval is None
    assert "does not clear the 5% that never-seen rows have" in found.reason
    assert "as visible as" not in blind.verdict.sentence
    classes = audit(POLICY, seed=2, kind="class", references=8)
    assert not [f for f in classes.findings if f.metric == "remainder"]


@pytest.mark.parametrize(("leak", "outcome"), [(0.0, Outcome.PASS), (0.35, Outcome.INCONCLUSIVE)])
def test_a_policy_may_bound_it(leak: float, outcome: Outcome) -> None:
    result = audit(BOUNDED, seed=3, leak={"membership": leak}, original={"membership": 2.0}, **SIZE)
    found = remainder(result)
    assert (found.kind, found.role, found.margin) == ("equivalence", "mandatory", (0.0, 0.3))
    assert found.interval is not None
    assert (found.status is FindingStatus.PASS) is (found.interval.high < 0.3)
    if outcome is Outcome.PASS:
        assert result.verdict.outcome is outcome
    else:
        assert result.verdict.outcome is not Outcome.PASS


def test_rows_that_would_do_are_named_where_it_is_open() -> None:
    tight = BOUNDED.model_copy(update={"remainder_margin": 0.02})
    found = remainder(audit(tight, seed=4, original={"membership": 2.0}, **SIZE))
    assert found.status is FindingStatus.INCONCLUSIVE
    (way,) = found.settle
    assert way.startswith("about ")
    assert int(way.split()[1]) > 500


def test_policies_that_bound_it_are_checked_and_compared(tmp_path: Path) -> None:
    values: dict[str, Any] = POLICY.model_dump(mode="json")
    older = {key: value for key, value in values.items() if key != "remainder_margin"}
    assert weaker(older, POLICY, "random", ("logits",)) == ""
    bounded = POLICY.model_copy(update={"remainder_margin": 0.2})
    assert "remainder_margin is 0.0, not 0.2" in weaker(older, bounded, "random", ("logits",))
    assert "remainder_margin is 0.3, not 0.2" in weaker(
        values | {"remainder_margin": 0.3}, bounded, "random", ("logits",)
    )
    assert weaker(values | {"remainder_margin": 0.1}, bounded, "random", ("logits",)) == ""
    assert weaker(values | {"remainder_margin": 0.1}, POLICY, "random", ("logits",)) == ""
    text = (Path("audit/policy/standard.toml")).read_text().replace('name = "standard"', 'name = "mine"')
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('"membership.tpr_lower"]', '"membership.tpr_lower", "membership.remainder"]'))
    with pytest.raises(UsageError, match="set remainder_margin"):
        load_policy(str(path))
    path.write_text(path.read_text().replace("share_margin", "remainder_margin = 0.2\nshare_margin"))
    assert load_policy(str(path))[0].remainder_margin == 0.2


def test_a_share_below_zero_is_said_as_none_at_both_ends() -> None:
    """An over-forgotten set is less visible than never-seen rows: "0% to -21%" stood on a report."""
    result = audit(POLICY, seed=1, **SIZE)
    found = remainder(result)
    assert found.interval is not None
    below = found.model_copy(
        update={"estimate": -0.3, "interval": found.interval.model_copy(update={"low": -0.5, "high": -0.2})}
    )
    assert "as visible as 0%" in _said(below)
    assert "(0% to 0%, " in _said(below)
    shown = size_of_remainder(result.model_copy(update={"findings": (below,)}), "membership")
    assert "as visible as 0% of the rows fully retained (0% to 0%, " in shown
