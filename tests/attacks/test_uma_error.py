"""UMA on the squared error: what the ascent finds on a linear model, whose worst point is known; leaks and honesty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import regression_case
from cases.regression_case import RegressionCase

import audit
from attacks.base import Access, Case, NotApplicable
from attacks.recovery.sweep import SWEEP
from attacks.recovery.uma_error import ErrorMapping
from attacks.tasks import task_named
from audit.inputs.data import Arrays

SLOPE = np.array([[2.0], [-1.0]])
SCALE = np.array([1.0, 1000.0])  # the second column is in another unit
PLAIN, FAR = np.zeros(2), np.array([2015.0, -3e4])


class Linear:
    """Answers (x - shift) / SCALE @ SLOPE of the first two columns."""

    access = Access.GRADIENTS

    def __init__(self, case: Case, shift: Any = PLAIN) -> None:
        self.case, self.shift = case, shift

    def logits(self, role: str) -> Any:
        x = np.asarray(self.case.sets[role].batch(np.arange(len(self.case.sets[role]))))
        return (x[:, :2] - self.shift) / SCALE @ SLOPE

    def forward(self, x: Any) -> Any:
        return (x[:, :2] - torch.tensor(self.shift)) / torch.tensor(SCALE) @ torch.tensor(SLOPE)

    def tensor(self, x: Any) -> Any:
        return torch.tensor(x)


def linear_case(dtype: Any = np.float64, shift: Any = PLAIN, constants: tuple[float, ...] = ()) -> Case:
    rng = np.random.default_rng(0)
    sets = {}
    for role in ("forget", "holdout", "retain", "auxiliary", "test"):
        x = rng.normal(size=(40, 2)) * SCALE
        targets = x / SCALE @ SLOPE + rng.normal(size=(40, 1))
        given = np.column_stack([x + shift, np.tile(constants, (40, 1))])
        sets[role] = Arrays(given.astype(dtype), np.zeros(40, np.int64), targets=targets)
    return Case(
        kind="random",
        classes=(),
        sets=sets,
        labels={role: data.y for role, data in sets.items()},
        n_classes=1,
        task=task_named("regression"),
        targets={role: data.targets for role, data in sets.items() if data.targets is not None},
    )


def test_the_worst_point_of_a_linear_model_is_a_corner_of_the_ball() -> None:
    case = linear_case()
    view: Any = Linear(case)
    found = ErrorMapping(steps=30).observe(view, None, case, np.random.default_rng(0))
    known = np.asarray(case.sets["retain"].batch(np.arange(40)))
    centre, spread = known.mean(axis=0), known.std(axis=0)
    around = (known - centre) / spread
    span = np.ptp(around)
    unit = case.task.unit(view.logits("auxiliary"), case.truth("auxiliary"))
    residual = np.abs(view.logits("forget") - case.truth("forget"))[:, 0]
    most = np.abs(SLOPE[:, 0]) @ (spread / SCALE)  # how far a change of one standard deviation moves the answer
    worst = ((residual[:, None] + np.array(SWEEP) * span * most) / unit) ** 2 / 2
    inside = (
        np.abs((np.asarray(case.sets["forget"].batch(np.arange(40))) - centre) / spread).max(axis=1)
        < min(around.max(), -around.min()) - 0.1 * span
    )  # rows that the box does not hold
    assert inside.sum() >= 5
    np.testing.assert_allclose(found["forget"][inside], -worst.mean(axis=1)[inside], rtol=0.02)
    first = np.where((worst > 0.5).any(axis=1), (worst > 0.5).argmax(axis=1), len(SWEEP))
    assert (found["forget_first"][inside] == first[inside]).mean() > 0.9


def test_where_a_column_starts_and_what_never_varies_change_nothing() -> None:
    """A column of years near 2015, one that is -30,000, and columns of .1, 0 and a million beside."""

    def found(shift: Any, constants: tuple[float, ...]) -> Any:
        case = linear_case(shift=shift, constants=constants)
        return ErrorMapping(steps=3).observe(Linear(case, shift), None, case, np.random.default_rng(0))  # type: ignore[arg-type]

    plain, far = found(PLAIN, ()), found(FAR, (0.1, 0.0, 1e6))
    for key in plain:
        np.testing.assert_allclose(far[key], plain[key], rtol=1e-6)


def test_discrete_inputs_are_refused() -> None:
    case = linear_case(np.int64)
    with pytest.raises(NotApplicable, match="continuous inputs"):
        ErrorMapping().observe(Linear(case), None, case, np.random.default_rng(0))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def case() -> RegressionCase:
    return regression_case.build(regression_case.diabetes(2), references=3, steps=150)


@pytest.mark.parametrize("honest", [pytest.param(True, marks=pytest.mark.slow), False])
def test_it_tells_a_shallow_model_from_retrains_and_gates_nothing(
    case: RegressionCase, honest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    audited = case.unlearned if honest else regression_case.blindspot(case, 5)
    found = audit.run(**case.given(unlearned=audited, access="features", attacks=["membership", "uma_error"]))
    assert not any(f.attack == "uma_error" and f.role != "supplementary" for f in found.findings)
    forget, holdout = next(attack.details for attack in found.result.attacks if attack.name == "uma_error")
    told = float(forget.split("log-rank p = ")[1].split()[0]) < 1e-4  # its forget rows withstand larger changes
    assert told != honest
    assert holdout.startswith("holdout rows brought to a usual error (140)")
