"""UMA: exact anchors of the descent, the budget, and where the attack has no meaning."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import gaussian_case, linear_view

from attacks.base import Case, NotApplicable
from attacks.recovery.uma import PRIMARY, SWEEP, UnlearningMapping
from attacks.signals import log_softmax
from audit.inputs.data import Arrays

CLASS = gaussian_case("class", (2,), n=40)
ORIGINAL = linear_view(CLASS, np.eye(3) * 2, np.zeros(3))
FORGOT = linear_view(CLASS, np.diag([2.0, 2.0, 0.0]), np.array([0.0, 0.0, -3.0]))
ATTACK = UnlearningMapping(steps=15, max_rows=16)


def observe(view: object, case: Case = CLASS) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return dict(ATTACK.observe(view, ORIGINAL, case, np.random.default_rng(0)))  # type: ignore[arg-type]


def test_the_original_says_what_it_said() -> None:
    signals = observe(ORIGINAL)
    np.testing.assert_allclose(signals["focus"], 0, atol=1e-9)
    np.testing.assert_allclose(signals["other"], 0, atol=1e-9)


def test_radius_zero_is_the_plain_divergence_and_balls_are_nested() -> None:
    signals = observe(FORGOT)
    rows = np.sort(np.random.default_rng(0).permutation(40)[:16])
    p, q = (log_softmax(v.logits("holdout")[rows]) for v in (ORIGINAL, FORGOT))
    np.testing.assert_allclose(signals["focus"][:, 0], (np.exp(p) * (p - q)).sum(axis=1), rtol=1e-6)
    assert (np.diff(signals["focus"], axis=1) <= 0).all()
    assert signals["focus"][:, -1].mean() < signals["focus"][:, 0].mean()


def test_statistic_ranks_the_original_above_a_model_that_forgot() -> None:
    signals = [observe(view) for view in (ORIGINAL, FORGOT, FORGOT)]
    scores = ATTACK.score(signals, CLASS)
    assert scores.statistic is not None
    assert scores.statistic[0] > scores.statistic[1] + 0.2
    assert scores.plots["focus"].values.shape == (3, len(SWEEP))


def test_a_reached_control_is_no_evidence() -> None:
    signals = [observe(view) for view in (ORIGINAL, FORGOT)]
    reached = {**signals[0], "matched": np.zeros_like(signals[0]["matched"])}
    assert "no power" in ATTACK.score([reached, signals[1]], CLASS).invalid
    far = {**reached, "matched": np.full_like(reached["matched"], 5.0)}
    assert ATTACK.score([far, signals[1]], CLASS).invalid == ""
    assert PRIMARY in SWEEP


def test_discrete_inputs_are_refused() -> None:
    tokens = {role: Arrays(np.zeros((40, 3), dtype=np.int64), data.y) for role, data in CLASS.sets.items()}
    case = Case("class", (2,), tokens, CLASS.labels, 3)  # type: ignore[arg-type]
    with pytest.raises(NotApplicable, match="continuous"):
        observe(ORIGINAL, case)


def test_cost_is_announced() -> None:
    assert ATTACK.gradient_rows(CLASS) == (16 + 2 * 16) * len(SWEEP) * 16 * 2
