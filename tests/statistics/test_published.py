"""Figures that papers print: formulas by hand, bounds, and what they are without any effect."""

from __future__ import annotations

import numpy as np
import pytest

from audit.statistics import published


def test_gap_and_tug_of_war_by_hand() -> None:
    mine, reference = np.array([0.9, 1.0, 0.8]), np.array([0.7, 1.0, 0.9])
    assert published.average_gap(mine, reference) == pytest.approx(0.1)
    assert published.tug_of_war(mine, reference) == pytest.approx(0.8 * 1.0 * 0.9)
    assert published.tug_of_war(reference, reference) == 1.0


def test_aus_has_two_forms() -> None:
    assert published.aus(0.1, 0.8, 0.9, removed_class=True) == pytest.approx(0.9 / 1.1)
    assert published.aus(0.9, 0.8, 0.9, removed_class=False) == pytest.approx(0.9 / 1.1)


@pytest.mark.parametrize(
    ("mine", "reference", "value"),
    [(0.5, 0.5, 0.0), (0.75, 0.5, 50.0), (0.25, 0.5, -50.0), (1.0, 0.99, 20.0), (0.0, 0.001, -2.0), (1.0, 0.5, 100.0)],
)
def test_privleak_is_signed_and_bounded(mine: float, reference: float, value: float) -> None:
    assert published.privleak(mine, reference) == pytest.approx(value)


def test_forget_quality_and_its_power() -> None:
    """The power of `../design/attacks.md`, from another simulation: 8, 40 and 71 % at 40, 200 and 400 rows."""
    rng = np.random.default_rng(1)
    same = rng.normal(size=200)
    assert published.forget_quality(same, [same]) == pytest.approx(1.0)
    assert published.forget_quality(same, [same + 3]) < 1e-9
    for rows, power in ((40, 0.08), (200, 0.40), (400, 0.71)):
        assert published.forget_quality_power(rows) == pytest.approx(power, abs=0.09)


def test_klom_is_not_zero_between_equals_and_the_largest_value_counts() -> None:
    rng = np.random.default_rng(0)
    twenty = published.klom(rng.normal(size=(20, 60)), rng.normal(size=(20, 60)))
    hundred = published.klom(rng.normal(size=(100, 60)), rng.normal(size=(100, 60)))
    assert 2.0 < twenty < 4.5
    assert 0.2 < hundred < 0.6
    assert published.klom(np.ones((5, 3)), np.ones((5, 3))) == 0.0
    apart = published.klom(np.ones((5, 1)), np.zeros((5, 1)))
    assert apart == pytest.approx(np.log(1 / published.FLOOR))


def test_residual_knowledge_needs_rows_that_references_recognise() -> None:
    rates = np.array([0.5, 0.25, 0.01])
    assert published.residual_knowledge(2 * rates, rates) == pytest.approx(2.0)
    assert published.residual_knowledge(rates, np.array([0.01, 0.01, 0.01])) is None
