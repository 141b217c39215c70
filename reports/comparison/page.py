"""A comparison as one HTML page."""

from __future__ import annotations

from reports.charts.compared import compared_svg
from reports.pages import render_page

from .compare import Comparison


def render_compare(comparison: Comparison) -> str:
    """Render a comparison as one HTML page."""
    return render_page(
        "compare.html.j2", charts=True, c=comparison, picture=compared_svg(comparison.lines, comparison.figure)
    )
