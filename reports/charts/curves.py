"""Lines over x, with bands; ROC curves on two logarithmic axes."""

from __future__ import annotations

from markupsafe import Markup

from audit.record.attack_record import Chart, Series

from . import svg
from .series import Drawn, Points, extra, label, thin, x_title, y_title

MAX_POINTS, ALL_POINTS = 120, 480  # of one line, and of all lines of a chart
MARKS = 6  # on one line
_ORDER = ("chance", "reference", "original", "unlearned")  # drawn last = on top
_NAMED, _NAME = 4, 13  # names of positions that stand below the x axis, and columns of one


def curves(chart: Chart, drawn: Drawn) -> tuple[float, list[Markup]]:
    """Height and parts; ROC curves have two axes of the same range, so that chance is the diagonal."""
    roc = chart.kind == "roc"
    placed = [p for s, points in drawn for p in points if not roc or s.role != "chance"]
    xs, ys = [x for x, _ in placed], [y for _, y in placed]
    top = 26.0 + extra(chart.y_label)
    left, right, bottom = 66.0, svg.WIDTH - 16, top + 264.0
    if roc:
        x_axis, y_axis = svg.decades(xs + ys, left, right), svg.decades(xs + ys, bottom, top)
    else:
        ys += [v for s, _ in drawn for v in (*s.low, *s.high) if abs(v) <= svg.LARGEST]
        x_axis, y_axis = svg.linear(xs, left, right), svg.linear(ys, bottom, top)
    limit = max(12, min(MAX_POINTS, ALL_POINTS // len(drawn)))
    body = [_band(s, x_axis, y_axis, limit) for s, _ in drawn if len(s.low) == len(s.high) == len(s.x) > 1]
    body += _frame(x_axis, y_axis, chart)
    references = sum(s.role == "reference" for s, _ in drawn)
    seen: dict[str, int] = {}
    legend: list[tuple[str, str, bool]] = []
    for series, points in sorted(drawn, key=lambda pair: _ORDER.index(pair[0].role)):
        grouped = references > 3 and series.role == "reference"
        variant = 0 if grouped else seen.get(series.role, 0) % 3
        seen[series.role] = seen.get(series.role, 0) + 1
        kind = f"{series.role} v{variant}"
        pixels = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
        if roc and series.role == "chance":
            pixels = [(x_axis.start, y_axis.start), (x_axis.stop, y_axis.stop)]
        pixels = thin(pixels, limit)
        if len(pixels) > 1:
            body.append(Markup('<polyline class="line {}" points="{}"/>').format(kind, svg.path(pixels)))
        if series.role != "chance":
            body += [svg.mark(kind, x, y) for x, y in thin(pixels, 2 if grouped else MARKS)]
        if not grouped or seen[series.role] == 1:
            name = f"{references} retrained references" if grouped else label(series)
            legend.append((kind, name + (" with its band" if series.low else ""), True))
    start = bottom + 62 + extra(chart.x_label)
    return start + 20 * len(legend), body + svg.legend(legend, start)


def _band(series: Series, x_axis: svg.Axis, y_axis: svg.Axis, limit: int) -> Markup:
    """The area between the ends of a band; what the axes cannot show is cut at their edge."""

    def edge(values: tuple[float, ...]) -> Points:
        return [
            (x_axis.at(x), y_axis.at(min(max(y, y_axis.low), y_axis.high)))
            for x, y in zip(series.x, values, strict=True)
            if x_axis.low <= x <= x_axis.high and abs(y) <= svg.LARGEST
        ]

    outline = thin(edge(series.high), limit // 2) + thin(edge(series.low), limit // 2)[::-1]
    return Markup('<polygon class="spread {}" points="{}"/>').format(series.role, svg.path(outline))


def _frame(x_axis: svg.Axis, y_axis: svg.Axis, chart: Chart) -> list[Markup]:
    left, right, bottom, top = x_axis.start, x_axis.stop, y_axis.start, y_axis.stop
    parts = y_title(chart.y_label, top)
    for value, words in y_axis.ticks():
        parts.append(svg.line("grid", left, y_axis.at(value), right, y_axis.at(value)))
        parts.append(svg.text(left - 7, y_axis.at(value) + 4, words, "tick", anchor="end", limit=9))
    for value, words in _positions(chart) or x_axis.ticks():
        parts.append(svg.line("grid", x_axis.at(value), bottom, x_axis.at(value), top))
        limit = _NAME if chart.ticks else 9
        anchor = "end" if chart.ticks and right - x_axis.at(value) < 40 else "middle"  # names stay in the picture
        parts.append(svg.text(x_axis.at(value), bottom + 17, words, "tick", anchor=anchor, limit=limit))
    parts += x_title(chart.x_label, (left + right) / 2, bottom)
    return [*parts, svg.line("axis", left, bottom, right, bottom), svg.line("axis", left, bottom, left, top)]


def _positions(chart: Chart) -> list[tuple[float, str]]:
    """Named positions, evenly: of many every second, third ... is named."""
    longest = max(chart.series, key=lambda s: len(s.x))
    named = list(zip(longest.x, chart.ticks, strict=False))
    return named[:: -(-len(named) // _NAMED) or 1]
