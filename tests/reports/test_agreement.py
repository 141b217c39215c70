"""No format reads better than run.json, whatever the findings are."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from audit.record.findings import Finding, FindingStatus, Gate, Interval
from audit.record.result import AuditResult, Outcome, Verdict
from reports.clause_rules import Level
from reports.clauses import clauses
from reports.comparison.compare import compare
from reports.formats import mlflow
from reports.formats.compliance import render_compliance_html, render_compliance_markdown
from reports.formats.html import render_html
from reports.formats.junit import render_junit
from reports.formats.markdown import render_markdown
from reports.formats.model_card import render_model_card
from reports.formats.sarif import render_sarif
from reports.formats.terminal import render_terminal
from tests.reports.conftest import example

WORDS = {
    ("PASS", ""): "PASS",
    ("PASS", "with trace"): "PASS WITH TRACE",
    ("PASS", "identical to a retrain"): "PASS (IDENTICAL TO A RETRAIN)",
    ("PASS", "transfer"): "PASS (TRANSFER)",
    ("FAIL", ""): "FAIL",
    ("INCONCLUSIVE", ""): "INCONCLUSIVE",
}
number = st.none() | st.floats(-10, 10, allow_nan=False)


@st.composite
def finding(draw: Any, position: int) -> Finding:
    low = draw(number)
    return Finding(
        id=f"a{position}.m",
        attack=draw(st.sampled_from(["membership", "probe", "feature_mapping", "rmia", "structure"])),
        metric=f"m{position}",
        title="A figure",
        kind=draw(st.sampled_from(["difference", "equivalence", "structural", "input", "execution", "exploratory"])),
        role=draw(st.sampled_from(["mandatory", "primary", "supplementary"])),
        access="logits",
        estimate=draw(number),
        interval=None if low is None else Interval(low=low, high=low + 1, level=0.9),
        control=draw(number),
        margin=draw(st.none() | st.just((-0.1, 0.1))),
        p=draw(st.none() | st.floats(0, 1)),
        status=draw(st.sampled_from(list(FindingStatus))),
        reason="because",
    )


@st.composite
def runs(draw: Any) -> AuditResult:
    outcome, qualifier = draw(st.sampled_from(list(WORDS)))
    word = WORDS[outcome, qualifier]
    found = tuple(draw(finding(k)) for k in range(draw(st.integers(0, 5))))
    broken = any(f.status is FindingStatus.ERROR for f in found)
    verdict = Verdict(
        outcome=Outcome(outcome), qualifier=qualifier, sentence=f"{word}: it is so.", scope="Scope.", reasons=("why",)
    )
    gate = Gate(name="attacks ran", ok=not broken, effect="blocks PASS", reason="failed" if broken else "all ran")
    return example(Outcome.FAIL).model_copy(update={"findings": found, "gates": (gate,), "verdict": verdict})


def cases(text: str) -> dict[str, list[str]]:
    """Test cases of a JUnit file with the tags of what went wrong."""
    found: dict[str, list[str]] = {}
    for case in ET.fromstring(text).iter("testcase"):
        tags = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found.setdefault(case.attrib["name"], []).extend(tags)
    return found


@settings(max_examples=60, deadline=None)
@given(run=runs())
def test_every_format_says_what_the_record_says(run: AuditResult) -> None:
    outcome = run.verdict.outcome
    word = WORDS[outcome.value, run.verdict.qualifier]

    junit = cases(render_junit(run))
    assert junit["verdict"] == {"PASS": [], "FAIL": ["failure"], "INCONCLUSIVE": ["error"]}[outcome.value]
    for f in run.findings:
        if f.status is not FindingStatus.PASS:
            assert junit[f.id], f"{f.status} is a plain test case"
        if f.status in (FindingStatus.FAIL, FindingStatus.ERROR):
            assert junit[f.id] in (["failure"], ["error"])
    assert (
        cases(render_junit(run, inconclusive_skipped=True))["verdict"]
        == ({"PASS": [], "FAIL": ["failure"], "INCONCLUSIVE": ["skipped"]}[outcome.value])
    )

    log = json.loads(render_sarif(run, everything=True))["runs"][0]
    levels = {result["ruleId"]: result["level"] for result in log["results"]}
    alerts = {result["ruleId"]: result["level"] for result in json.loads(render_sarif(run))["runs"][0]["results"]}
    assert alerts == {name: level for name, level in levels.items() if level != "none"}
    shown = {"PASS": "note" if run.verdict.qualifier else None, "FAIL": "error", "INCONCLUSIVE": "warning"}
    assert levels.get("verdict") == shown[outcome.value]
    notes = " ".join(n["message"]["text"] for n in log["invocations"][0].get("toolExecutionNotifications", []))
    for f in run.findings:
        if f.status is FindingStatus.FAIL:
            assert levels[f.id] == "error"
        elif f.status is FindingStatus.ERROR:
            assert f.id in notes
        elif f.status is not FindingStatus.PASS:
            assert f.id in levels
    assert log["invocations"][0]["exitCode"] == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}[outcome.value]

    summary = render_markdown(run)
    first = summary.splitlines()[0].replace("\\", "")
    assert first.endswith(word)
    assert ("✅" in first) == (word == "PASS")
    assert summary.count("✅ PASS") == (word == "PASS") + sum(f.status is FindingStatus.PASS for f in run.findings)

    card = render_model_card(run)
    metadata = yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"][0]["metrics"]
    assert metadata[0] == {"type": "verdict", "value": word, "name": "Scope."}
    assert all(f"audit: {word}" in figure["name"] for figure in metadata[1:])
    assert f"**{word}.** It is so." in card.replace("\\", "")

    assert re.search(rf"<h1>.*<span>{re.escape(word)}</span></h1>", render_html(run))
    assert f"<strong>{word}.</strong>" in render_compliance_html(run)
    assert f"**{word}.**" in render_compliance_markdown(run)
    assert compare([run, run]).sections[0].rows[0].cells[0].word == word
    out = StringIO()
    render_terminal(run, Console(file=out, width=100))
    assert out.getvalue().startswith(f"{word}: ")

    tags = dict(mlflow.tags(run))
    assert (tags["unlearning.verdict"], tags["unlearning.qualifier"]) == (outcome.value, run.verdict.qualifier)
    assert tags["mlflow.note.content"].startswith(f"{word}: ")
    assert all(isinstance(value, float) and value == value for _, value in mlflow.metrics(run))  # none is NaN

    for clause in clauses(run):
        if outcome is not Outcome.PASS:
            assert clause.level not in (Level.STRONG, Level.PARTIAL)
        elif run.verdict.qualifier:
            assert clause.level is not Level.STRONG
