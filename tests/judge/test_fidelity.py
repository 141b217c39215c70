"""Shadow models stand for the original by their figures, and no bad shadow model excuses itself or others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.judge.fidelity import MATCH, WIDEST, shadow_mismatch

FIGURES = st.floats(-1e9, 1.0)


def mismatch(shadows: list[float], own: float) -> str:
    """Of shadow models with these figures and an original with that one."""
    evidence: Any = SimpleNamespace(
        arrays={"accuracy/trained": np.array(shadows)},
        facts=SimpleNamespace(models=["original"]),
        task=SimpleNamespace(figure="R2"),
        correct=lambda _: np.array([own]),
        labels=lambda _: np.zeros(1),
    )
    return shadow_mismatch(evidence, "trained")


def test_shadows_that_diverged_widen_no_tolerance() -> None:
    assert mismatch([0.8] * 13, 0.82) == ""
    assert "describe in [recipe]" in mismatch([0.8] * 13 + [-40.0, -3e4, -2e6], 0.82)
    assert mismatch([0.8] * 13 + [0.0] * 3, 0.82)  # of accuracies as well


@pytest.mark.parametrize("own", [0.74, 0.86])
def test_shadows_that_scatter_as_trainings_do_are_excused_by_their_spread(own: float) -> None:
    assert mismatch([0.77, 0.80, 0.83], own) == ""  # 3 sd = .09
    assert mismatch([0.80, 0.80, 0.80], own)


@given(st.lists(FIGURES, min_size=2, max_size=12), st.floats(-1.0, 1.0))
def test_no_spread_excuses_a_mean_that_is_far_off(shadows: list[float], own: float) -> None:
    gap = abs(float(np.mean(shadows)) - own)
    if gap > WIDEST:
        assert mismatch(shadows, own)
    if gap <= MATCH:
        assert not mismatch(shadows, own)


def test_a_figure_that_is_no_number_never_matches() -> None:
    assert mismatch([0.8, float("nan"), 0.8], 0.8)
