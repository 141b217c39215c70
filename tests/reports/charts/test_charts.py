from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.record.attack_record import Chart, Series
from audit.record.result import AuditResult
from reports.charts.draw import chart_svg
from reports.charts.forest import forest_svg
from reports.charts.svg import Axis

finite = st.floats(allow_nan=False, allow_infinity=False)


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def marks(svg: str, role: str) -> list[ElementTree.Element]:
    found = [e for e in tree(svg).iter() if e.get("class", "").startswith("mark ")]
    return [e for e in found if (e.get("class") or "").split()[1] == role]


def line_points(svg: str, role: str) -> list[list[tuple[float, float]]]:
    lines = [e for e in tree(svg).iter("polyline") if role in (e.get("class") or "").split()]
    pairs = [[p.split(",") for p in (e.get("points") or "").split()] for e in lines]
    return [[(float(x), float(y)) for x, y in line] for line in pairs]


def one(kind: str, x: tuple[float, ...], y: tuple[float, ...], role: str = "unlearned") -> Chart:
    series = Series.model_construct(name="s", role=role, x=x, y=y)
    return Chart.model_construct(kind=kind, title="t", x_label="x", y_label="y", series=(series,))


def test_charts_are_named_described_and_deterministic(failing: AuditResult) -> None:
    for attack in failing.attacks:
        for chart in attack.charts:
            svg = chart_svg(chart, "c1")
            root = tree(svg)
            assert (root.get("role"), root.get("aria-labelledby")) == ("img", "c1-t c1-d")
            assert root.findtext("title") == chart.title
            assert all(s.name in (root.findtext("desc") or "") for s in chart.series)
            assert svg == chart_svg(chart, "c1")
            assert "style" not in svg
            assert not re.search(r"\d\.\d{3}", re.sub(r"<(title|desc|text).*?</\1>", "", svg))


def test_roc_is_drawn_on_log_axes_with_the_chance_diagonal(failing: AuditResult) -> None:
    svg = chart_svg(failing.attacks[0].charts[0])
    (diagonal,) = line_points(svg, "chance")
    assert diagonal == [(66.0, 290.0), (464.0, 26.0)]
    (unlearned,) = line_points(svg, "unlearned")
    assert 40 < len(unlearned) <= 120
    assert unlearned[0][0] == pytest.approx(66 + 398 / 4, abs=0.06)  # FPR 0.001 on axes from 0.0001
    assert unlearned[-1] == (464.0, 26.0)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(unlearned))
    slopes = [(a[1] - b[1]) / (b[0] - a[0]) for a, b in pairwise(unlearned[:50])]
    assert sum(slopes) / len(slopes) == pytest.approx(0.7 * 264 / 398, rel=0.05)  # x**0.7 is straight here
    assert len(line_points(svg, "reference")) == 5
    assert "zero, or no number): 7." in (tree(svg).findtext("desc") or "")


def test_lines_keep_order_and_distinguish_roles_by_shape_dash_and_class(failing: AuditResult) -> None:
    svg = chart_svg(failing.attacks[1].charts[0])
    assert [len(points) for points in line_points(svg, "unlearned")] == [21, 21]
    assert len({e.get("class") for e in tree(svg).iter("polyline")}) == 5
    for points in line_points(svg, "unlearned"):
        assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(points))
    assert {e.tag for e in marks(svg, "unlearned")} == {"circle"}
    shapes = {re.sub(r"M[-\d.]+ [-\d.]+", "", marks(svg, role)[0].get("d") or "") for role in ("original", "reference")}
    assert len(shapes) == 2


def test_dots_show_every_value_in_order_without_overlap(failing: AuditResult) -> None:
    chart = failing.attacks[2].charts[0]
    svg = chart_svg(chart)
    dots = marks(svg, "reference")
    assert (len(marks(svg, "unlearned")), len(marks(svg, "original")), len(dots)) == (1, 1, 6)
    places = [tuple(map(float, re.findall(r"M([-\d.]+) ([-\d.]+)l", e.get("d") or "")[0])) for e in dots]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert len(set(places)) == 6
    scale = (places[5][0] - places[0][0]) / (0.47 - 0.412)
    assert float(marks(svg, "unlearned")[0].get("cx") or 0) == pytest.approx(
        places[0][0] + scale * (0.688 - 0.412), abs=0.1
    )
    labels = [e.text for e in tree(svg).iter("text") if e.get("class") == "label"]
    assert labels == ["unlearned model: 0.688", "original model: 1", "6 retrained references: 0.412 to 0.470"]


@pytest.mark.parametrize("kind", ["lines", "roc", "dots"])
@pytest.mark.parametrize("role", ["unlearned", "chance"])
def test_nothing_to_draw_is_said(kind: str, role: str) -> None:
    svg = chart_svg(one(kind, (), (), role))
    assert "no data" in svg
    assert tree(svg).findtext("desc") == "No data."


def test_degenerate_and_broken_values_are_handled() -> None:
    assert len(marks(chart_svg(one("lines", (1.0,), (2.0,))), "unlearned")) == 2  # the point and the legend
    assert line_points(chart_svg(one("lines", (1.0,), (2.0,))), "unlearned") == []
    flat = line_points(chart_svg(one("lines", (0.0, 1.0), (0.5, 0.5))), "unlearned")
    assert flat[0][0][1] == flat[0][1][1]
    broken = chart_svg(one("lines", (0.0, 1.0, 2.0), (0.1, math.nan, math.inf)))
    assert "nan" not in broken
    assert "no number): 2." in broken
    assert "no data" in chart_svg(one("roc", (0.0, 0.5), (0.5, 0.0)))
    assert len(marks(chart_svg(one("dots", (3.0,) * 9, ())), "unlearned")) == 9


@given(st.lists(finite, min_size=1, max_size=8), st.sampled_from(["lines", "dots", "roc"]))
def test_any_finite_values_give_finite_coordinates_inside_the_picture(values: list[float], kind: str) -> None:
    svg = chart_svg(one(kind, tuple(values), tuple(values)))
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<desc.*?</desc>", "", svg))
    for points in line_points(svg, "unlearned"):
        assert all(-0.1 <= x <= 480.1 and -0.1 <= y <= 400 for x, y in points)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    xs = tuple(float(k) for k in range(5000))
    svg = chart_svg(one("lines", xs, tuple(math.sin(x / 300) for x in xs)))
    (points,) = line_points(svg, "unlearned")
    assert 100 < len(points) <= 120
    axis = Axis(-249.95, 5248.95, 66, 464)
    assert points[0][0] == pytest.approx(axis.at(0), abs=0.06)
    assert points[-1][0] == pytest.approx(axis.at(4999), abs=0.01)


def test_many_references_stay_small(failing: AuditResult) -> None:
    chart = failing.attacks[0].charts[0]
    many = tuple(chart.series[2] for _ in range(100))
    assert len(chart_svg(chart.model_copy(update={"series": (*chart.series[:2], *many)}))) < 100_000


def test_labels_are_escaped(hostile: AuditResult) -> None:
    for svg in [forest_svg(hostile.findings), *(chart_svg(c) for a in hostile.attacks for c in a.charts)]:
        assert "<script" not in svg
        tree(svg)
