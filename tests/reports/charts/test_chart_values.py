"""The page draws what run.json holds: marks and lines are read back through the tick labels."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
import zlib
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from audit.record.result import AuditResult, to_json
from reports.formats.html import render_html

Element = ElementTree.Element


def pictures(result: AuditResult) -> dict[str, Element]:
    """The charts of the page by their id."""
    found = re.findall(r'<svg class="chart".*?</svg>', render_html(result), re.S)
    roots = [ElementTree.fromstring(svg) for svg in found]
    return {(root.get("aria-labelledby") or "").split("-t ")[0]: root for root in roots}


def scale(root: Element, anchor: str, coordinate: str, log: bool) -> tuple[float, float]:
    """Slope and offset from pixels to values (or their logarithms), from the tick labels alone."""
    ticks = [e for e in root.iter("text") if e.get("class") == "tick" and e.get("text-anchor") == anchor]
    ticks = [e for e in ticks if re.fullmatch(r"[-+.\de]+", e.text or "")]  # the others are names of positions
    pixels = [float(e.get(coordinate) or 0) for e in ticks]
    values = [float(e.text or "nan") for e in ticks]
    slope, offset = np.polyfit(pixels, [math.log10(v) for v in values] if log else values, 1)
    return float(slope), float(offset)


def centre(mark: Element) -> tuple[float, float]:
    if mark.tag == "circle":
        return float(mark.get("cx") or 0), float(mark.get("cy") or 0)
    x, y = re.findall(r"M([-\d.]+) ([-\d.]+)l", mark.get("d") or "")[0]
    return float(x), float(y) + 6


def marks(root: Element, role: str) -> list[tuple[float, float]]:
    """Centres of the marks of a role, without those of the legend."""
    found = [e for e in root.iter() if (e.get("class") or "").startswith(f"mark {role}")]
    return [place for place in map(centre, found) if place[0] != 30.0]


def documents(result: AuditResult) -> dict[str, Any]:
    document = json.loads(to_json(result))
    charts = {
        f"chart-{i}-{k}": chart
        for i, attack in enumerate(document["attacks"], 1)
        for k, chart in enumerate(attack["charts"], 1)
    }
    return {"run": document, **charts}


@pytest.mark.parametrize("number", [1, 2])
def test_curves(failing: AuditResult, number: int) -> None:
    chart = documents(failing)[f"chart-{number}-1"]
    root = pictures(failing)[f"chart-{number}-1"]
    log = chart["kind"] == "roc"
    x_slope, x_offset = scale(root, "middle", "x", log)
    y_slope, y_offset = scale(root, "end", "y", log)  # labels stand 4 px below their line
    checked = 0
    for role in ("unlearned", "original"):
        lines = [e for e in root.iter("polyline") if role in (e.get("class") or "").split()]
        series = [s for s in chart["series"] if s["role"] == role]
        assert len(lines) == len(series)
        for line, one in zip(lines, series, strict=True):
            xs, ys = np.array(one["x"]), np.array(one["y"])
            for pair in (line.get("points") or "").split():
                px, py = map(float, pair.split(","))
                x, y = x_slope * px + x_offset, y_slope * (py + 4) + y_offset
                x, y = (10**x, 10**y) if log else (x, y)
                nearest = int(np.abs(np.log(np.maximum(xs, 1e-9) / x) if log else xs - x).argmin())
                assert x == pytest.approx(xs[nearest], rel=0.01, abs=0.2)
                assert y == pytest.approx(ys[nearest], rel=0.01, abs=0.002)
                checked += 1
    assert checked > 40


def test_dots(failing: AuditResult) -> None:
    chart, root = documents(failing)["chart-3-1"], pictures(failing)["chart-3-1"]
    slope, offset = scale(root, "middle", "x", log=False)
    for series in chart["series"]:
        drawn = [slope * x + offset for x, _ in marks(root, series["role"])]
        assert drawn == pytest.approx(sorted(series["x"]), abs=1e-4)


def test_forest(failing: AuditResult) -> None:
    findings = [f for f in documents(failing)["run"]["findings"] if f["kind"] == "equivalence"]
    findings = [f for f in findings if f["interval"] and f["margin"]]
    root = pictures(failing)["forest"]
    slope, offset = scale(root, "middle", "x", log=False)
    assert len(findings) == 3
    for f in findings:
        label = next(e for e in root.iter("text") if e.get("class") == "label" and e.text == f["id"])
        row = float(label.get("y") or 0) + 34  # marks stand below their name
        low, high = f["margin"]

        def value(x: float, low: float = low, high: float = high) -> float:
            place = slope * x + offset
            return place * high if low == 0 else (low + high) / 2 + place * (high - low) / 2

        for role, expected in (
            ("unlearned", f["estimate"]),
            ("original", f["control"]),
            ("reference", f["null"]["mean"]),
        ):
            (drawn,) = [value(x) for x, y in marks(root, role) if abs(y - row) < 1]
            assert drawn == pytest.approx(expected, abs=5e-4)
        lines = [e for e in root.iter("line") if e.get("class") == "line unlearned v0" and e.get("y1") == f"{row:g}"]
        ends = [value(float(lines[0].get(k) or 0)) for k in ("x1", "x2")]
        assert ends == pytest.approx([f["interval"]["low"], f["interval"]["high"]], abs=5e-4)
        band = next(e for e in root.iter("rect") if float(e.get("y") or 0) == row - 11)
        left = float(band.get("x") or 0)
        edges = [value(left), value(left + float(band.get("width") or 0))]
        assert edges == pytest.approx([low, high], abs=5e-4)


def polygon(root: Element, kind: str, role: str) -> list[tuple[float, float]]:
    found = next(e for e in root.iter(kind) if role in (e.get("class") or "").split())
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in (found.get("points") or "").split())]


@pytest.mark.parametrize(("number", "role", "log"), [("1-1", "unlearned", True), ("2-2", "reference", False)])
def test_bands(failing: AuditResult, number: str, role: str, log: bool) -> None:
    chart, root = documents(failing)[f"chart-{number}"], pictures(failing)[f"chart-{number}"]
    series = next(s for s in chart["series"] if s["role"] == role)
    y_slope, y_offset = scale(root, "end", "y", log)
    if log:
        x_slope, x_offset = scale(root, "middle", "x", log)
    else:  # named positions: the grid lines stand at them
        lines = [float(e.get("x1") or 0) for e in root.iter("line") if e.get("class") == "grid"]
        x_slope = 9 / (lines[-1] - lines[-4])
        x_offset = -x_slope * lines[-4]
    outline = polygon(root, "polygon", "spread")
    half = outline.index(max(outline, key=lambda place: place[0])) + 1
    assert min(half, len(outline) - half) >= 10
    for ends, key in ((outline[:half], "high"), (outline[half:], "low")):
        for px, py in ends:
            x, y = x_slope * px + x_offset, y_slope * (py + 4) + y_offset
            x, y = (10**x, 10**y) if log else (x, y)
            at = int(np.abs((np.log(np.maximum(series["x"], 1e-9) / x)) if log else np.array(series["x"]) - x).argmin())
            if log and series[key][at] < 1.01e-4:
                continue  # cut at the edge of the axes
            assert y == pytest.approx(series[key][at], rel=0.02, abs=0.002)


def test_named_positions_stand_below_a_profile(failing: AuditResult) -> None:
    chart, root = documents(failing)["chart-2-2"], pictures(failing)["chart-2-2"]
    shown = [e.text for e in root.iter("text") if e.get("class") == "tick" and "block" in (e.text or "")]
    assert shown == chart["ticks"][::3]
    assert all(name in (root.findtext("desc") or "") for name in chart["ticks"])


def test_histograms(failing: AuditResult) -> None:
    chart, root = documents(failing)["chart-1-2"], pictures(failing)["chart-1-2"]
    x_slope, x_offset = scale(root, "middle", "x", log=False)
    ticks = [e for e in root.iter("text") if e.get("class") == "tick" and e.get("text-anchor") == "end"]
    outlines = [
        [tuple(map(float, pair.split(","))) for pair in (e.get("points") or "").split()] for e in root.iter("polyline")
    ]
    assert len(outlines) == len(chart["series"]) == 6
    for number, (outline, series) in enumerate(zip(outlines, chart["series"], strict=True)):
        bottom, top = outline[0][1], outline[0][1] - 96
        own = [(float(e.get("y") or 0) - 4, float(e.text or 0)) for e in ticks if top - 1 <= float(e.get("y") or 0) - 4]
        own = [(y, value) for y, value in own if y <= bottom + 1]
        assert (bottom, 0.0) in own, number
        slope = (own[0][1] - own[-1][1]) / (own[0][0] - own[-1][0])
        edges = [x_slope * x + x_offset for x, _ in outline[1:-1:2]] + [x_slope * outline[-1][0] + x_offset]
        assert edges == pytest.approx(series["x"], abs=0.01)
        assert [slope * (y - bottom) for _, y in outline[1:-1:2]] == pytest.approx(series["y"], abs=0.002)
    classes = [e.get("class") for e in root.iter("polyline")]
    assert classes == ["line forget", "line holdout"] * 3


def test_a_heatmap_writes_every_value_on_its_shade(failing: AuditResult) -> None:
    chart, root = documents(failing)["chart-3-2"], pictures(failing)["chart-3-2"]
    values = [y for s in chart["series"] for y in s["y"]]
    cells = [e for e in root.iter("text") if (e.get("class") or "").startswith("value")]
    assert [float(e.text or "nan") for e in cells] == pytest.approx(values, abs=1e-3)
    shades = [int((e.get("class") or "")[-1]) for e in cells]
    assert [s for _, s in sorted(zip(values, shades, strict=True))] == sorted(shades)
    assert (min(shades), max(shades)) == (0, 5)
    drawn = [(e.get("d") or "").count("z") for e in root.iter("path")]
    assert sum(drawn) == len(values) + 6  # and the legend's


def test_a_grid_holds_the_pixels(failing: AuditResult) -> None:
    chart, root = documents(failing)["chart-3-3"], pictures(failing)["chart-3-3"]
    images = list(root.iter("image"))
    assert len(images) == len(chart["series"]) == 4
    for image, series in zip(images, chart["series"], strict=True):
        content = base64.b64decode((image.get("href") or "").removeprefix("data:image/png;base64,"))
        width, height = struct.unpack(">II", content[16:24])
        start = content.index(b"IDAT")
        (size,) = struct.unpack(">I", content[start - 4 : start])
        rows = zlib.decompress(content[start + 4 : start + 4 + size])
        assert len(rows) == height * (width + 1)
        pixels = b"".join(rows[i + 1 : i + width + 1] for i in range(0, len(rows), width + 1))
        assert (width, pixels.hex()) == (series["width"], series["pixels"])
