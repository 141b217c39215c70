from __future__ import annotations

from xml.etree import ElementTree as ET

from junitparser import Error, Failure, JUnitXml, Skipped

from audit.record.result import AuditResult, Outcome
from reports.formats.junit import render_junit
from tests.reports.conftest import example


def read(text: str) -> dict[str, list[type]]:
    """What a consumer of JUnit files sees."""
    return {case.name: [type(r) for r in case.result] for suite in JUnitXml.fromstring(text.encode()) for case in suite}


def test_each_status_for_a_consumer() -> None:
    found = read(render_junit(example(Outcome.FAIL)))
    assert found["verdict"] == [Failure]
    assert found["gate.positive control"] == []
    assert found["membership.auc"] == []
    assert found["recovery.auc"] == [Failure]
    assert found["membership.tpr_at_fpr_5e-2"] == [Error]  # INCONCLUSIVE
    assert found["membership.difference"] == [Skipped]  # NOT DETECTED is no pass
    assert found["gradient.top1"] == [Skipped]  # NOT COVERED
    assert found["shadow.auc"] == [Skipped]
    assert found["probe.auc"] == [Error]
    assert found["inputs.duplicates"] == [Skipped]  # NOTE


def test_inconclusive_may_be_skipped_where_it_is_asked_for() -> None:
    text = render_junit(example(Outcome.INCONCLUSIVE), inconclusive_skipped=True)
    found = read(text)
    assert found["verdict"] == found["gate.seed noise"] == found["membership.tpr_at_fpr_5e-2"] == [Skipped]
    assert found["probe.auc"] == [Error]  # a check that broke stays an error
    assert read(render_junit(example(Outcome.INCONCLUSIVE)))["verdict"] == [Error]


def test_counts_agree(any_result: AuditResult) -> None:
    root = ET.fromstring(render_junit(any_result))
    for holder in (root, *root.iter("testsuite")):
        cases = list(holder.iter("testcase"))
        assert int(holder.attrib["tests"]) == len(cases)
        for tag, key in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(holder.attrib[key]) == sum(case.find(tag) is not None for case in cases)
    message = next(root.iter("testcase"))[0].attrib.get("message", "")
    if any_result.verdict.outcome is not Outcome.PASS:
        assert message.startswith(f"{any_result.verdict.outcome}: ")


def test_hostile_names_and_nothing_at_all(hostile: AuditResult, bare: AuditResult) -> None:
    odd = hostile.model_copy(update={"run_id": "a\x00b\ufffe\uffff\ud800]]>"})
    text = render_junit(odd)
    root = ET.fromstring(text)
    assert root.attrib["name"] == "unlearning audit a\\u0000b\\ud800]]>"
    assert not root.findall(".//script")
    assert render_junit(odd) == text
    assert read(render_junit(bare)) == {"verdict": [Error]}


def test_text_stands_as_it_is(failing: AuditResult) -> None:
    """XML needs no backslash: one stands only where the text has one, or for a control character."""
    said = r"trains them by the [recipe] of audit.toml: lira_online, 0 [0, 0.0184], C:\models"
    findings = tuple(f.model_copy(update={"reason": said, "title": said}) for f in failing.findings)
    text = render_junit(failing.model_copy(update={"findings": findings}))
    assert text.count(said) == 2 * len(findings)
    assert text.count("\\") == 2 * len(findings)
