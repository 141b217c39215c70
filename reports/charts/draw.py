"""The charts of attacks: one picture for each record, by kind, with the same content in words."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from audit.record.attack_record import Chart

from . import svg
from .curves import curves
from .describe import in_words
from .dots import dots
from .histogram import histogram
from .series import Drawn, points
from .tiles import grid, heatmap

_Draw = Callable[[Chart, Drawn], tuple[float, list[Markup]]]
_DRAW: dict[str, _Draw] = {
    "lines": curves,
    "roc": curves,
    "dots": dots,
    "histogram": histogram,
    "heatmap": heatmap,
    "grid": grid,
}


def chart_svg(chart: Chart, uid: str = "chart") -> Markup:
    """Draw one chart of an attack.

    Args:
        chart: what to draw; points that are not finite (or not positive on logarithmic axes) are left out and
            counted in the description.
        uid: prefix of the element ids, unique within the page.
    """
    drawn = [(s, p) for s in chart.series for p in [points(s, chart.kind)] if p or s.pixels]
    if not any(s.role != "chance" for s, _ in drawn):
        return svg.nothing(uid, chart.title, "No data.")
    height, body = _DRAW[chart.kind](chart, drawn)
    return svg.picture(uid, chart.title, in_words(chart, drawn), height, body)
