from __future__ import annotations

from xml.etree import ElementTree

import pytest

from audit.record.findings import Finding, FindingStatus, Interval
from audit.record.result import AuditResult
from reports.charts.forest import forest_svg, in_margins
from reports.numbers import interval_text, num


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def marks(svg: str, role: str) -> list[ElementTree.Element]:
    found = [e for e in tree(svg).iter() if e.get("class", "").startswith("mark ")]
    return [e for e in found if (e.get("class") or "").split()[1] == role]


def equivalence(low: float, high: float, margin: tuple[float, float] | None) -> Finding:
    return Finding(
        id="a.m", attack="a", metric="m", title="T", kind="equivalence", role="mandatory", access="logits",
        estimate=(low + high) / 2, interval=Interval(low=low, high=high, level=0.9), margin=margin,
        status=FindingStatus.PASS, reason="r",
    )  # fmt: skip


def test_forest_places_intervals_against_the_band(failing: AuditResult) -> None:
    svg = forest_svg(failing.findings)
    drawn = [f for f in failing.findings if f.kind == "equivalence" and f.interval and f.margin]
    bands = [e for e in tree(svg).iter("rect") if e.get("class") == "band"]
    assert len(bands) == len(drawn) == 3
    assert len(marks(svg, "unlearned")) == 4  # three and the legend
    desc = tree(svg).findtext("desc") or ""
    for f in drawn:
        assert f"{f.id}, {f.title}: {num(f.estimate)} {interval_text(f.interval, f.margin)}" in desc
    assert "2 findings without interval or margin are not drawn." in desc
    assert svg.count('class="beyond"') == 0
    assert forest_svg([equivalence(0.1, 0.2, (0.49, 0.51))]).count('class="beyond"') == 3  # both ends, estimate


def test_the_band_of_a_rate_begins_at_zero() -> None:
    finding = equivalence(0.0, 0.1, (0.0, 0.15))
    assert (in_margins(finding, 0.0), in_margins(finding, 0.15)) == (0, 1)
    root = tree(forest_svg([finding]))
    middle = next(e for e in root.iter("text") if e.text == "0")
    assert next(root.iter("rect")).get("x") == middle.get("x")
    assert sum(e.get("class") == "edge" for e in root.iter("line")) == 1


@pytest.mark.parametrize(("low", "high", "inside"), [(0.41, 0.59, True), (0.39, 0.55, False), (0.5, 0.61, False)])
def test_an_interval_is_inside_the_band_exactly_if_inside_the_margin(low: float, high: float, inside: bool) -> None:
    root = tree(forest_svg([equivalence(low, high, (0.4, 0.6))]))
    band = next(e for e in root.iter("rect"))
    left = float(band.get("x") or 0)
    right = left + float(band.get("width") or 0)
    line = next(e for e in root.iter("line") if e.get("class") == "line unlearned v0")
    assert (left < float(line.get("x1") or 0) and float(line.get("x2") or 0) < right) == inside


def test_forest_without_anything_to_place() -> None:
    assert "no data" in forest_svg([])
    assert "no data" in forest_svg([equivalence(0.1, 0.2, None), equivalence(0.1, 0.2, (0.5, 0.5))])
