"""From the charts that an attack declares to the chart records of ``run.json``.

Bounded whatever the number of rows: ROC curves on a grid, scores in bins, curves and pictures thinned.
"""

from __future__ import annotations

import numpy as np

from attacks.base import DOTS, ChartSpec, Floats, Plot
from audit.collect.evidence import Facts
from audit.record.attack_record import Chart, Series
from audit.statistics.intervals import roc_band

from .densities import LEAST, MODELS, Role, histograms
from .scored import Scored

GRID = 60  # points of an ROC curve, evenly spaced on the log axis
POINTS = 120  # of one curve
COLUMNS, ROWS = 24, 12  # of a heatmap
PICTURES, PIXELS = 8, 32  # of a grid, and pixels a side of one


def charts(item: Scored, facts: Facts, level: float) -> tuple[Chart, ...]:
    """The charts of one attack, in the order in which it declares them.

    Args:
        item: its scores on all models.
        facts: the claim and the names of the references.
        level: coverage of the band of an ROC curve: that of the figures that a PASS rests on.

    Returns:
        The charts that there is something to draw for. Where an attack gave no per-example scores, the value of each
        model stands in for the charts of scores.
    """
    found: list[Chart] = []
    specs = item.attack.charts
    if item.subject.examples is None:
        specs = tuple(dict.fromkeys(DOTS if spec.kind in ("roc", "histogram") else spec for spec in specs))
    for spec in specs:
        chart = _chart(spec, item, facts, level)
        if chart is not None:
            found.append(chart)
    return tuple(found)


def _chart(spec: ChartSpec, item: Scored, facts: Facts, level: float) -> Chart | None:
    if spec.kind == "roc":
        return _roc(spec, item, facts, level)
    if spec.kind == "histogram":
        return _histogram(spec, item, facts)
    if spec.kind == "dots":
        return _dots(spec, item, facts)
    return _plotted(spec, item, facts)


def _roc(spec: ChartSpec, item: Scored, facts: Facts, level: float) -> Chart | None:
    sides, control = item.require_sides(), item.sides(control=True)
    n = sides[1].shape[1]

    def line(name: str, role: Role, pair: tuple[Floats, Floats], row: int, *, band: bool = False) -> Series:
        x, y = _roc_points(pair[0][row], pair[1][row])
        ends = roc_band(pair[0][row], pair[1][row], x, level) if band else []
        low, high = tuple(point.low for point in ends), tuple(point.high for point in ends)
        return Series(name=name, role=role, x=x, y=y, low=low, high=high)

    series = [line("unlearned", "unlearned", sides, 0, band=True)]
    if control is not None:
        series.append(line("original", "original", control, 0))
    if facts.references:
        series.append(line(facts.references[0], "reference", sides, 1))
    series.append(Series(name="chance", role="chance", x=(1 / n, 1.0), y=(1 / n, 1.0)))
    note = (
        f"Band of the unlearned model: pointwise {level:.0%} interval of the true positive rate at each false positive "
        "rate (order statistics of the holdout scores, exact interval of Clopper and Pearson), as in the tail figures."
    )
    return _of(spec, series, note)


def _roc_points(forget: Floats, holdout: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """False and true positive rates of {score >= t}, t on ``GRID`` holdout scores; tied scores are one threshold."""
    ascending, n = np.sort(holdout), len(holdout)
    ranks = np.unique(np.round(np.logspace(0, np.log10(n), GRID)).astype(int))
    thresholds = np.unique(ascending[n - ranks])[::-1]
    pairs = ((scores, np.searchsorted(scores, thresholds, side="left")) for scores in (ascending, np.sort(forget)))
    x, y = (_floats((len(scores) - below) / len(scores)) for scores, below in pairs)
    return x, y


def _histogram(spec: ChartSpec, item: Scored, facts: Facts) -> Chart | None:
    series = histograms(item, len(facts.references))
    note = (
        f"Bins hold at least {LEAST} {item.unit} of their side, what was fewer is counted in the nearest one: a bin "
        f"that is drawn empty has 0 to {LEAST - 1}. The outermost bins hold all that lies beyond. References: mean "
        "over all retrained models."
    )
    return _of(spec, series, note) if series else None


def _dots(spec: ChartSpec, item: Scored, facts: Facts) -> Chart:
    statistic, _ = item.contrast
    series = [Series(name="unlearned", role="unlearned", x=(float(statistic[0]),), y=())]
    if item.control_contrast is not None:
        series.append(Series(name="original", role="original", x=(float(item.control_contrast[0][0]),), y=()))
    if facts.references:
        values = tuple(float(value) for value in statistic[item.runs :])
        series.append(Series(name="retrained", role="reference", x=values, y=()))
    is_class = item.subject.statistic is not None and facts.claim.kind == "class"
    label = "forgotten minus retained classes" if is_class else "forget minus holdout examples"
    found = _of(spec, series, "")
    return found if spec.x else found.model_copy(update={"x_label": f"{label} ({item.subject.unit or 'score units'})"})


def _plotted(spec: ChartSpec, item: Scored, facts: Facts) -> Chart | None:
    """Curves, a heatmap or pictures that the attack itself brought."""
    plot = item.subject.plots.get(spec.plot)
    if plot is None:
        return None
    control = None if item.control is None else item.control.plots.get(spec.plot)
    values: dict[Role, Floats] = {"unlearned": plot.values[:1]}
    if control is not None:
        values["original"] = control.values[:1]
    if facts.references:
        values["reference"] = plot.values[1:]
    make = {"lines": _lines, "heatmap": _heatmap, "grid": _grid}[spec.kind]
    kept = _thinned(plot.values.shape[-1], POINTS if spec.kind == "lines" else COLUMNS)
    series = [one for role, models in values.items() for one in make(plot, role, models, kept)]
    ticks = tuple(plot.ticks[i] for i in kept) if plot.ticks and spec.kind != "grid" else ()
    note = ""
    if facts.references and spec.kind != "grid":
        note = f"Retrained references: mean of {len(facts.references)}" + (
            "; the band is their range." if spec.kind == "lines" else "."
        )
    return _of(spec, series, note).model_copy(update={"ticks": ticks})


def _thinned(count: int, limit: int) -> list[int]:
    """At most ``limit`` of ``count`` positions, evenly, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, limit)).tolist()})


def _of(spec: ChartSpec, series: list[Series], note: str) -> Chart:
    return Chart(
        kind=spec.kind,
        title=spec.title,
        x_label=spec.x,
        y_label=spec.y,
        series=tuple(series),
        note=" ".join(text for text in (spec.note, note) if text),
    )


def _named(plot: Plot, role: Role, row: int) -> str:
    """What a series is called: the row's name, or the model's."""
    return plot.rows[row] if plot.rows else MODELS[role]


def _rows(plot: Plot, models: Floats) -> Floats:
    """(models, rows, positions), whether the plot has one row or several."""
    return models[:, None] if plot.values.ndim == 2 else models


def _lines(plot: Plot, role: Role, models: Floats, kept: list[int]) -> list[Series]:
    x = np.arange(float(plot.values.shape[-1])) if plot.x is None else plot.x
    values = _rows(plot, models)[..., kept]
    spread = role == "reference" and len(values) > 1
    return [
        Series(
            name=_named(plot, role, row),
            role=role,
            x=_floats(x[kept]),
            y=_floats(values[:, row].mean(axis=0)),
            low=_floats(values[:, row].min(axis=0)) if spread else (),
            high=_floats(values[:, row].max(axis=0)) if spread else (),
        )
        for row in range(values.shape[1])
    ]


def _heatmap(plot: Plot, role: Role, models: Floats, kept: list[int]) -> list[Series]:
    values = _rows(plot, models)[..., kept].mean(axis=0)
    rows = _thinned(len(values), ROWS)
    return [Series(name=_named(plot, role, row), role=role, x=(), y=_floats(values[row])) for row in rows]


def _grid(plot: Plot, role: Role, models: Floats, _kept: list[int]) -> list[Series]:
    """The pictures of one model; of the references those of the first."""
    down, across = (_thinned(side, PIXELS) for side in plot.values.shape[2:])
    pictures = models[0, :PICTURES][:, down][:, :, across]
    grey = np.round(np.clip(pictures, 0, 1) * 255).astype(np.uint8)
    return [
        Series(name=_named(plot, role, row), role=role, x=(), y=(), width=len(across), pixels=one.tobytes().hex())
        for row, one in enumerate(grey)
    ]


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
