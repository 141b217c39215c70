from __future__ import annotations

import io

from rich.console import Console

from audit.record.findings import FindingStatus, Interval
from audit.record.result import AuditResult
from reports.formats.html import render_html
from reports.formats.terminal import render_terminal
from reports.words import STATUS_LEGEND, evidence, headline, reasons, sizes


def test_the_headline_separates_the_word(any_result: AuditResult) -> None:
    word, sentence = headline(any_result.verdict)
    assert f"{word}: {sentence}" == any_result.verdict.sentence


def test_findings_with_one_reason_are_named_together(failing: AuditResult) -> None:
    lines = (
        "membership.auc: same",
        "recovery.auc: same",
        "other: text",
        "no colon",
        "membership.auc, recovery.auc: two",
    )
    verdict = failing.verdict.model_copy(update={"reasons": lines})
    found = reasons(failing.model_copy(update={"verdict": verdict}))
    assert [(r.text, r.findings) for r in found] == [
        ("same", ("membership.auc", "recovery.auc")),
        ("other: text", ()),
        ("no colon", ()),
        ("two", ("membership.auc", "recovery.auc")),
    ]


def test_subjects_are_called_subjects(failing: AuditResult) -> None:
    found = failing.findings[0].model_copy(update={"counted": "subjects", "n_forget": 40, "n_holdout": 80})
    assert sizes([found]).startswith("40 forget subjects, 80 holdout subjects, ")
    page = render_html(failing.model_copy(update={"findings": (found,)}))
    assert "<li>40 forget subjects</li>" in page


def test_a_warning_stands_above_the_scope(any_result: AuditResult) -> None:
    verdict = any_result.verdict.model_copy(update={"warnings": ("the data <speak> against it",)})
    page = render_html(any_result.model_copy(update={"verdict": verdict}))
    assert page.index("<dt>Warning</dt><dd>the data &lt;speak&gt; against it.") < page.index("<dt>Scope</dt>")
    console = Console(file=io.StringIO(), width=100)
    render_terminal(any_result.model_copy(update={"verdict": verdict}), console)
    assert "WARNING: the data <speak> against it." in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_control_is_shown_with_its_interval(failing: AuditResult) -> None:
    first = failing.findings[0]
    found = first.model_copy(update={"control": 0.871, "control_interval": Interval(low=0.842, high=0.899, level=0.9)})
    page = render_html(failing.model_copy(update={"findings": (found,)}))
    assert "0.842" in page
    assert "0.899" in page


def test_the_evidence_names_sizes_attacks_figures_tests_gates_and_utility(failing: AuditResult) -> None:
    facts = dict(evidence(failing))
    assert facts["Sample sizes"].startswith("200 forget, 1000 holdout, 5 retrained")
    assert facts["Attacks"] == "3 ran: membership, recovery, representation; 1 skipped: shadow; 1 broke: probe"
    assert facts["Mandatory figures"] == "3: 1 PASS, 1 INCONCLUSIVE, 1 FAIL"
    assert facts["Difference tests"] == (
        "D2 no difference detected (p = 0.407 after Holm); D1 a difference was found (p = 0.002 after Holm)"
    )
    assert facts["Validity gates"] == "2 of 2 hold"
    assert facts["Utility"] == "The loss stays below the margin."


def test_nothing_is_said_to_be_there_where_nothing_ran(bare: AuditResult) -> None:
    facts = dict(evidence(bare))
    assert facts["Sample sizes"] == facts["Attacks"] == facts["Mandatory figures"] == "none"
    assert "Utility" not in facts
    assert sizes(()) == ""


def test_every_status_is_explained() -> None:
    assert [word for word, _ in STATUS_LEGEND] == [status.value for status in FindingStatus]
