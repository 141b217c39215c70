from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.result import AuditResult, Chart, Finding, FindingStatus, Interval, Series
from reports.charts import Axis, chart_svg, forest_svg, interval_text, margin_text, num, p_text, visible

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


def equivalence(low: float, high: float, margin: tuple[float, float] | None) -> Finding:
    return Finding(
        id="a.m", attack="a", metric="m", title="T", kind="equivalence", role="mandatory", access="logits",
        estimate=(low + high) / 2, interval=Interval(low=low, high=high, level=0.9), margin=margin,
        status=FindingStatus.PASS, reason="r",
    )  # fmt: skip


def test_charts_are_named_described_and_deterministic(failing: AuditResult) -> None:
    for attack in failing.attacks:
        if attack.chart:
            svg = chart_svg(attack.chart, "c1")
            root = tree(svg)
            assert (root.get("role"), root.get("aria-labelledby")) == ("img", "c1-t c1-d")
            assert root.findtext("title") == attack.chart.title
            assert all(s.name in (root.findtext("desc") or "") for s in attack.chart.series)
            assert svg == chart_svg(attack.chart, "c1")
            assert "style" not in svg
            assert not re.search(r"\d\.\d{3}", re.sub(r"<(title|desc|text).*?</\1>", "", svg))


def test_roc_is_drawn_on_log_axes_with_the_chance_diagonal(failing: AuditResult) -> None:
    svg = chart_svg(failing.attacks[0].chart)  # type: ignore[arg-type]
    (diagonal,) = line_points(svg, "chance")
    assert diagonal == [(66.0, 290.0), (464.0, 26.0)]
    (unlearned,) = line_points(svg, "unlearned")
    assert 100 < len(unlearned) <= 200
    assert unlearned[0][0] == pytest.approx(66 + 398 / 4, abs=0.01)  # FPR 0.001 on axes from 0.0001
    assert unlearned[-1] == (464.0, 26.0)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(unlearned))
    slopes = [(a[1] - b[1]) / (b[0] - a[0]) for a, b in pairwise(unlearned[:50])]
    assert sum(slopes) / len(slopes) == pytest.approx(0.7 * 264 / 398, rel=0.05)  # x**0.7 is straight here
    assert len(line_points(svg, "reference")) == 5
    assert "zero, or no number): 7." in (tree(svg).findtext("desc") or "")


def test_lines_keep_order_and_distinguish_roles_by_shape_dash_and_class(failing: AuditResult) -> None:
    svg = chart_svg(failing.attacks[1].chart)  # type: ignore[arg-type]
    assert [len(points) for points in line_points(svg, "unlearned")] == [21, 21]
    assert len({e.get("class") for e in tree(svg).iter("polyline")}) == 5
    for points in line_points(svg, "unlearned"):
        assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(points))
    assert {e.tag for e in marks(svg, "unlearned")} == {"circle"}
    shapes = {
        re.sub(r"M[-\d.]+ [-\d.]+", "", marks(svg, role)[0].get("d") or "")
        for role in ("original", "reference")
    }
    assert len(shapes) == 2


def test_dots_show_every_value_in_order_without_overlap(failing: AuditResult) -> None:
    chart = failing.attacks[2].chart
    assert chart
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
    assert labels == ["unlearned model (n = 1)", "original model (n = 1)", "retrained references (n = 6)"]


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
    assert 150 < len(points) <= 200
    axis = Axis(-249.95, 5248.95, 66, 464)
    assert points[0][0] == pytest.approx(axis.at(0), abs=0.01)
    assert points[-1][0] == pytest.approx(axis.at(4999), abs=0.01)


def test_many_references_stay_small(failing: AuditResult) -> None:
    chart = failing.attacks[0].chart
    assert chart
    many = tuple(chart.series[2] for _ in range(100))
    assert len(chart_svg(chart.model_copy(update={"series": (*chart.series[:2], *many)}))) < 100_000


def test_forest_places_intervals_against_the_band(failing: AuditResult) -> None:
    svg = forest_svg(failing.findings)
    drawn = [f for f in failing.findings if f.kind == "equivalence" and f.interval and f.margin]
    bands = [e for e in tree(svg).iter("rect") if e.get("class") == "band"]
    assert len(bands) == len(drawn) == 3
    assert len(marks(svg, "unlearned")) == 4  # three and the legend
    desc = tree(svg).findtext("desc") or ""
    for f in drawn:
        assert f"{f.title}: {num(f.estimate)} {interval_text(f.interval, f.margin)}" in desc
    assert "2 findings without interval or margin are not drawn." in desc
    assert svg.count('class="beyond"') == 2  # control and null of the true-positive rate


@pytest.mark.parametrize(
    ("low", "high", "inside"), [(0.41, 0.59, True), (0.39, 0.55, False), (0.5, 0.61, False)]
)
def test_an_interval_is_inside_the_band_exactly_if_inside_the_margin(
    low: float, high: float, inside: bool
) -> None:
    root = tree(forest_svg([equivalence(low, high, (0.4, 0.6))]))
    band = next(e for e in root.iter("rect"))
    left = float(band.get("x") or 0)
    right = left + float(band.get("width") or 0)
    line = next(e for e in root.iter("line") if e.get("class") == "line unlearned v0")
    assert (left < float(line.get("x1") or 0) and float(line.get("x2") or 0) < right) == inside


def test_forest_without_anything_to_place() -> None:
    assert "no data" in forest_svg([])
    assert "no data" in forest_svg([equivalence(0.1, 0.2, None), equivalence(0.1, 0.2, (0.5, 0.5))])


def test_labels_are_escaped(hostile: AuditResult) -> None:
    for svg in [forest_svg(hostile.findings), *(chart_svg(a.chart) for a in hostile.attacks if a.chart)]:
        assert "<script" not in svg
        tree(svg)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-3, 7), (0.4711, 0.4712), (-1e-7, 1e-7), (1e8, 3e8), (-0.5, 1e4), (99.9, 100.1)],
)
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = Axis(low, high, 0, 1).ticks()
    assert 3 <= len(ticks) <= 7
    assert len({label for _, label in ticks}) == len(ticks)
    for value, label in ticks:
        assert low - 1e-9 * (high - low) <= value <= high + 1e-9 * (high - low)
        assert float(label) == pytest.approx(value, abs=(high - low) * 1e-6)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0"), (-0.0, "0"), (3.0, "3"), (1.0, "1"), (0.5, "0.500"), (0.51234, "0.512"),
        (0.9999, "1.00"), (12345.6, "12346"), (-0.0012345, "-0.00123"), (0.00001234, "1.23e-05"),
        (1.5e20, "1.50e+20"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, text: str) -> None:
    assert num(value) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "–"), (0.0004, "<0.001"), (0.000999, "<0.001"), (0.001, "0.001"), (0.0005, "<0.001"), (0.2134,
        "0.213"),
        (0.05, "0.05"), (0.04999, "0.04999"), (0.050001, "0.050001"), (1.0, "1"), (0.00123, "0.00123"),
    ],
)  # fmt: skip
def test_p_values(p: float | None, text: str) -> None:
    assert p_text(p) == text


def test_rounding_never_moves_an_interval_across_its_margin() -> None:
    inside = Interval(low=0.40004, high=0.59996, level=0.9)
    assert interval_text(inside) == "[0.400, 0.600]"
    assert interval_text(inside, (0.4, 0.6)) == "[0.40004, 0.59996]"
    assert interval_text(Interval(low=0.4, high=0.60001, level=0.9), (0.4, 0.6)) == "[0.400, 0.60001]"
    assert margin_text((0.4, 0.6)) == "(0.4, 0.6)"
    assert (interval_text(None), margin_text(None)) == ("–", "–")


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_num_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    assert float(num(value)) == pytest.approx(value, rel=0.00501)


def test_control_characters_become_visible() -> None:
    assert visible("a\u202eb\x1b[1m\u200bשלום👩\u200d💻\n") == "a\\u202eb\\u001b[1m\\u200bשלום👩\u200d💻\n"
