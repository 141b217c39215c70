"""Figures proposed in a remedy are never out of range: margins, rows, references and runs that can be had."""

from __future__ import annotations

import numpy as np
import pytest
from cases.synthetic import ATTACKS, audit, finding

from audit.judge.settle import enough_rows, more_models, more_rows, more_tail_rows, to_see, utility_way
from audit.policy.policy import Policy, load_policy
from audit.record.findings import FindingStatus, Interval
from audit.record.result import UtilityFigure
from audit.statistics.intervals import Estimate
from audit.statistics.sample_size import MOST_MODELS, forget_rows_to_pass, references_to_pass, runs_to_pass

STANDARD = load_policy("standard")[0]


def numbers(text: str) -> list[float]:
    """Every number in a sentence."""
    return [float(word.strip(".,:()")) for word in text.split() if word.strip(".,:()").replace(".", "", 1).isdigit()]


def test_no_margin_below_zero_is_proposed() -> None:
    """A forget set that looks unfamiliar to the original was answered with a policy of margin -0.16."""
    result = audit(original=dict.fromkeys(ATTACKS, -1.0))
    found = finding(result, "membership.auc")
    assert found.status is FindingStatus.NOT_COVERED
    assert found.control is not None
    assert found.control < 0.4
    assert "on the side of the never-seen rows" in found.reason
    assert "margin" not in found.settle[0]
    assert "the original's outputs on the forget set are those of its rows" in found.settle[0]
    ways = [way for item in result.findings for way in item.settle] + list(result.verdict.settle)
    assert all("margin well below" not in way for way in ways)


@pytest.mark.parametrize("value", [-0.5, -0.16, -1e-9, 0.0, 1e-6, 0.02, 0.05, 0.0999, 0.3])
def test_what_is_proposed_lies_between_zero_and_the_margin(value: float) -> None:
    _, (way,) = to_see(Estimate(value, value - 0.1, value + 0.1, 0.05), 0.001, 0.1, STANDARD)
    assert "-" not in way.replace("never-seen", "")
    assert all(0.01 <= number <= 0.1 for number in numbers(way))
    assert ("a margin well below" in way) == (0.01 <= value < 0.1)


def test_rows_that_nobody_has_are_not_proposed() -> None:
    near = Estimate(0.5 + 0.1 - 1e-7, 0.5, 0.7, 0.05)
    assert forget_rows_to_pass(300, near.value - 0.5, near.se, 0.1, 0.05) is None
    (way,) = more_rows(near, (300, 600), 0.1, STANDARD, "rows")
    assert way == "more forget and holdout rows than could be gathered: the estimate is close to the margin"
    rng = np.random.default_rng(0)
    (way,) = more_tail_rows(rng.normal(size=100), rng.normal(size=200), 0.15 - 1e-9, STANDARD, "rows")
    assert way.startswith("more forget and holdout rows than could be gathered")


def test_models_that_nobody_trains_are_not_proposed() -> None:
    assert references_to_pass(0.0, 1.0, 0.01, 0.05) is None
    just = 2.92 * np.sqrt(1 / 3 + 1 / (2 * MOST_MODELS))  # t of 2 degrees of freedom: twice the most runs would do
    assert runs_to_pass(0.0, 1.0, 3, just, 0.05) is None
    assert runs_to_pass(0.0, 1.0, 3, 2.93 * np.sqrt(1 / 3 + 1 / 500), 0.05) in range(200, MOST_MODELS + 1)
    for half in (0.5, 2.0, 20.0):
        ways = more_models(Estimate(0.0, -half, half, half / 2), 0.3, 1, 5, 0.05)
        assert all(number <= MOST_MODELS for way in ways for number in numbers(way))


@pytest.mark.parametrize("tail", [True, False])
def test_where_no_number_of_rows_would_do_none_is_proposed(tail: bool) -> None:
    changes = {"tpr_margin": STANDARD.tpr_fpr} if tail else {"auc_margin": 1e-6}
    (way,) = enough_rows((20, 40), STANDARD.model_copy(update=changes), "rows", tail=tail)
    assert way == "no number of rows would do: the policy's margin leaves no room for an honest model"
    (way,) = enough_rows((20, 40), STANDARD, "rows", tail=tail)
    assert way.startswith("about ")


def test_test_rows_that_nobody_has_are_not_proposed() -> None:
    def way(estimate: float, low: float, name: str = "test") -> str:
        bounds = Interval(low=low, high=2 * estimate - low, level=0.9)
        figure = UtilityFigure(
            name=name, rows=700, difference=bounds, estimate=estimate, margin=0.05, ok=False, reason="-"
        )
        return utility_way(figure, 0.05)

    assert way(-0.05 + 1e-9, -0.1) == "more test rows than could be gathered: the estimate is close to the margin"
    assert "retain rows than could be gathered" in way(-0.05 + 1e-9, -0.1, "retain")
    assert way(-0.03, -0.06).startswith("more test rows, about ")


def test_a_tail_margin_leaves_room_for_an_honest_model() -> None:
    """The margin of a shift against references is tpr_margin - tpr_fpr."""
    for margin in (0.01, 0.05):
        with pytest.raises(ValueError, match=r"tpr_margin 0\.0[15] must exceed tpr_fpr 0\.05"):
            Policy.model_validate({**STANDARD.model_dump(), "tpr_margin": margin})
