from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from audit.record.inputs import InputRecord
from audit.record.result import AuditResult, Outcome
from reports.comparison.compare import Comparison, Row, compare
from reports.comparison.page import render_compare
from reports.comparison.terminal import print_comparison
from tests.reports.conftest import HOSTILE, example
from tests.reports.page import Page


def rows(comparison: Comparison) -> dict[str, Row]:
    return {row.id or row.title: row for section in comparison.sections for row in section.rows}


def renamed(result: AuditResult, name: str, digest: str) -> AuditResult:
    others = tuple(i for i in result.inputs if i.role != "unlearned")
    return result.model_copy(
        update={"inputs": (InputRecord(role="unlearned", name=name, kind="model", sha256=digest * 64), *others)}
    )


@pytest.fixture
def two() -> Comparison:
    """Two candidates of one case, one good and one bad."""
    return compare([renamed(example(Outcome.PASS), "a.pt", "a"), renamed(example(Outcome.FAIL), "b.pt", "b")])


def test_candidates_of_one_case_are_comparable(two: Comparison) -> None:
    assert two.obstacles == ()
    assert two.columns == ("a.pt", "b.pt")
    found = rows(two)
    assert [(c.word, c.tone) for c in found["Verdict"].cells] == [("PASS", "good"), ("FAIL", "bad")]
    auc = found["membership.auc"].cells[0]
    assert (auc.word, auc.text) == (
        "PASS",
        "0.512 [0.471, 0.554] AUC, original 0.871, honest retrains 0.498 ± 0.0127, margin (0.4, 0.6)",
    )
    assert [c.text for c in found["recovery.auc"].cells] == [
        "not in this run",
        "0.844 [0.790, 0.887], original 0.992, honest retrains 0.498 ± 0.0127, margin (0.4, 0.6)",
    ]
    assert found["Gate: positive control"].cells[0].word == "holds"
    assert found["Accuracy on never-seen rows"].cells[0].text == "0.871, original 0.884"
    assert any("repeated testing" in note for note in two.notes)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"claim": {"kind": "random"}}, "Claim"),
        ({"claim": {"access": "logits"}}, "Access"),
        ({"policy": {"sha256": "00" * 32}}, "Policy"),
        ({"claim": {"split": "attested"}}, "Split, strata"),
        ({"claim": {"provenance": "surrogate"}}, "References' origin"),
        ({"inputs": 0}, "Forget set"),
    ],
)
def test_other_questions_are_flagged(change: dict[str, dict[str, str] | int], named: str) -> None:
    first = example(Outcome.PASS)
    ((field, update),) = change.items()
    if isinstance(update, dict):
        second = first.model_copy(update={field: getattr(first, field).model_copy(update=update)})
    else:
        fewer = tuple(i.model_copy(update={"rows": 7}) if i.role == "forget" else i for i in first.inputs)
        second = first.model_copy(update={"inputs": fewer})
    found = compare([first, second])
    assert [text.partition(":")[0] for text in found.obstacles] == [named]
    assert rows(found)[named].differs
    page = Page(render_compare(found)).text
    assert "Not comparable." in page
    out = StringIO()
    print_comparison(found, Console(file=out, width=120))
    assert f"NOT COMPARABLE: {named}" in out.getvalue()


def test_models_of_one_name_are_told_apart_by_their_run() -> None:
    one, other = example(Outcome.PASS), example(Outcome.FAIL).model_copy(update={"run_id": "other"})
    assert compare([one, other]).columns == ("unlearned.safetensors (2f1c9a7e44d0)", "unlearned.safetensors (other)")


def test_page(two: Comparison) -> None:
    text = render_compare(two)
    page = Page(text)
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert all(scope in ("col", "row") for scope in page.attributes("scope"))
    assert page.attributes("src") == page.attributes("href") == []
    assert render_compare(two) == text


def test_hostile_and_bare(hostile: AuditResult, bare: AuditResult) -> None:
    found = compare([hostile, bare, hostile])
    text = render_compare(found)
    page = Page(text)
    assert "<script" not in text
    assert "\x1b" not in text
    assert 'alert("x")' in page.text
    out = StringIO()
    print_comparison(found, Console(file=out, width=200))
    assert "\x1b" not in out.getvalue()
    assert "[bold]b[/bold]" in HOSTILE
    assert "[bold]" in out.getvalue()
