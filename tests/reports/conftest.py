"""Audits for the report tests: one per verdict, one with hostile names, one with nothing in it; and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.record.findings import Gate
from audit.record.inputs import InputRecord
from audit.record.result import AuditResult, Outcome, PolicyRecord, Verdict
from reports.formats.html import render_html
from tests.reports.chromium import CHROMIUM, Browser
from tests.reports.example_audit import example
from tests.reports.example_charts import HOSTILE, dots_chart, hostile_chart, lines_chart
from tests.reports.page import CLAUSE


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One page in a headless Chromium, for all tests of a file."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: install it to render the report")
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(example(Outcome.FAIL), clauses=(CLAUSE,)), encoding="utf-8")
    return path


@pytest.fixture
def watched(browser: Browser) -> Iterator[Browser]:
    """The browser, of which at the end nothing was refused, asked for or complained of."""
    browser.messages.clear()
    yield browser
    assert browser.messages == []


@pytest.fixture(params=list(Outcome), ids=str)
def any_result(request: pytest.FixtureRequest) -> AuditResult:
    """Every verdict in turn."""
    return example(request.param)


@pytest.fixture
def failing() -> AuditResult:
    """A FAIL with findings of every status."""
    return example(Outcome.FAIL)


@pytest.fixture
def hostile() -> AuditResult:
    """Every free text is an attack on the page."""
    result = example(Outcome.FAIL)
    h = HOSTILE
    chart = dots_chart().model_copy(update={"title": h, "x_label": h})
    series = tuple(s.model_copy(update={"name": h}) for s in lines_chart().series)
    curves = lines_chart().model_copy(update={"series": series, "title": h, "x_label": h, "y_label": h})
    record = {"title": h, "name": h, "version": h, "source": h, "reason": h, "details": (h,), "access": h}
    return result.model_copy(
        update={
            "run_id": h, "tool": h, "tool_version": h, "environment": {h: h}, "assumptions": (h,),
            "not_tested": (h,),
            "claim": result.claim.model_copy(update={"public_layers": (h,), "inferred": (h,)}),
            "policy": PolicyRecord(name=h, sha256=h, values={h: {h: [h]}}),
            "inputs": (*result.inputs, InputRecord(role="unlearned", name=h, kind="model", sha256=h, note=h)),
            "attacks": tuple(
                a.model_copy(update={**record, "parameters": {h: h}, "charts": (*own, *map(hostile_chart, a.charts))})
                for a, own in zip(result.attacks, ((chart,), (curves,), (), (), ()), strict=True)
            ),
            "findings": tuple(
                f.model_copy(
                    update={"id": h, "title": h, "unit": h, "access": h, "reason": h, "settle": (h,),
                    "attack": h}
                )
                for f in result.findings
            ),
            "families": tuple(f.model_copy(update={"method": h, "reason": h}) for f in result.families),
            "gates": (Gate(name=h, ok=False, effect=h, reason=h),),
            "utility": result.utility and result.utility.model_copy(update={"reason": h}),
            "verdict": Verdict(outcome=Outcome.FAIL, sentence=h, scope=h, reasons=(h,), settle=(h,)),
        }
    )  # fmt: skip


@pytest.fixture
def bare() -> AuditResult:
    """An audit in which nothing ran: every optional part is absent."""
    result = example(Outcome.INCONCLUSIVE)
    nothing = {"inputs": (), "assumptions": (), "attacks": (), "families": (), "findings": (), "gates": ()}
    verdict = Verdict(outcome=Outcome.INCONCLUSIVE, sentence="Nothing ran.", scope="None.", reasons=())
    return result.model_copy(update={**nothing, "utility": None, "not_tested": (), "verdict": verdict})
