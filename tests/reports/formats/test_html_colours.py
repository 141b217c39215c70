from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit.record.findings import FindingStatus
from audit.record.result import Outcome
from reports.formats import html as module


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_meet_wcag_aa(theme: int) -> None:
    css = (Path(module.__file__).parents[1] / "templates" / "report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    assert len(blocks) == 2
    v = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[theme]))
    grounds = ["bg", "panel", *(f"{s}-bg" for s in ("pass", "fail", "open", "plain"))]
    for ground in grounds:
        assert contrast(v["ink"], v[ground]) >= 7
        assert contrast(v["soft"], v[ground]) >= 4.5
    assert contrast(v["link"], v["bg"]) >= 4.5
    for status in ("pass", "fail", "open", "plain"):
        assert contrast(v[status], v[f"{status}-bg"]) >= 4.5
    for mark in ("unlearned", "original", "reference", "chance", "edge", "forget", "holdout"):
        assert contrast(v[mark], v["bg"]) >= 3
        assert mark in ("chance", "edge") or contrast(v[mark], v["spread"]) >= 3
        assert mark in ("chance", "edge") or contrast(v[mark], v["spread-reference"]) >= 3
        assert mark == "chance" or contrast(v[mark], v["band"]) >= 3


def test_values_are_legible_on_every_shade() -> None:
    css = (Path(module.__file__).parents[1] / "templates" / "report.css").read_text(encoding="utf-8")
    shades = re.findall(r"\.h(\d) \{ fill: (#[0-9a-f]{6})", css)
    assert [number for number, _ in shades] == list("012345")
    for number, shade in shades:
        assert contrast("#ffffff" if int(number) > 2 else "#17202a", shade) >= 4.5
    light = [luminance(shade) for _, shade in shades]
    assert light == sorted(light, reverse=True)


def test_outcomes_and_statuses_all_have_a_colour_class() -> None:
    css = (Path(module.__file__).parents[1] / "templates" / "report.css").read_text(encoding="utf-8")
    for word in [*Outcome, *FindingStatus]:
        assert f".s-{word.value.lower().replace(' ', '-')}" in css
