from __future__ import annotations

import io

import pytest
from rich.console import Console

from audit.record.findings import FindingStatus
from audit.record.result import AuditResult
from reports.formats.terminal import render_terminal
from reports.words import SHORT


def shown(result: AuditResult, width: int = 200, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, **options)  # type: ignore[arg-type]
    render_terminal(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_verdict_first_then_findings_reasons_and_what_would_settle(any_result: AuditResult) -> None:
    text = shown(any_result)
    verdict = any_result.verdict
    assert text.startswith(f"{verdict.sentence}\n")
    assert text.split("\n")[0].count(verdict.outcome.value) == 1
    assert verdict.scope in text
    positions = [text.index(words) for words in (verdict.sentence, "Status", *verdict.reasons, *verdict.settle)]
    assert positions == sorted(positions)
    assert shown(any_result) == text


def test_a_sentence_without_the_word_gets_it(failing: AuditResult) -> None:
    verdict = failing.verdict.model_copy(update={"sentence": "The model remembers."})
    assert shown(failing.model_copy(update={"verdict": verdict})).startswith("FAIL: The model remembers.\n")


def test_deciding_findings_and_errors_are_listed_with_numbers(failing: AuditResult) -> None:
    lines = shown(failing).splitlines()
    for f in failing.findings:
        listed = [line for line in lines if line.startswith(f"{f.id} ")]
        important = f.role != "supplementary" or f.kind == "structural" or f.status == "ERROR"
        assert len(listed) == important
        assert all(SHORT[f.status][0] in line for line in listed)
    line = next(line for line in lines if "tpr_at_fpr" in line)
    assert line.split()[2:] == ["0.123", "[0.0789,", "0.182]", "<", "0.15", "0.610", "–"]
    assert "3 supplementary findings are in the report." in lines
    assert "What was not tested stands in the report (2 points)." in lines
    assert any(line.startswith("n: 200 forget, 1000 holdout, 5 retrained; 200 forget, 1000 holdout") for line in lines)


def test_every_short_word_that_is_no_plain_verdict_is_explained(failing: AuditResult) -> None:
    assert set(SHORT) == set(FindingStatus)
    assert len({word for word, _ in SHORT.values()}) == len(FindingStatus)
    text = shown(failing)
    for word, meaning in (SHORT[FindingStatus.INCONCLUSIVE], SHORT[FindingStatus.NOT_DETECTED]):
        assert f"{word}: {meaning}" in text


def test_markup_and_control_characters_in_names_are_text(hostile: AuditResult) -> None:
    text = shown(hostile, width=400, force_terminal=True, color_system="truecolor")
    assert "[bold]b[/bold]" in text
    assert "\x1b[31m ש" not in text
    assert "\\u001b[31m" in text
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_narrow_terminals(failing: AuditResult, width: int) -> None:
    text = shown(failing, width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    words = set(text.split())  # broken between words, never inside a name or a number
    assert {"membership.tpr_at_fpr_5e-2", "representation.identical_layers"} <= words
    assert {"0.512", "[0.471,", "0.554]", "0.15", "0.610", "0.407", "0.001"} <= words
    assert all(word in words for reason in failing.verdict.reasons for word in reason.split())


def test_eighty_columns_keep_one_line_a_finding_for_usual_names(failing: AuditResult) -> None:
    names = {
        "membership.tpr_at_fpr_5e-2": "membership.tpr_upper",
        "representation.identical_layers": "structure.encoder",
    }
    findings = tuple(f.model_copy(update={"id": names.get(f.id, f.id)}) for f in failing.findings)
    lines = shown(failing.model_copy(update={"findings": findings}), width=80).splitlines()
    head = next(line for line in lines if line.startswith("Check"))
    assert head.split() == ["Check", "Status", "Value", "[interval]", "Margin", "Original", "p", "adj."]
    auc = next(line for line in lines if line.startswith("membership.auc"))
    assert auc.split() == [
        "membership.auc",
        "PASS",
        "0.512",
        "[0.471,",
        "0.554]",
        "(0.4,",
        "0.6)",
        "0.871",
        "–",
    ]


def test_consoles_that_cannot_write_unicode(hostile: AuditResult, failing: AuditResult) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    share = failing.findings[0].model_copy(update={"margin": (-0.25, 0.25)})
    render_terminal(hostile, Console(file=stream, width=120))
    render_terminal(failing.model_copy(update={"findings": (share,)}), Console(file=stream, width=120))
    stream.flush()
    assert b"\\u05e9" in raw.getvalue()
    assert b"\\u2013" not in raw.getvalue()
    assert b"+-0.25" in raw.getvalue()


def test_an_empty_audit(bare: AuditResult) -> None:
    assert shown(bare) == "INCONCLUSIVE: Nothing ran.\nScope: None.\n"
