"""The charts of attacks: curves, ROC curves and dots, one picture for each record."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from audit.attack_record import Chart, Series

from . import svg
from .numbers import num

MAX_POINTS = 200
ROLE_NAMES = {
    "unlearned": "unlearned model",
    "original": "original model",
    "reference": "retrained reference",
    "chance": "chance",
}
_SMALLEST = 1e-12  # on logarithmic axes
_ORDER = ("chance", "reference", "original", "unlearned")  # drawn last = on top
_ROWS = ("unlearned", "original", "reference")
_LINE = 16.0  # between the lines of a title
_TITLE = 60  # columns of a title
_LANES = (0.0, -11.0, 11.0, -5.5, 5.5)
_Points = list[tuple[float, float]]
_Drawn = Sequence[tuple[Series, _Points]]


def chart_svg(chart: Chart, uid: str = "chart") -> Markup:
    """Draw the chart of one attack.

    Args:
        chart: what to draw; points that are not finite (or not positive on logarithmic axes) are left out and
            counted in the description.
        uid: prefix of the element ids, unique within the page.
    """
    points = {i: _points(s, chart.kind) for i, s in enumerate(chart.series)}
    drawn = [(s, points[i]) for i, s in enumerate(chart.series) if points[i]]
    if not any(s.role != "chance" for s, _ in drawn):
        return svg.nothing(uid, chart.title, "No data.")
    models = [s for s in chart.series if s.role != "chance"]
    given = sum(len(s.x) if chart.kind == "dots" else max(len(s.x), len(s.y)) for s in models)
    lost = given - sum(len(p) for s, p in drawn if s.role != "chance")
    sentences = [_in_words(s, p, chart.kind) for s, p in drawn[:16]]
    sentences += [f"{len(drawn) - 16} more series are drawn."] if len(drawn) > 16 else []
    sentences += [f"Points that these axes cannot show (zero, or no number): {lost}."] if lost else []
    height, body = (_dots if chart.kind == "dots" else _curves)(chart, drawn)
    words = f"{chart.x_label} across, {chart.y_label} upwards. " if chart.kind != "dots" else f"{chart.x_label}. "
    return svg.picture(uid, chart.title, words + " ".join(sentences), height, body)


def _points(series: Series, kind: str) -> _Points:
    pairs = [(v, 0.0) for v in series.x] if kind == "dots" else zip(series.x, series.y, strict=False)
    finite = [(x, y) for x, y in pairs if abs(x) <= svg.LARGEST and abs(y) <= svg.LARGEST]
    if kind != "roc":
        return finite
    shown = [(x, y) for x, y in finite if _SMALLEST <= x <= 1 and _SMALLEST <= y <= 1]
    return shown or ([(1.0, 1.0)] if series.role == "chance" else [])


def _label(series: Series) -> str:
    role = ROLE_NAMES[series.role]
    short = role.removeprefix("retrained ")  # "retrained/0 (reference)"
    return role if series.name in {role, series.role} else f"{series.name} ({short})"


def _in_words(series: Series, points: _Points, kind: str) -> str:
    name = _label(series)
    if kind == "dots":
        values = sorted(x for x, _ in points)
        if len(values) <= 12:
            return f"{name}: {', '.join(num(v) for v in values)}."
        middle = values[len(values) // 2]
        return f"{name}: {len(values)} values from {num(values[0])} to {num(values[-1])}, middle {num(middle)}."
    if kind == "roc" and series.role == "chance":
        return f"{name}: the diagonal."
    (x0, y0), (x1, y1) = points[0], points[-1]
    if len(points) == 1:
        return f"{name}: one point, {num(y0)} at {num(x0)}."
    ys = [y for _, y in points]
    ends = f"from {num(y0)} at {num(x0)} to {num(y1)} at {num(x1)}"
    return f"{name}: {len(points)} points {ends}, lowest {num(min(ys))}, highest {num(max(ys))}."


def _thin(points: _Points, limit: int) -> _Points:
    """Keep at most ``limit`` points, evenly along the drawn line, the first and the last among them."""
    if len(points) <= limit:
        return points
    travelled = [0.0]
    for a, b in pairwise(points):
        travelled.append(travelled[-1] + math.dist(a, b))
    targets = [travelled[-1] * k / (limit - 1) for k in range(limit)]
    kept = {min(bisect_left(travelled, t), len(points) - 1) for t in targets} - {len(points) - 1}
    return [points[i] for i in sorted(kept)[: limit - 1]] + points[-1:]


def _frame(x_axis: svg.Axis, y_axis: svg.Axis, chart: Chart) -> list[Markup]:
    left, right, bottom, top = x_axis.start, x_axis.stop, y_axis.start, y_axis.stop
    parts = [
        svg.text(4, top - 12 - _LINE * row, words, "axis-title", limit=_TITLE)
        for row, words in enumerate(reversed(svg.lines(chart.y_label, _TITLE)))
    ]
    for value, label in y_axis.ticks():
        parts.append(svg.line("grid", left, y_axis.at(value), right, y_axis.at(value)))
        parts.append(svg.text(left - 7, y_axis.at(value) + 4, label, "tick", anchor="end", limit=9))
    for value, label in x_axis.ticks():
        parts.append(svg.line("grid", x_axis.at(value), bottom, x_axis.at(value), top))
        parts.append(svg.text(x_axis.at(value), bottom + 17, label, "tick", anchor="middle", limit=9))
    parts += _x_title(chart.x_label, (left + right) / 2, bottom)
    return [*parts, svg.line("axis", left, bottom, right, bottom), svg.line("axis", left, bottom, left, top)]


def _x_title(label: str, x: float, bottom: float) -> list[Markup]:
    return [
        svg.text(x, bottom + 36 + _LINE * row, words, "axis-title", anchor="middle", limit=_TITLE)
        for row, words in enumerate(svg.lines(label, _TITLE))
    ]


def _curves(chart: Chart, drawn: _Drawn) -> tuple[float, list[Markup]]:
    """Lines over x; ROC curves on two logarithmic axes of the same range, so that chance is the diagonal."""
    placed = [p for s, points in drawn for p in points if chart.kind != "roc" or s.role != "chance"]
    xs, ys = [x for x, _ in placed], [y for _, y in placed]
    top = 26.0 + _LINE * (len(svg.lines(chart.y_label, _TITLE)) - 1)
    left, right, bottom = 66.0, svg.WIDTH - 16, top + 264.0
    if chart.kind == "roc":
        x_axis, y_axis = svg.decades(xs + ys, left, right), svg.decades(xs + ys, bottom, top)
    else:
        x_axis, y_axis = svg.linear(xs, left, right), svg.linear(ys, bottom, top)
    body = _frame(x_axis, y_axis, chart)
    limit = max(12, min(MAX_POINTS, 4000 // len(drawn)))
    references = sum(s.role == "reference" for s, _ in drawn)
    seen: dict[str, int] = {}
    legend: list[tuple[str, str, bool]] = []
    for series, points in sorted(drawn, key=lambda pair: _ORDER.index(pair[0].role)):
        grouped = references > 3 and series.role == "reference"
        variant = 0 if grouped else seen.get(series.role, 0) % 3
        seen[series.role] = seen.get(series.role, 0) + 1
        kind = f"{series.role} v{variant}"
        pixels = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
        if chart.kind == "roc" and series.role == "chance":
            pixels = [(x_axis.start, y_axis.start), (x_axis.stop, y_axis.stop)]
        pixels = _thin(pixels, limit)
        if len(pixels) > 1:
            path = " ".join(f"{svg.px(x)},{svg.px(y)}" for x, y in pixels)
            body.append(Markup('<polyline class="line {}" points="{}"/>').format(kind, path))
        if series.role != "chance":
            marks = _thin(pixels, 2 if grouped else 8)
            body += [svg.mark(kind, x, y) for x, y in marks]
        if not grouped or seen[series.role] == 1:
            name = f"{references} retrained references" if grouped else _label(series)
            legend.append((kind, name, True))
    start = bottom + 62 + _LINE * (len(svg.lines(chart.x_label, _TITLE)) - 1)
    return start + 20 * len(legend), body + svg.legend(legend, start)


def _dots(chart: Chart, drawn: _Drawn) -> tuple[float, list[Markup]]:
    """One row per role on a common axis; values that would overlap are moved into lanes."""
    roles = [role for role in _ROWS if any(s.role == role for s, _ in drawn)]
    axis = svg.linear([x for _, points in drawn for x, _ in points], 16, svg.WIDTH - 16)
    pitch, top = 66.0, 10.0
    bottom = top + pitch * len(roles)
    body: list[Markup] = []
    for value, label in axis.ticks():
        body.append(svg.line("grid", axis.at(value), bottom, axis.at(value), top))
        body.append(svg.text(axis.at(value), bottom + 17, label, "tick", anchor="middle", limit=9))
    for series, points in drawn:
        if series.role == "chance":
            body += [svg.line("line chance v0", axis.at(x), bottom, axis.at(x), top) for x, _ in points]
    for row, role in enumerate(roles):
        base = top + pitch * row
        named = sorted((x, s.name) for s, points in drawn if s.role == role for x, _ in points)
        body.append(svg.line("rule", 0, base, svg.WIDTH, base))
        body.append(svg.text(4, base + 16, _row_name(role, [x for x, _ in named]), "label", limit=62))
        ends = [-math.inf] * 5
        for value, name in named:
            x = axis.at(value)
            lane = next((i for i, end in enumerate(ends) if x - end >= 12), ends.index(min(ends)))
            ends[lane] = x
            body.append(svg.mark(role, x, base + 42 + _LANES[lane], f"{name}: {num(value)}"))
    body.append(svg.line("axis", 0, bottom, svg.WIDTH, bottom))
    body += _x_title(chart.x_label, svg.WIDTH / 2, bottom)
    legend = [("chance v0", _label(s), True) for s, _ in drawn if s.role == "chance"]
    start = bottom + 46 + _LINE * (len(svg.lines(chart.x_label, _TITLE)) - 1)
    return start + 20 * len(legend), body + svg.legend(legend, start + 10)


def _row_name(role: str, values: list[float]) -> str:
    """Role and its value, or their number and range, so that print shows what a pointer would."""
    if len(values) == 1:
        return f"{ROLE_NAMES[role]}: {num(values[0])}"
    return f"{len(values)} {ROLE_NAMES[role]}s: {num(values[0])} to {num(values[-1])}"
