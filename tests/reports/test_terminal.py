from __future__ import annotations

import io

import pytest
from rich.console import Console

from audit.result import AuditResult
from reports.terminal import render_terminal


def shown(result: AuditResult, width: int = 200, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, **options)  # type: ignore[arg-type]
    render_terminal(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_verdict_first_then_findings_reasons_and_what_would_settle(any_result: AuditResult) -> None:
    text = shown(any_result)
    verdict = any_result.verdict
    assert text.startswith(f"{verdict.outcome.value}  {verdict.sentence}\n")
    assert verdict.scope in text
    positions = [
        text.index(words) for words in (verdict.sentence, "Status", *verdict.reasons, *verdict.settle)
    ]
    assert positions == sorted(positions)
    assert shown(any_result) == text


def test_deciding_findings_and_errors_are_listed_with_numbers(failing: AuditResult) -> None:
    lines = shown(failing).splitlines()
    for f in failing.findings:
        listed = [line for line in lines if f.title in line]
        important = f.role != "supplementary" or f.kind == "structural" or f.status == "ERROR"
        assert len(listed) == important
        assert all(f.status.value in line for line in listed)
    line = next(line for line in lines if "True-positive rate" in line)
    assert line.split()[-7:] == ["0.123", "[0.0789,", "0.182]", "(-0.001,", "0.15)", "0.610", "–"]
    assert "3 supplementary findings are in the report." in lines


def test_markup_and_control_characters_in_names_are_text(hostile: AuditResult) -> None:
    text = shown(hostile, width=400, force_terminal=True, color_system="truecolor")
    assert "[bold]b[/bold]" in text
    assert "\x1b[31m ש" not in text
    assert "\\u001b[31m" in text
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_narrow_terminals(failing: AuditResult, width: int) -> None:
    text = shown(failing, width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    words = set(text.split())  # folded between words, never cut inside a number
    assert {"INCONCLUSIVE", "0.512", "[0.471,", "0.554]", "(-0.001,", "0.610", "0.407", "0.001"} <= words


def test_consoles_that_cannot_write_unicode(hostile: AuditResult, failing: AuditResult) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    render_terminal(hostile, Console(file=stream, width=120))
    render_terminal(failing, Console(file=stream, width=120))
    stream.flush()
    assert b"\\u05e9" in raw.getvalue()
    assert b"\\u2013" not in raw.getvalue()


def test_an_empty_audit(bare: AuditResult) -> None:
    assert shown(bare) == "INCONCLUSIVE  Nothing ran.\nScope: None.\n"
