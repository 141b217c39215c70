"""What a chart shows, in words, for who cannot see it."""

from __future__ import annotations

from audit.record.attack_record import Chart, Series
from reports.numbers import num

from .series import Drawn, Points, label

_ONE_BY_ONE = 16  # series that are described, each in a sentence


def in_words(chart: Chart, drawn: Drawn) -> str:
    """The axes, the series that are drawn, and how many points could not be."""
    kind = chart.kind
    lost = sum(_given(s, kind) for s in chart.series) - sum(len(p) for s, p in drawn if s.role != "chance")
    sentences = [_series(s, p, kind) for s, p in drawn[:_ONE_BY_ONE]]
    sentences += [f"{len(drawn) - _ONE_BY_ONE} more series are drawn."] if len(drawn) > _ONE_BY_ONE else []
    sentences += [f"Points that these axes cannot show (zero, or no number): {lost}."] if lost else []
    return " ".join([*_axes(chart), *sentences])


def _given(series: Series, kind: str) -> int:
    if series.role == "chance":
        return 0
    if kind == "histogram":
        return len(series.y)
    return len(series.x) if kind == "dots" else max(len(series.x), len(series.y))


def _axes(chart: Chart) -> list[str]:
    if chart.kind == "grid":
        return []
    if chart.kind == "dots":
        return [f"{chart.x_label}."]
    if chart.kind == "heatmap":
        return [f"{chart.y_label}, by {chart.x_label}: {', '.join(chart.ticks) or 'by position'}."]
    places = f" ({', '.join(chart.ticks)})" if chart.ticks else ""
    return [f"{chart.x_label}{places} across, {chart.y_label} upwards."]


def _series(series: Series, placed: Points, kind: str) -> str:
    name = label(series)
    if kind == "grid":
        return f"{name}: a picture, {series.width} pixels wide."
    if kind == "histogram":
        return f"{name}: {_distribution(series)}."
    if kind == "dots":
        return f"{name}: {_values([x for x, _ in placed])}."
    if kind == "heatmap":
        return f"{name}: {', '.join(num(y) for _, y in placed)}."
    if kind == "roc" and series.role == "chance":
        return f"{name}: the diagonal."
    (x0, y0), (x1, y1) = placed[0], placed[-1]
    if len(placed) == 1:
        return f"{name}: one point, {num(y0)} at {num(x0)}."
    ys = [y for _, y in placed]
    ends = f"from {num(y0)} at {num(x0)} to {num(y1)} at {num(x1)}"
    return f"{name}: {len(placed)} points {ends}, lowest {num(min(ys))}, highest {num(max(ys))}."


def _values(values: list[float]) -> str:
    values = sorted(values)
    if len(values) <= 12:
        return ", ".join(num(v) for v in values)
    return f"{len(values)} values from {num(values[0])} to {num(values[-1])}, middle {num(values[len(values) // 2])}"


def _distribution(series: Series) -> str:
    """Bins, where the middle of the scores lies and where they are densest."""
    shares = [y * (b - a) for y, a, b in zip(series.y, series.x[:-1], series.x[1:], strict=True)]
    reached, middle = 0.0, 0
    while middle < len(shares) - 1 and reached + shares[middle] < sum(shares) / 2:
        reached += shares[middle]
        middle += 1
    densest = max(range(len(series.y)), key=lambda i: series.y[i])
    ends = [f"{num(series.x[i])} to {num(series.x[i + 1])}" for i in (middle, densest)]
    return f"{len(series.y)} bins from {num(series.x[0])} to {num(series.x[-1])}, middle {ends[0]}, densest {ends[1]}"
