"""UMA: exact anchors of the descent, the budget, and where the attack has no meaning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.stub import gaussian_case, linear_view

from attacks.base import Case, NotApplicable
from attacks.recovery.descent import Descent, cross_entropy, divergence, margin
from attacks.recovery.fragility import without
from attacks.recovery.masking import unmasked
from attacks.recovery.survival import first_reached, log_rank, surviving
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
    attack = UnlearningMapping(steps=15, max_rows=16)
    bound = attack.gradient_rows(CLASS)
    passes = attack.observe(FORGOT, ORIGINAL, CLASS, np.random.default_rng(0))["passes"][0]
    soft = (2 * 16 * (len(SWEEP) - 1) + 16) * 16 * 2
    assert soft <= passes <= bound
    # nothing is left to find for the hard target, and nothing is passed at radius 0
    assert attack.observe(ORIGINAL, ORIGINAL, CLASS, np.random.default_rng(0))["passes"][0] == soft


def test_the_survival_curve_falls_and_ends_where_the_hard_target_is_reached() -> None:
    signals = [observe(view) for view in (FORGOT, ORIGINAL, FORGOT)]
    curves = ATTACK.score(signals, CLASS).plots["survival"].values
    assert curves.shape == (3, 2, len(SWEEP))
    assert (np.diff(curves, axis=2) <= 0).all()
    assert curves[0, 0, 0] > curves[0, 0, -1]
    assert (curves[1] == 0).all()  # the original says what it said


def test_first_radius_and_log_rank() -> None:
    hit = np.array([[False, True, True], [False, False, False], [True, True, True]])
    np.testing.assert_array_equal(first_reached(hit), [1, 3, 0])
    np.testing.assert_allclose(surviving(first_reached(hit), 3), [2 / 3, 1 / 3, 1 / 3])
    early, late = np.repeat([0, 1], 20), np.repeat([2, 3], 20)
    assert log_rank(early, late, 3) < 1e-6
    assert log_rank(early, early, 3) > 0.9
    assert log_rank(np.full(5, 3), np.full(5, 3), 3) == 1.0  # nothing was reached


def test_blocks_of_any_size_find_the_same() -> None:
    found = [
        UnlearningMapping(steps=4, max_rows=16, batch=batch).observe(FORGOT, ORIGINAL, CLASS, np.random.default_rng(0))
        for batch in (1000, 7)
    ]
    for key in found[0]:
        np.testing.assert_allclose(found[0][key], found[1][key], atol=1e-9, err_msg=key)


def test_a_descent_stays_in_ball_and_box_and_finds_the_corner() -> None:
    """One linear logit: the best point is the corner of the ball in the direction of its weights, cut by the box."""
    view = linear_view(CLASS, np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]]), np.zeros(3))
    x, target = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]), np.log(np.eye(3)[[0, 0]] * 0.98 + 0.01)
    found = Descent(view, (0.0, 1.0), steps=20, batch=10).run(x, target, (0.1,), [None], margin)
    best_first = 0.6 - 0.4  # logit 0 at the corner; the others stay at 0
    np.testing.assert_allclose(found.loss[:, 0], [-best_first, -1.0], atol=1e-9)


def test_an_original_moved_out_of_the_box_may_stay_there() -> None:
    view = linear_view(CLASS, np.eye(3), np.zeros(3))
    x, target = np.array([[5.0, 0.0, 0.0]]), np.log(np.eye(3)[[0]] * 0.98 + 0.01)
    found = Descent(view, (0.0, 1.0), steps=2, batch=10).run(x, target, (0.1,), [None], margin)
    assert found.loss[0, 0] <= -5.0


class Stairs:
    """A network whose logits are right by rounding and give no gradient."""

    def __init__(self, view: object) -> None:
        self.view = view

    def __getattr__(self, name: str) -> object:
        return getattr(self.view, name)

    def forward(self, x: object) -> object:
        z = self.view.forward(x)  # type: ignore[attr-defined]
        return z.detach().round() + 0 * z


class Detached(Stairs):
    """A network that says its top class and nothing else: no gradient is even defined."""

    def forward(self, x: object) -> object:
        return 9.0 * torch.nn.functional.one_hot(self.view.forward(x).argmax(dim=1), 3)  # type: ignore[attr-defined]


class Saturated(Stairs):
    """A network whose softmax is full: the cross-entropy has no gradient, the margin has."""

    def forward(self, x: object) -> object:
        return self.view.forward(x) * 1e6  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [Stairs, Detached])
def test_masked_gradients_are_named_where_nothing_carries_over(shape: type[Stairs]) -> None:
    steps = shape(linear_view(CLASS, np.diag([2.0, 2.0, 0.0]), np.array([0.0, 0.0, -30.0])))
    signals = [observe(steps), observe(FORGOT)]
    assert signals[0]["masked"][1] > 0.1
    assert signals[1]["masked"].max() == 0
    assert "masked" in ATTACK.score(signals, CLASS).invalid
    assert "masked" not in ATTACK.score(signals[::-1], CLASS).invalid


def test_a_descent_without_gradient_is_helped_by_the_originals_changes() -> None:
    blind = Stairs(ORIGINAL)
    x = np.array([[0.0, 0.9, 1.0]] * 4)  # the original says class 2; class 1 lies a small change away
    target = log_softmax(np.tile([0.0, 5.0, 0.0], (4, 1)))
    plain = np.full(4, 5.0)
    found = unmasked(
        Descent(blind, (-4.0, 6.0), steps=15, batch=99), ORIGINAL, x, target, plain, (0.05,), [None], divergence
    )
    assert (found.before, found.after) == (1.0, 0.0)
    assert found.found.hit.all()


def test_a_full_softmax_is_attacked_along_the_margin() -> None:
    full = Saturated(linear_view(CLASS, np.eye(3), np.zeros(3)))
    x, target = np.array([[0.5, 0.4, 0.0]]), log_softmax(np.array([[0.0, 9.0, 0.0]]))
    descent = Descent(full, (0.0, 1.0), steps=10, batch=9)
    assert descent.run(x, target, (0.2,), [None], margin).hit.all()
    assert descent.run(x, target, (0.2,), [None], cross_entropy, guide=margin).hit.all()


def test_fragility_is_taken_out_where_it_explains_the_statistic() -> None:
    rng = np.random.default_rng(0)
    fragility = rng.normal(size=12)
    statistic = 2 * fragility + 0.1 * rng.normal(size=12)
    assert without(statistic, fragility).std() < 0.6 * statistic.std()
    order = rng.permutation(12)  # every model alike
    np.testing.assert_allclose(without(statistic[order], fragility[order]), without(statistic, fragility)[order])
    far = without(np.append(statistic, 0.0), np.append(fragility, 1e6))[-1]
    assert abs(far) < 10  # no slope is followed beyond the others


def test_few_references_leave_the_fragility_in() -> None:
    signals = [observe(view) for view in (FORGOT, ORIGINAL, FORGOT, FORGOT)]
    assert any("not taken out" in line for line in ATTACK.score(signals[:3], CLASS).details)
    assert any("taken out by regression" in line for line in ATTACK.score(signals, CLASS).details)
