"""What all charts share: names of models, the points of a series that can be drawn, axis titles."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from audit.record.attack_record import Series

from . import svg

ROLE_NAMES = {
    "unlearned": "unlearned model",
    "original": "original model",
    "reference": "retrained reference",
    "chance": "chance",
}
ROWS = ("unlearned", "original", "reference")
LINE = 16.0  # between the lines of a title
TITLE = 60  # columns of a title
_SMALLEST = 1e-12  # on logarithmic axes
Points = list[tuple[float, float]]
Drawn = Sequence[tuple[Series, Points]]


def points(series: Series, kind: str) -> Points:
    """The points of a series that its axes can show."""
    if kind == "dots":
        pairs = [(v, 0.0) for v in series.x]
    elif kind == "heatmap":
        pairs = list(enumerate(series.y))
    else:
        pairs = list(zip(series.x, series.y, strict=False))
    finite = [(x, y) for x, y in pairs if abs(x) <= svg.LARGEST and abs(y) <= svg.LARGEST]
    if kind == "histogram" and (len(finite) < len(series.y) or abs(series.x[-1]) > svg.LARGEST):
        return []
    if kind != "roc":
        return finite
    shown = [(x, y) for x, y in finite if _SMALLEST <= x <= 1 and _SMALLEST <= y <= 1]
    return shown or ([(1.0, 1.0)] if series.role == "chance" else [])


def label(series: Series) -> str:
    """What a series is called: its own name with its model, or the model."""
    role = ROLE_NAMES[series.role]
    short = role.removeprefix("retrained ")  # "retrained/0 (reference)"
    name = role if series.name in {role, series.role} else f"{series.name} ({short})"
    return f"{name}, {series.side}" if series.side else name


def thin(given: Points, limit: int) -> Points:
    """Keep at most ``limit`` points, evenly along the drawn line, the first and the last among them."""
    if len(given) <= limit:
        return given
    travelled = [0.0]
    for a, b in pairwise(given):
        travelled.append(travelled[-1] + math.dist(a, b))
    targets = [travelled[-1] * k / (limit - 1) for k in range(limit)]
    kept = {min(bisect_left(travelled, t), len(given) - 1) for t in targets} - {len(given) - 1}
    return [given[i] for i in sorted(kept)[: limit - 1]] + given[-1:]


def extra(title: str) -> float:
    """Pixels that the second line of an axis title needs."""
    return LINE * (len(svg.lines(title, TITLE)) - 1)


def x_title(title: str, x: float, bottom: float) -> list[Markup]:
    """The title below the x axis."""
    return [
        svg.text(x, bottom + 36 + LINE * row, words, "axis-title", anchor="middle", limit=TITLE)
        for row, words in enumerate(svg.lines(title, TITLE))
    ]


def y_title(title: str, top: float) -> list[Markup]:
    """The title above the y axis."""
    return [
        svg.text(4, top - 12 - LINE * row, words, "axis-title", limit=TITLE)
        for row, words in enumerate(reversed(svg.lines(title, TITLE)))
    ]
