"""One value per model: a row of marks for each role on a common axis."""

from __future__ import annotations

import math

from markupsafe import Markup

from audit.record.attack_record import Chart
from reports.numbers import num

from . import svg
from .series import ROLE_NAMES, ROWS, Drawn, extra, label, x_title

_LANES = (0.0, -11.0, 11.0, -5.5, 5.5)


def dots(chart: Chart, drawn: Drawn) -> tuple[float, list[Markup]]:
    """Height and parts of the picture; values that would overlap are moved into lanes."""
    roles = [role for role in ROWS if any(s.role == role for s, _ in drawn)]
    axis = svg.linear([x for _, points in drawn for x, _ in points], 16, svg.WIDTH - 16)
    pitch, top = 66.0, 10.0
    bottom = top + pitch * len(roles)
    body: list[Markup] = []
    for value, words in axis.ticks():
        body.append(svg.line("grid", axis.at(value), bottom, axis.at(value), top))
        body.append(svg.text(axis.at(value), bottom + 17, words, "tick", anchor="middle", limit=9))
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
    body += x_title(chart.x_label, svg.WIDTH / 2, bottom)
    legend = [("chance v0", label(s), True) for s, _ in drawn if s.role == "chance"]
    start = bottom + 46 + extra(chart.x_label)
    return start + 20 * len(legend), body + svg.legend(legend, start + 10)


def _row_name(role: str, values: list[float]) -> str:
    """Role and its value, or their number and range, so that print shows what a pointer would."""
    if len(values) == 1:
        return f"{ROLE_NAMES[role]}: {num(values[0])}"
    return f"{len(values)} {ROLE_NAMES[role]}s: {num(values[0])} to {num(values[-1])}"
