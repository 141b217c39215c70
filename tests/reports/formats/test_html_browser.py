"""The report in a real browser: layout, security policy, script and print."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from audit.record.result import AuditResult, Outcome
from reports.formats.html import render_html
from tests.reports.chromium import Browser
from tests.reports.example_audit import example
from tests.reports.example_charts import HOSTILE
from tests.reports.page import Clause

LOOKS = [(width, dark) for width in (1280, 390) for dark in (False, True)]
pytestmark = pytest.mark.slow
ROWS = "[...document.querySelectorAll('.findings tr[id]')]"
SHOWN = f"{ROWS}.filter(row => row.getClientRects().length).map(row => row.id)"


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_layout(watched: Browser, page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    watched.look(width, dark=dark)
    watched.open(page)
    assert watched.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 23, 29)" if dark else "rgb(255, 255, 255)"
    )
    wide = watched.evaluate("""[...document.querySelectorAll('td, th, dd, p, figure, h1, h2, h3, li')]
        .filter(e => e.getBoundingClientRect().right > 0 && e.scrollWidth > e.clientWidth + 1
            && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML.slice(0, 200))""")
    assert wide == []
    for box in watched.evaluate("""[...document.querySelectorAll('svg.chart')].map(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(t => {
                const r = t.getBoundingClientRect();
                return r.left < frame.left - 1 || r.right > frame.right + 1 || r.bottom > frame.bottom + 1;
            }).map(t => svg.querySelector('title').textContent + ': ' + t.textContent)
        })"""):
        assert box == []
    assert watched.screenshot(tmp_path / "page.png")[:8] == b"\x89PNG\r\n\x1a\n"


def test_paper_is_light_and_complete(watched: Browser, page: Path) -> None:
    watched.look(1280, dark=True, medium="print")
    watched.open(page)
    assert watched.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert watched.evaluate("document.getElementById('filter').getClientRects().length") == 0
    assert len(watched.evaluate(SHOWN)) == len(example(Outcome.FAIL).findings)
    document = base64.b64decode(watched.send("Page.printToPDF")["data"])
    assert document.startswith(b"%PDF-")
    assert len(document) > 50_000


def test_the_security_policy_refuses_other_scripts(watched: Browser, page: Path) -> None:
    watched.look(1280)
    watched.open(page)
    ran = watched.evaluate("""(() => {
        const script = document.createElement('script');
        script.textContent = 'window.smuggled = true';
        document.body.append(script);
        return window.smuggled === undefined;
    })()""")
    asked = watched.evaluate("fetch('https://example.org/').then(() => 'answered', () => 'refused')")
    refused = [m for m in watched.messages if "Content Security Policy" in m]
    assert (ran, asked, len(refused) >= 2) == (True, "refused", True), watched.messages
    watched.messages.clear()


@pytest.mark.parametrize("width", [1280, 390])
def test_without_script_everything_is_there(watched: Browser, page: Path, width: int) -> None:
    watched.look(width, script=False)
    watched.open(page)
    root = watched.send("DOM.getDocument", depth=0)["root"]["nodeId"]

    def drawn(selector: str) -> int:
        nodes = watched.send("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
        boxes = [watched.send("CSS.getComputedStyleForNode", nodeId=node)["computedStyle"] for node in nodes]
        return sum({s["name"]: s["value"] for s in box}["display"] != "none" for box in boxes)

    watched.send("DOM.enable")
    watched.send("CSS.enable")
    assert drawn(".findings tr[id]") == len(example(Outcome.FAIL).findings)
    assert drawn("#filter") == drawn(".findings button") == 0
    assert drawn(".findings thead th") == 16
    watched.look(width)


def choose(browser: Browser, field: str, value: str) -> None:
    browser.evaluate(
        f"(e => {{ e.value = {json.dumps(value)}; for (const kind of ['input', 'change']) "
        f"e.dispatchEvent(new Event(kind, {{bubbles: true}})); }})(document.getElementById('filter-{field}'))"
    )


def test_filter_by_status_attack_and_text(watched: Browser, page: Path) -> None:
    findings = example(Outcome.FAIL).findings
    watched.look(1280)
    watched.open(page)

    def live() -> str:
        return str(watched.evaluate("document.getElementById('filter-shown').textContent"))

    assert live() == "10 of 10 findings shown"
    choose(watched, "status", "FAIL")
    expected = [f"finding-{i}" for i, f in enumerate(findings, 1) if f.status == "FAIL"]
    assert sorted(watched.evaluate(SHOWN)) == sorted(expected)
    assert live() == "3 of 10 findings shown"
    choose(watched, "attack", "recovery")
    assert live() == "2 of 10 findings shown"
    choose(watched, "text", "Half of the FORGET set")
    assert watched.evaluate(SHOWN) == ["finding-3"]
    heads = "[...document.querySelectorAll('tr.kind')].filter(row => row.getClientRects().length).length"
    assert watched.evaluate(heads) == 1
    watched.evaluate("document.querySelector('a[href=\"#finding-1\"]').click()")  # a link to a row that is hidden
    assert live() == "10 of 10 findings shown"
    choose(watched, "text", "nothing like this")
    assert live() == "0 of 10 findings shown"
    watched.evaluate("document.getElementById('filter-reset').click()")
    assert live() == "10 of 10 findings shown"
    choose(watched, "status", "PASS")
    watched.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(watched.evaluate(SHOWN)) == 10


def test_sort_by_numbers_and_back(watched: Browser, page: Path) -> None:
    findings = {f"finding-{i}": f for i, f in enumerate(example(Outcome.FAIL).findings, 1)}
    watched.look(1280)
    watched.open(page)
    before = watched.evaluate(SHOWN)
    table = "document.querySelector('table.findings')"
    ids = f"[...{table}.querySelectorAll('tr[id]')].map(row => row.id)"
    for direction in ("ascending", "descending"):
        watched.evaluate(f"{table}.querySelectorAll('th button')[1].click()")
        assert watched.evaluate(f"{table}.querySelectorAll('th')[1].getAttribute('aria-sort')") == direction
        values = [findings[i].estimate for i in watched.evaluate(ids)]
        known = [v for v in values if v is not None]
        assert values[: len(known)] == known  # absent ones last
        assert known == sorted(known, reverse=direction == "descending")
        assert direction in watched.evaluate("document.getElementById('filter-shown').textContent")
    watched.evaluate(f"{table}.querySelectorAll('th button')[1].click()")
    assert watched.evaluate(SHOWN) == before
    assert watched.evaluate("document.querySelectorAll('[aria-sort]').length") == 0
    choose(watched, "sort", "6 1")
    order = [findings[i].status.value for i in watched.evaluate(ids)]
    assert order[0] == "FAIL"
    assert order == sorted(order, key=["FAIL", "INCONCLUSIVE", "NOT DETECTED", "PASS"].index)


def test_hostile_names_are_text_in_the_real_page(watched: Browser, hostile: AuditResult, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(
        render_html(hostile, clauses=(Clause(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), HOSTILE, HOSTILE, HOSTILE),)),
        encoding="utf-8",
    )
    watched.look(390)
    watched.open(path)
    assert watched.evaluate("document.scripts.length") == 1
    assert watched.evaluate("document.styleSheets.length") == 1
    handlers = "e => e.getAttributeNames().some(name => name.startsWith('on'))"
    assert watched.evaluate(f"[...document.querySelectorAll('*')].some({handlers})") is False
    assert watched.evaluate("document.querySelectorAll('section').length") >= 14
    shown = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\u001b")
    assert watched.evaluate("document.title").endswith(shown)
    names = watched.evaluate("[...document.querySelectorAll('#inputs td.name bdi')].map(e => e.textContent)")
    assert shown in names
    assert shown in watched.evaluate("[...document.getElementById('filter-attack').options].map(o => o.value)")
    choose(watched, "attack", shown)
    assert len(watched.evaluate(SHOWN)) == len(hostile.findings)
    assert watched.evaluate("document.body.textContent.match(/[\\u202a-\\u202e\\u2066-\\u2069]/)") is None
    assert watched.evaluate("document.documentElement.scrollWidth") <= 390
