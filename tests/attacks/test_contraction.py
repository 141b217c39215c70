"""Contraction: known ranks and distances, and a collapse that must be said."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.base import NotApplicable, Scores, Signals
from attacks.representation.contraction import Contraction, effective_rank
from fixtures.cases.digits_world import scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

CASE = gaussian_case("random", n=90)


def view(seed: int, forget: float = 1.0) -> StubView:
    """Gaussian features; forget rows are scaled by ``forget``."""
    rng = np.random.default_rng(seed)
    sets = {role: rng.normal(size=(90, 4)) for role in CASE.sets}
    sets["forget"] *= forget
    return StubView(feature_sets=sets)


def observed(*views: StubView) -> list[Signals]:
    return [Contraction().observe(v, None, CASE, np.random.default_rng(0)) for v in views]


def score(*views: StubView) -> Scores:
    return Contraction().score(observed(*views), CASE)


def test_effective_rank_of_known_spectra() -> None:
    rng = np.random.default_rng(0)
    assert effective_rank(np.outer(rng.normal(size=50), np.ones(7))) == pytest.approx(1)
    assert effective_rank(rng.normal(size=(20_000, 5))) == pytest.approx(5, abs=0.01)
    assert effective_rank(np.ones((10, 3))) == 0


def test_rows_drawn_together_by_half_give_the_logarithm_of_two() -> None:
    signals = observed(view(0, 0.5), *(view(k) for k in range(1, 6)))
    scores = Contraction().score(signals, CASE)
    assert scores.statistic is not None
    assert scores.statistic[0] == pytest.approx(np.log(2), abs=0.25)  # 90 rows a side
    assert np.abs(scores.statistic[1:]).max() < 4 * max(s["statistic"][1] for s in signals[1:])
    assert any("no sign of forgetting" in text for text in scores.details)


def test_the_error_is_that_of_fresh_rows() -> None:
    statistics, errors = np.stack([s["statistic"] for s in observed(*(view(k) for k in range(60)))]).T
    assert 0.7 < errors.mean() / statistics.std(ddof=1) < 1.4


def test_one_point_is_named() -> None:
    collapsed = score(view(0, 0.0), *(view(k) for k in range(1, 5)))
    assert "same features" in collapsed.invalid


def test_a_trained_class_lies_closer_together() -> None:
    scores = scored(Contraction(), "class", "head_mask")
    assert scores.statistic is not None
    assert scores.statistic[0] > scores.statistic[1:].max()


def test_single_rows_have_no_distance() -> None:
    case = gaussian_case("random", n=12)
    with pytest.raises(NotApplicable, match="16 rows"):
        Contraction().observe(view(0), None, case, np.random.default_rng(0))


def test_networks_of_other_kinds() -> None:
    case = small_case()
    for network in (cnn, vit):
        signals = Contraction().observe(ModuleView(network(), case.sets), None, case, np.random.default_rng(0))
        assert (signals["rank"] >= 1).all()
