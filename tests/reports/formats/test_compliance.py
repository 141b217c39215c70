from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import reports
from audit.record.result import AuditResult
from reports.formats.compliance import render_compliance_html, render_compliance_markdown
from reports.frameworks import choose
from tests.reports.page import Page

ROOT = Path(reports.__file__).parent


@pytest.mark.parametrize("render", [render_compliance_html, render_compliance_markdown])
def test_pages(render: Callable[..., str], any_result: AuditResult) -> None:
    text = render(any_result, choose(["gdpr", "iso-42001"]))
    assert "GDPR" in text
    assert "AI Act" not in text
    assert text.count("verify before printing") == 3
    assert text.count("primary text not opened") == 10 + 1  # each clause, and the preface
    assert "compliant" not in text.lower()
    assert any_result.verdict.outcome.value in text[: text.index("GDPR")]
    assert render(any_result, choose(["gdpr", "iso-42001"])) == text


def test_page_is_safe(hostile: AuditResult, bare: AuditResult) -> None:
    text = render_compliance_html(hostile)
    page = Page(text)
    assert "<script" not in text
    assert all(address.startswith(("https://", "#f")) for address in page.attributes("href"))
    assert 'alert("x")' in page.text
    assert "<script" not in MarkdownIt("commonmark").enable("table").render(render_compliance_markdown(hostile))
    assert "No attacks on membership ran." not in render_compliance_markdown(hostile)
    assert render_compliance_markdown(bare).count("**against**") == 0


def test_the_word_is_never_used() -> None:
    files = [*ROOT.rglob("*.py"), *ROOT.rglob("*.toml"), *ROOT.rglob("*.j2")]
    assert len(files) > 20
    for path in files:
        assert not re.search(r"\bcompliant\b", path.read_text(encoding="utf-8"), re.IGNORECASE), path


def test_the_wheel_carries_the_data() -> None:
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["reports"]
    carried = {path for pattern in patterns for path in ROOT.glob(pattern)}
    data = {p for p in ROOT.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert data <= carried
