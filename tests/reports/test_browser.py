"""The report in a real browser: layout, accessibility, security policy, script and print."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from audit.result import AuditResult, Outcome
from reports.html import render_html
from tests.reports.chromium import CHROMIUM, Browser
from tests.reports.conftest import HOSTILE, example

ROOT = Path(__file__).parents[2]
AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
LOOKS = [(width, dark) for width in (1280, 390) for dark in (False, True)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install it to render the report"),
]
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core: npm install --no-save axe-core@4.10.3, or name axe.min.js in AXE_CORE"
)
ROWS = "[...document.querySelectorAll('.findings tr[id]')]"
SHOWN = f"{ROWS}.filter(row => row.getClientRects().length).map(row => row.id)"


class Clause(NamedTuple):
    framework: str = "GDPR"
    clause: str = "Art. 17(1)"
    title: str = "erasure"
    evidence: tuple[str, ...] = ("membership.auc", "gates")
    strength: str = "supporting"
    missing: str = "copies"
    actor: str = "controller"
    certainty: str = "verify before printing"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(autouse=True)
def _in_order(browser: Browser) -> Iterator[None]:
    """Nothing is refused, asked for or complained of, in no test."""
    browser.messages.clear()
    yield
    assert browser.messages == []


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(example(Outcome.FAIL), clauses=(Clause(),)), encoding="utf-8")
    return path


def serious(browser: Browser) -> list[str]:
    """What axe-core finds serious or critical, or cannot decide about contrast."""
    browser.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found = json.loads(browser.evaluate("axe.run().then(r => JSON.stringify([r.violations, r.passes.length]))"))
    assert found[1] > 20  # it looked
    return [
        f"{v['id']}: {node['html'][:200]} {node['failureSummary']}"
        for v in found[0]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


@needs_axe
@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("outcome", list(Outcome))
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, width: int, dark: bool, outcome: Outcome) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(example(outcome), clauses=(Clause(),)), encoding="utf-8")
    browser.look(width, dark=dark)
    browser.open(path)
    assert serious(browser) == []


@needs_axe
def test_axe_finds_nothing_serious_on_paper(browser: Browser, page: Path) -> None:
    browser.look(1000, medium="print")
    browser.open(page)
    assert serious(browser) == []


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_layout(browser: Browser, page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    browser.look(width, dark=dark)
    browser.open(page)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 23, 29)" if dark else "rgb(255, 255, 255)"
    )
    wide = browser.evaluate("""[...document.querySelectorAll('td, th, dd, p, figure, h1, h2, h3, li')]
        .filter(e => e.getBoundingClientRect().right > 0 && e.scrollWidth > e.clientWidth + 1
            && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML.slice(0, 200))""")
    assert wide == []
    for box in browser.evaluate("""[...document.querySelectorAll('svg.chart')].map(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(t => {
                const r = t.getBoundingClientRect();
                return r.left < frame.left - 1 || r.right > frame.right + 1 || r.bottom > frame.bottom + 1;
            }).map(t => svg.querySelector('title').textContent + ': ' + t.textContent)
        })"""):
        assert box == []
    assert browser.screenshot(tmp_path / "page.png")[:8] == b"\x89PNG\r\n\x1a\n"


def test_paper_is_light_and_complete(browser: Browser, page: Path) -> None:
    browser.look(1280, dark=True, medium="print")
    browser.open(page)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("document.getElementById('filter').getClientRects().length") == 0
    assert len(browser.evaluate(SHOWN)) == len(example(Outcome.FAIL).findings)
    document = base64.b64decode(browser.send("Page.printToPDF")["data"])
    assert document.startswith(b"%PDF-")
    assert len(document) > 50_000


def test_the_security_policy_refuses_other_scripts(browser: Browser, page: Path) -> None:
    browser.look(1280)
    browser.open(page)
    ran = browser.evaluate("""(() => {
        const script = document.createElement('script');
        script.textContent = 'window.smuggled = true';
        document.body.append(script);
        return window.smuggled === undefined;
    })()""")
    asked = browser.evaluate("fetch('https://example.org/').then(() => 'answered', () => 'refused')")
    refused = [m for m in browser.messages if "Content Security Policy" in m]
    assert (ran, asked, len(refused) >= 2) == (True, "refused", True), browser.messages
    browser.messages.clear()


@pytest.mark.parametrize("width", [1280, 390])
def test_without_script_everything_is_there(browser: Browser, page: Path, width: int) -> None:
    browser.look(width, script=False)
    browser.open(page)
    root = browser.send("DOM.getDocument", depth=0)["root"]["nodeId"]

    def drawn(selector: str) -> int:
        nodes = browser.send("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
        boxes = [browser.send("CSS.getComputedStyleForNode", nodeId=node)["computedStyle"] for node in nodes]
        return sum({s["name"]: s["value"] for s in box}["display"] != "none" for box in boxes)

    browser.send("DOM.enable")
    browser.send("CSS.enable")
    assert drawn(".findings tr[id]") == len(example(Outcome.FAIL).findings)
    assert drawn("#filter") == drawn(".findings button") == 0
    assert drawn(".findings thead th") == 16
    browser.look(width)


def choose(browser: Browser, field: str, value: str) -> None:
    browser.evaluate(
        f"(e => {{ e.value = {json.dumps(value)}; for (const kind of ['input', 'change']) "
        f"e.dispatchEvent(new Event(kind, {{bubbles: true}})); }})(document.getElementById('filter-{field}'))"
    )


def test_filter_by_status_attack_and_text(browser: Browser, page: Path) -> None:
    findings = example(Outcome.FAIL).findings
    browser.look(1280)
    browser.open(page)

    def live() -> str:
        return str(browser.evaluate("document.getElementById('filter-shown').textContent"))

    assert live() == "10 of 10 findings shown"
    choose(browser, "status", "FAIL")
    expected = [f"finding-{i}" for i, f in enumerate(findings, 1) if f.status == "FAIL"]
    assert sorted(browser.evaluate(SHOWN)) == sorted(expected)
    assert live() == "3 of 10 findings shown"
    choose(browser, "attack", "recovery")
    assert live() == "2 of 10 findings shown"
    choose(browser, "text", "Half of the FORGET set")
    assert browser.evaluate(SHOWN) == ["finding-3"]
    heads = "[...document.querySelectorAll('tr.kind')].filter(row => row.getClientRects().length).length"
    assert browser.evaluate(heads) == 1
    browser.evaluate("document.querySelector('a[href=\"#finding-1\"]').click()")  # a link to a row that is hidden
    assert live() == "10 of 10 findings shown"
    choose(browser, "text", "nothing like this")
    assert live() == "0 of 10 findings shown"
    browser.evaluate("document.getElementById('filter-reset').click()")
    assert live() == "10 of 10 findings shown"
    choose(browser, "status", "PASS")
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(browser.evaluate(SHOWN)) == 10


def test_sort_by_numbers_and_back(browser: Browser, page: Path) -> None:
    findings = {f"finding-{i}": f for i, f in enumerate(example(Outcome.FAIL).findings, 1)}
    browser.look(1280)
    browser.open(page)
    before = browser.evaluate(SHOWN)
    table = "document.querySelector('table.findings')"
    ids = f"[...{table}.querySelectorAll('tr[id]')].map(row => row.id)"
    for direction in ("ascending", "descending"):
        browser.evaluate(f"{table}.querySelectorAll('th button')[1].click()")
        assert browser.evaluate(f"{table}.querySelectorAll('th')[1].getAttribute('aria-sort')") == direction
        values = [findings[i].estimate for i in browser.evaluate(ids)]
        known = [v for v in values if v is not None]
        assert values[: len(known)] == known  # absent ones last
        assert known == sorted(known, reverse=direction == "descending")
        assert direction in browser.evaluate("document.getElementById('filter-shown').textContent")
    browser.evaluate(f"{table}.querySelectorAll('th button')[1].click()")
    assert browser.evaluate(SHOWN) == before
    assert browser.evaluate("document.querySelectorAll('[aria-sort]').length") == 0
    choose(browser, "sort", "6 1")
    order = [findings[i].status.value for i in browser.evaluate(ids)]
    assert order[0] == "FAIL"
    assert order == sorted(order, key=["FAIL", "INCONCLUSIVE", "NOT DETECTED", "PASS"].index)


def test_the_keyboard_goes_through_the_page_in_its_order(browser: Browser, page: Path) -> None:
    browser.look(1280)
    browser.open(page)
    expected = browser.evaluate("""[...document.querySelectorAll('a[href], button, select, input, [tabindex="0"]')]
        .filter(e => e.getClientRects().length).map((e, i) => { e.dataset.at = i; return i; })""")
    visited = []
    for _ in expected:
        browser.press("Tab", 9)
        visited.append(browser.evaluate("Number(document.activeElement.dataset.at ?? -1)"))
        if len(visited) == 1:
            assert browser.evaluate("document.activeElement.className") == "skip"
    assert visited == expected
    browser.evaluate("document.querySelectorAll('.findings th button')[5].focus()")
    browser.press("Enter", 13, text="\r")
    assert browser.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == "ascending"
    outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_hostile_names_are_text_in_the_real_page(browser: Browser, hostile: AuditResult, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(hostile, clauses=(Clause(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)),)), encoding="utf-8")
    browser.look(390)
    browser.open(path)
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.evaluate("document.styleSheets.length") == 1
    handlers = "e => e.getAttributeNames().some(name => name.startsWith('on'))"
    assert browser.evaluate(f"[...document.querySelectorAll('*')].some({handlers})") is False
    assert browser.evaluate("document.querySelectorAll('section').length") == 14
    shown = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\u001b")
    assert browser.evaluate("document.title").endswith(shown)
    names = browser.evaluate("[...document.querySelectorAll('#inputs td.name bdi')].map(e => e.textContent)")
    assert shown in names
    assert shown in browser.evaluate("[...document.getElementById('filter-attack').options].map(o => o.value)")
    choose(browser, "attack", shown)
    assert len(browser.evaluate(SHOWN)) == len(hostile.findings)
    assert browser.evaluate("document.body.textContent.match(/[\\u202a-\\u202e\\u2066-\\u2069]/)") is None
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
