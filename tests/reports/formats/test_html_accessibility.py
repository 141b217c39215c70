"""Accessibility in a real browser: axe-core, and the order of the keyboard."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from audit.record.result import Outcome
from reports.comparison.compare import compare
from reports.comparison.page import render_compare
from reports.formats.html import render_html
from reports.render import Options, render
from tests.reports.chromium import Browser
from tests.reports.example_audit import example
from tests.reports.page import CLAUSE

AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"))
LOOKS = [(width, dark) for width in (1280, 390) for dark in (False, True)]
pytestmark = pytest.mark.slow
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core: npm install --no-save axe-core@4.10.3, or name axe.min.js in AXE_CORE"
)


def violations(browser: Browser) -> list[str]:
    """What axe-core finds, minor or serious. (It does not judge text in pictures: ``test_html_colours`` does.)"""
    browser.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found = json.loads(browser.evaluate("axe.run().then(r => JSON.stringify([r.violations, r.passes.length]))"))
    assert found[1] > 20  # it looked
    return [
        f"{v['id']} ({v['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for v in found[0]
        for node in v["nodes"]
    ]


@needs_axe
@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("outcome", list(Outcome))
def test_axe_finds_nothing(watched: Browser, tmp_path: Path, width: int, dark: bool, outcome: Outcome) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(example(outcome), clauses=(CLAUSE,)), encoding="utf-8")
    watched.look(width, dark=dark)
    watched.open(path)
    assert violations(watched) == []


@needs_axe
@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("name", ["compare", "compliance"])
def test_axe_finds_nothing_on_other_pages(watched: Browser, tmp_path: Path, width: int, dark: bool, name: str) -> None:
    path = tmp_path / f"{name}.html"
    path.write_text(other_page(name), encoding="utf-8")
    watched.look(width, dark=dark)
    watched.open(path)
    assert violations(watched) == []


def other_page(name: str) -> str:
    """A comparison of a re-audit with dates, or all clauses of a FAIL."""
    if name == "compare":
        runs = [example(Outcome.FAIL), example(Outcome.PASS)]
        return render_compare(compare(runs, ["2026-01-31", "2026-02-28"]))
    page = render(example(Outcome.FAIL), "compliance", Options())
    assert isinstance(page, str)
    return page


@needs_axe
def test_axe_finds_nothing_on_paper(watched: Browser, page: Path) -> None:
    watched.look(1000, medium="print")
    watched.open(page)
    assert violations(watched) == []


def test_the_keyboard_goes_through_the_page_in_its_order(watched: Browser, page: Path) -> None:
    watched.look(1280)
    watched.open(page)
    expected = watched.evaluate("""[
        ...document.querySelectorAll('a[href], button, select, input, summary, [tabindex="0"]')]
        .filter(e => e.checkVisibility()).map((e, i) => { e.dataset.at = i; return i; })""")
    visited = []
    for _ in expected:
        watched.press("Tab", 9)
        visited.append(watched.evaluate("Number(document.activeElement.dataset.at ?? -1)"))
        if len(visited) == 1:
            assert watched.evaluate("document.activeElement.className") == "skip"
    assert visited == expected
    watched.evaluate("document.querySelector('#findings details').open = true")
    watched.evaluate("document.querySelectorAll('.findings th button')[5].focus()")
    watched.press("Enter", 13, text="\r")
    assert watched.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == "ascending"
    outline = watched.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
