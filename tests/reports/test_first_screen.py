"""A reader's test: what the visible text of the first screen alone says, on a phone and on a desktop."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit.certify.issued import Issued
from audit.record.result import AuditResult, Outcome
from reports.formats.html import render_html
from reports.numbers import num
from tests.reports.chromium import Browser
from tests.reports.conftest import example

pytestmark = pytest.mark.slow
SCREENS = [(1280, 800), (390, 844)]
#: the text of every element that lies on the first screen as a whole, in the order of the page
VISIBLE = """(() => {
    const said = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const range = document.createRange();
        range.selectNodeContents(walk.currentNode);
        const boxes = [...range.getClientRects()];
        const whole = boxes.length && boxes.every(b => b.top >= 0 && b.left >= 0 && b.bottom <= innerHeight);
        if (whole) said.push(walk.currentNode.textContent.trim());
    }
    return said.filter(Boolean).join(" ");
})()"""
ISSUED = Issued(on="2026-01-31", until="2026-07-30", name="A. Auditor", role="independent auditor", key="ab" * 32)
RECORDS = [*Outcome, "1.2"]


def record(which: Outcome | str) -> AuditResult:
    if isinstance(which, Outcome):
        return example(which)
    golden = Path(__file__).parents[1] / "golden" / f"run-{which}.json"
    return AuditResult.model_validate_json(golden.read_bytes())


@pytest.mark.parametrize("size", SCREENS, ids=str)
@pytest.mark.parametrize("which", RECORDS, ids=str)
def test_the_first_screen_answers(
    watched: Browser, tmp_path: Path, size: tuple[int, int], which: Outcome | str
) -> None:
    result = record(which)
    path = tmp_path / "report.html"
    path.write_text(render_html(result, issued=ISSUED), encoding="utf-8")
    watched.look(size[0])
    watched.send("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    watched.open(path)
    text = " ".join(watched.evaluate(VISIBLE).split())

    verdict = re.search(r"\b(PASS|FAIL|INCONCLUSIVE)\b", text)
    assert verdict
    assert verdict[1] == result.verdict.outcome
    found = re.search(r"(-?[\d.]+%?)[^()]* \((-?[\d.]+)%? to (-?[\d.]+)%?, \d+% interval\)", text)
    assert found, text
    ends = {num(v, 2) for f in result.findings if f.interval for v in (f.interval.low, f.interval.high)}
    shares = {f"{100 * v:.0f}" for f in result.findings if f.interval for v in (f.interval.low, f.interval.high)}
    assert {found[2], found[3]} <= ends | shares
    why = re.search(r" Why (.+?) Next (.+?) Not tested (.+?) Model: ", f"{text} Model: ")
    assert why, text
    assert why[1].rstrip(".").split(":")[-1].strip().lower() in result.verdict.sentence.lower()
    assert len(why[2]) > 20
    assert result.not_tested[0].rstrip(".") in why[3]
    for words in ("this model", "honest retrain", "original", "margin"):  # of the picture
        assert words in text
    if size[0] > 1000:
        for words in ("2026-01-31", "A. Auditor", "abababababababab"):
            assert words in text


def test_the_page_is_short_and_folded_and_complete_on_paper(watched: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(record("1.2"), issued=ISSUED), encoding="utf-8")
    watched.look(1280)
    watched.open(path)
    assert watched.evaluate("document.documentElement.scrollHeight") <= 10 * 800
    assert watched.evaluate("[...document.querySelectorAll('details.fold')].every(e => !e.open)")
    watched.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert watched.evaluate("[...document.querySelectorAll('details.fold')].every(e => e.open)")
    watched.evaluate("dispatchEvent(new Event('afterprint')); location.hash = '#finding-2'")
    assert watched.evaluate("document.getElementById('finding-2').getClientRects().length") == 1


def test_without_script_all_is_open(watched: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(record("1.2")), encoding="utf-8")
    watched.look(1280, script=False)
    watched.open(path)
    assert path.read_text(encoding="utf-8").count("<details ") == path.read_text(encoding="utf-8").count(" open>")
    watched.look(1280)
