"""Closed form: exact where the curvature is, first among decoys on real data, what no head can say."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from cases.stub import gaussian_case, linear_view
from torch import nn

from attacks.base import Case, Floats, NotApplicable, Scores
from attacks.inversion.closed_form import ClosedForm
from attacks.inversion.common import correlations
from attacks.inversion.linear import deleted_gradient, rows_of, stem_row, with_bias
from attacks.inversion.quality import matched, pairs
from audit import demo
from fixtures.cases.deletions import Deletions
from fixtures.cases.module_view import ModuleView

DIGITS = Deletions(wrong=0.0)


def ridge(x: Floats, y: Floats, penalty: float) -> Floats:
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)


def test_ridge_gives_the_row_exactly_where_the_curvature_is_that_of_the_retained_rows() -> None:
    rng = np.random.default_rng(0)
    x, y = with_bias(rng.normal(size=(60, 7))), rng.normal(size=(60, 2))
    change = ridge(x, y, 0.3) - ridge(x[1:], y[1:], 0.3)
    gradient = deleted_gradient(x[1:], x[1:] @ change, change, 59, 0.3)
    np.testing.assert_allclose(rows_of(gradient, 1)[0], x[0, :-1], rtol=1e-8)
    residual = y[0] - x[0] @ ridge(x, y, 0.3)
    np.testing.assert_allclose(gradient, np.outer(x[0], residual), atol=1e-9)
    assert np.linalg.norm(rows_of(change, 1)[0] - x[0, :-1]) > 1e-2  # not without it


def test_two_rows_come_as_two_vectors_of_their_span() -> None:
    rng = np.random.default_rng(1)
    x, residuals = with_bias(rng.normal(size=(2, 6))), rng.normal(size=(2, 4))
    found = with_bias(rows_of(x.T @ residuals, 5))
    assert len(found) == 2
    assert np.linalg.matrix_rank(np.vstack([found, x]), tol=1e-8) == 2


def test_a_change_without_bias_entry_gives_no_row() -> None:
    gradient = np.outer([1.0, 2.0, 0.0], [1.0, -1.0])
    assert rows_of(gradient, 1).shape == (0, 2)
    assert rows_of(np.zeros((3, 2)), 1).shape == (0, 2)


def test_the_stem_gives_one_row_of_one_step_exactly() -> None:
    model = demo.initialised(0).double()
    x, y = torch.from_numpy(DIGITS.data.x[:1]).double(), torch.from_numpy(DIGITS.data.y[:1])
    gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
    weight, bias = (0.3 * part.numpy() for part in gradients[:2])
    np.testing.assert_allclose(stem_row(weight, bias), x[0].numpy(), atol=1e-12)
    with pytest.raises(ValueError, match="no scale"):
        stem_row(weight, 0 * bias)


def test_rows_are_matched_one_to_one() -> None:
    rows = np.eye(3)
    one, two = pairs(correlations(rows[[2, 0]], rows, np.zeros(3)))
    assert list(zip(one.tolist(), two.tolist(), strict=True)) == [(0, 2), (1, 0)]
    np.testing.assert_allclose(matched(rows[[2, 0]], rows, np.zeros(3)), 1)


def softmax(rows: Floats, start: nn.Module | None = None) -> nn.Module:
    """Softmax regression at its optimum: summed cross-entropy plus 1 / 2 |theta|^2."""
    x, y = torch.from_numpy(DIGITS.data.x[rows]).double(), torch.from_numpy(DIGITS.data.y[rows])
    model = copy.deepcopy(start) if start is not None else nn.Linear(64, 10).double()
    if start is None:
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
    descent = torch.optim.LBFGS(
        model.parameters(), max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        descent.zero_grad()
        size = sum(p.square().sum() for p in model.parameters())
        loss: torch.Tensor = nn.functional.cross_entropy(model(x), y, reduction="sum") + size / 2
        loss.backward()
        return loss

    descent.step(closure)
    return model


def audited(case: Case, original: nn.Module, *models: nn.Module, curvature: str = "secant") -> Scores:
    attack, view = ClosedForm(penalty=1.0, curvature=curvature), ModuleView(original, case.sets)
    return attack.score(
        [attack.observe(ModuleView(m, case.sets), view, case, np.random.default_rng(0)) for m in models], case
    )


def test_softmax_regression_gives_single_rows_away_and_the_secant_is_needed() -> None:
    seen = np.concatenate([DIGITS.rows["forget"], DIGITS.rows["retain"]])
    original, bits = softmax(seen), {}
    for curvature in ("secant", "moment"):
        found = []
        for row in range(5):
            retrain = softmax(np.delete(seen, row), original)
            scores = audited(DIGITS.case(row), original, retrain, curvature=curvature)
            assert scores.statistic is not None
            found.append(scores.statistic[0])
        bits[curvature] = np.mean(found)
    assert bits["secant"] > 7.5  # 8.2 is first of 300
    assert bits["moment"] < bits["secant"] - 2


def test_what_the_details_say() -> None:
    case, encoder = DIGITS.case(slice(0, 5)), DIGITS.fitted(demo.initialised(0))
    other = DIGITS.fitted(copy.deepcopy(encoder), steps=5, seed=9)
    same = copy.deepcopy(encoder)
    with torch.no_grad():
        list(same.children())[-1].weight += 0.01 * torch.rand((10, 64), generator=torch.Generator().manual_seed(0))
    scores = audited(case, encoder, same, other)
    text = " ".join(scores.details)
    assert "encoder of the audited model identical to the original's" in text
    assert "first of all" in text
    assert "no failure to forget" in text
    assert "one model, which gives no null" in text
    assert scores.invalid == ""
    assert "other than the original's" in " ".join(audited(case, encoder, other).details)
    assert "weights are those of the original in the head" in audited(case, encoder, encoder, other).invalid


def test_heads_of_other_shapes_are_a_reason() -> None:
    case, small = DIGITS.case(0), nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with pytest.raises(NotApplicable, match="last layer"):
        audited(case, demo.initialised(0), small)


def test_a_change_of_weights_alone_is_named() -> None:
    case = gaussian_case("random")
    views = [linear_view(case, np.eye(3) + k * np.ones((3, 3)), np.zeros(3)) for k in (0.0, 0.1)]
    attack = ClosedForm(curvature="moment")
    still = dict(attack.observe(views[1], views[0], case, np.random.default_rng(0)))
    assert len(still["plain_matched"]) == 0
    assert "sign and scale" in attack.score([{**still, "matched": np.zeros(0)}], case).invalid
