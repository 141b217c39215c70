from __future__ import annotations

from typing import Any

import pytest
import yaml

from audit.record.result import AuditResult, Outcome
from reports.formats.model_card import quoted, render_model_card


def metadata(text: str) -> dict[str, Any]:
    """Front matter as a reader of model cards takes it."""
    assert text.startswith("---\n")
    return dict(yaml.safe_load(text.split("\n---\n", maxsplit=1)[0].removeprefix("---\n"))["model-index"][0])


def test_metadata(any_result: AuditResult) -> None:
    found = metadata(render_model_card(any_result))
    assert found["name"] == "unlearned.safetensors"
    (result,) = found["results"]
    assert result["task"]["type"] == "machine-unlearning-audit"
    assert result["dataset"] == {"type": "private", "name": "forget.npz"}
    assert result["metrics"][0]["value"] == any_result.verdict.outcome.value
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["membership.auc"] == any_result.findings[0].estimate
    assert "shadow.auc" not in values  # it has no figure


def test_section(failing: AuditResult) -> None:
    text = render_model_card(failing)
    assert "**FAIL.** The unlearned model still carries the forget set" in text
    assert "Attacks that see the training gradients." in text
    assert "0123456789abcdef" in text


@pytest.mark.parametrize(
    "text", ["", "a: b", '"', "\\", "\x00\x1b\x7f", "\u2028\ufffe\ufeff", "🦊", "- x\n---\n", "{{ }} # c"]
)
def test_quoted_strings_survive_yaml(text: str) -> None:
    assert yaml.safe_load(f"name: {quoted(text)}") == {"name": text}


def test_hostile_and_bare(hostile: AuditResult, bare: AuditResult) -> None:
    text = render_model_card(hostile)
    found = metadata(text)
    assert found["results"][0]["metrics"][0]["value"] == Outcome.FAIL.value
    assert "<script" not in text.split("\n---\n", 1)[1]
    assert metadata(render_model_card(bare))["results"][0]["metrics"][0]["value"] == "INCONCLUSIVE"
