"""Score distributions: forget over holdout, one panel a model, on a common x axis."""

from __future__ import annotations

from itertools import pairwise

from markupsafe import Markup

from audit.record.attack_record import Chart

from . import svg
from .series import ROLE_NAMES, ROWS, Drawn, Points, extra, x_title, y_title

_PANEL, _HEAD = 96.0, 26.0  # height of a panel, and of the line with its name


def histogram(chart: Chart, drawn: Drawn) -> tuple[float, list[Markup]]:
    """Height and parts; every panel has its own scale of densities, which begins at 0."""
    top = 14.0 + extra(chart.y_label)
    left, right = 66.0, svg.WIDTH - 16
    x_axis = svg.Axis(min(s.x[0] for s, _ in drawn), max(s.x[-1] for s, _ in drawn), left, right)
    body = y_title(chart.y_label, top + 12)
    for role in (role for role in ROWS if any(s.role == role for s, _ in drawn)):
        inside = [s for s, _ in drawn if s.role == role]
        bottom = top + _HEAD + _PANEL
        y_axis = svg.Axis(0.0, max(max(s.y) for s in inside) * 1.05 or 1.0, bottom, top + _HEAD)
        body.append(svg.text(left, top + 18, _name(role, inside[0].name), "label"))
        for value, words in y_axis.ticks()[::2]:
            body.append(svg.line("grid", left, y_axis.at(value), right, y_axis.at(value)))
            body.append(svg.text(left - 7, y_axis.at(value) + 4, words, "tick", anchor="end", limit=9))
        for series in sorted(inside, key=lambda s: s.side):
            outline = _steps(series.x, series.y, x_axis, y_axis)
            template = Markup('<polyline class="line {}" points="{}"/>')
            body.append(template.format(series.side, svg.path(outline)))
        body.append(svg.line("axis", left, bottom, right, bottom))
        top = bottom
    for value, words in x_axis.ticks():
        body.append(svg.text(x_axis.at(value), top + 17, words, "tick", anchor="middle", limit=9))
    body += x_title(chart.x_label, (left + right) / 2, top)
    start = top + 60 + extra(chart.x_label)
    for row, (side, words) in enumerate((("forget", "forget examples"), ("holdout", "holdout examples"))):
        body.append(svg.line(f"line {side}", 12, start + 20 * row, 48, start + 20 * row))
        body.append(svg.text(58, start + 20 * row + 4, words, "key"))
    return start + 40, body


def _name(role: str, name: str) -> str:
    return ROLE_NAMES[role] if name == role else f"{name} ({ROLE_NAMES[role].removeprefix('retrained ')})"


def _steps(edges: tuple[float, ...], densities: tuple[float, ...], x_axis: svg.Axis, y_axis: svg.Axis) -> Points:
    """The outline of the bars, from the axis and back to it."""
    outline: Points = [(x_axis.at(edges[0]), y_axis.at(0))]
    for (a, b), density in zip(pairwise(edges), densities, strict=True):
        outline += [(x_axis.at(a), y_axis.at(density)), (x_axis.at(b), y_axis.at(density))]
    return [*outline, (x_axis.at(edges[-1]), y_axis.at(0))]
