"""Chart records: what stands in run.json is what the scores say, bounded, and singles nobody out."""

from __future__ import annotations

import numpy as np
import pytest
from cases.synthetic import Setup, audit, finding
from hypothesis import given
from hypothesis import strategies as st

from attacks.base import Floats, Scores, discover
from audit.judge.charts import GRID, charts
from audit.judge.densities import BINS, LEAST, _joined
from audit.judge.scored import Scored
from audit.judge.scoring import score_all
from audit.record.attack_record import Chart, Series
from audit.record.result import AuditResult
from audit.statistics.intervals import roc_band, tpr_at_fpr


def chart(result: AuditResult, kind: str, attack: str = "membership") -> Chart:
    record = next(a for a in result.attacks if a.name == attack)
    return next(c for c in record.charts if c.kind == kind)


def scored(forget: Floats, holdout: Floats, control: Floats | None = None) -> Scored:
    """One attack's scores: (J, n_F) and (J, n_H)."""
    joined = Scores(examples=np.concatenate([forget, holdout], axis=1))
    other = None if control is None else Scores(examples=np.concatenate([control, holdout], axis=1))
    return Scored(discover()["membership"](), joined, other, forget.shape[1])


def drawn(item: Scored) -> dict[str, Chart]:
    return {c.kind: c for c in charts(item, Setup().evidence().facts, 0.9)}


def test_the_band_is_the_interval_of_the_tail_figures() -> None:
    result = audit(leak={"membership": 0.5}, n_holdout=200)
    line = next(s for s in chart(result, "roc").series if s.role == "unlearned")
    tail = finding(result, "membership.tpr_upper")
    at = line.x.index(0.05)
    assert tail.interval is not None
    assert (line.low[at], line.high[at]) == (tail.interval.low, tail.interval.high)
    assert line.y[at] == tail.estimate
    assert f"pointwise {tail.interval.level:.0%} interval" in chart(result, "roc").note


def test_a_roc_curve_is_the_empirical_one() -> None:
    evidence = Setup(leak={"membership": 0.5}).evidence()
    item = next(s for s in score_all(evidence).scored if s.attack.name == "membership")
    forget, holdout = item.require_sides()
    for series in charts(item, evidence.facts, 0.9)[0].series[:1]:
        assert len(series.x) <= GRID
        assert series.x[-1] == 1
        assert list(series.x) == sorted(set(series.x))
        assert list(series.y) == sorted(series.y)
        for x, y, low, high in zip(series.x, series.y, series.low, series.high, strict=True):
            threshold = np.sort(holdout[0])[::-1][round(x * holdout.shape[1]) - 1]
            assert x == (holdout[0] >= threshold).mean()
            assert y == (forget[0] >= threshold).mean()
            assert low <= y <= high or x == 1  # the interval of a rate of 1 lies above the last threshold


def test_tied_scores_are_one_threshold() -> None:
    rng = np.random.default_rng(0)
    found = drawn(scored(rng.integers(0, 3, (4, 60)) * 1.0, rng.integers(0, 3, (4, 80)) * 1.0))
    for series in found["roc"].series[:-1]:
        assert len(series.x) == 3


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 1.0])
def test_one_rate_or_many(rate: float) -> None:
    rng = np.random.default_rng(1)
    forget, holdout = rng.normal(0.3, 1, 90), rng.normal(size=100)
    assert roc_band(forget, holdout, (0.5, rate, 0.02), 0.9)[1] == tpr_at_fpr(forget, holdout, rate, 0.9)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40).filter(lambda counts: sum(counts) >= LEAST))
def test_no_bin_holds_a_few_rows(counts: list[int]) -> None:
    bins = _joined(counts, LEAST)
    ends = [end for _, end in bins]
    assert sum(count for count, _ in bins) == sum(counts)
    assert all(count == 0 or count >= LEAST for count, _ in bins)
    assert ends == sorted(set(ends))
    assert ends[-1] == len(counts)
    for at, count in enumerate(counts, 1):  # what needs no protection keeps its place
        assert count < LEAST or (at in ends and (at == 1 or at - 1 in ends))


def masses(series: Series) -> Floats:
    return np.array(series.y) * np.diff(series.x)


def test_densities_are_those_of_the_scores() -> None:
    rng = np.random.default_rng(2)
    forget, holdout = rng.normal(0.5, 1, (6, 300)), rng.normal(size=(6, 500))
    found = drawn(scored(forget, holdout, control=rng.normal(2, 1, (6, 300))))["histogram"]
    assert [(s.role, s.side) for s in found.series] == [
        (role, side) for role in ("unlearned", "original", "reference") for side in ("forget", "holdout")
    ]
    for series in found.series:
        assert masses(series).sum() == pytest.approx(1)
        assert len(series.y) <= 2 * BINS
    first = found.series[0]
    counts = masses(first) * 300
    assert ((counts > LEAST - 1e-9) | (counts < 1e-9)).all()
    full = [i for i in range(1, len(counts) - 1) if min(counts[i - 1 : i + 2]) > 3 * LEAST]
    assert len(full) >= 5
    for i in full:  # bins amid full ones have no stranger in them
        inside = (forget[0] >= first.x[i]) & (forget[0] < first.x[i + 1])
        assert counts[i] == pytest.approx(inside.sum())


def test_edges_are_round_numbers_and_no_scores() -> None:
    rng = np.random.default_rng(3)
    forget, holdout = rng.normal(size=(3, 40)), rng.normal(size=(3, 50))
    series = drawn(scored(forget, holdout))["histogram"].series
    edges = np.unique(np.concatenate([s.x for s in series]))
    step = np.diff(edges).min()
    assert f"{step:.6g}".strip("0.") in ("1", "2", "5")
    np.testing.assert_allclose(edges / step, np.round(edges / step), atol=1e-6)
    assert not np.isin(edges, np.concatenate([forget, holdout], axis=1)).any()


def test_small_sets_and_equal_scores() -> None:
    rng = np.random.default_rng(4)
    assert "histogram" not in drawn(scored(rng.normal(size=(3, LEAST - 1)), rng.normal(size=(3, 50))))
    found = drawn(scored(np.full((3, LEAST), 0.25), np.full((3, 50), 0.25)))["histogram"]
    assert all(masses(s).sum() == pytest.approx(1) for s in found.series)
    found = drawn(scored(np.zeros((3, 20)), np.full((3, 50), 1e-3)))["histogram"]
    assert all(sum(y > 0 for y in s.y) == 1 for s in found.series)


def test_extreme_scores_are_counted_in_the_outermost_bins() -> None:
    rng = np.random.default_rng(5)
    forget = rng.normal(size=(3, 400))
    forget[0, 0] = 1e12
    series = drawn(scored(forget, rng.normal(size=(3, 400))))["histogram"].series
    assert max(s.x[-1] for s in series) < 10
    assert all(masses(s).sum() == pytest.approx(1) for s in series)
