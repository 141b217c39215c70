from __future__ import annotations

import hashlib
import re
from html import unescape
from itertools import pairwise

from audit.record.findings import FindingStatus
from audit.record.result import AuditResult, to_json
from reports.formats import html as module
from reports.formats.html import render_html
from reports.front import front
from reports.numbers import interval_text, margin_text, num, p_text
from tests.reports.page import Clause, Page


def row(text: str, position: int) -> str:
    found = re.search(rf'<tr id="finding-{position}".*?</tr>', text, re.S)
    assert found
    return found[0]


def test_a_report_is_a_pure_function_of_the_run(any_result: AuditResult) -> None:
    first = render_html(any_result)
    module._environment.cache_clear()
    copy = AuditResult.model_validate_json(to_json(any_result))
    assert render_html(copy) == first
    assert first.startswith("<!doctype html>\n")
    assert "\r" not in first
    assert len(first.encode()) < 200_000


def test_every_verdict_stands_first_with_word_icon_and_scope(any_result: AuditResult) -> None:
    text = render_html(any_result)
    outcome = any_result.verdict.outcome.value
    header = text[text.index("<header") : text.index("<nav")]
    assert f'class="front s-{outcome.lower()}"' in header
    assert re.search(rf"<h1><svg .*?</svg><span>{outcome}</span></h1>", header)
    page = Page(header)
    sentence = any_result.verdict.sentence.removeprefix(f"{outcome}: ")
    assert sentence[0].upper() + sentence[1:] in page.text
    assert Page(text).text.index(any_result.verdict.scope) > len(page.text)
    assert text.index("<header") < text.index("<main")


def test_every_finding_is_there_with_all_its_numbers(any_result: AuditResult) -> None:
    text = render_html(any_result)
    for position, f in enumerate(any_result.findings, 1):
        cells = Page(f"<table>{row(text, position)}</table>").text
        figures = [
            num(f.estimate),
            interval_text(f.interval, f.margin),
            num(f.control),
            margin_text(f.margin),
        ]
        figures += [
            p_text(f.p if f.p_adjusted is None else f.p_adjusted),
            num(f.null.mean if f.null else None),
        ]
        figures += [] if f.p is None else [p_text(f.p)]
        for expected in (f.title, f.id, f.access, f.unit, f.reason, f.status.value, *f.settle, *figures):
            assert expected in cells
        for count in (f.n_forget, f.n_holdout, f.n_references):
            assert count is None or str(count) in cells


def test_exact_numbers_are_in_the_page(failing: AuditResult) -> None:
    values = Page(render_html(failing)).attributes("value")
    for f in failing.findings:
        for number in (f.estimate, f.control, f.p, f.p_adjusted):
            assert number is None or repr(number) in values


def test_every_status_has_its_own_shape_and_is_explained(failing: AuditResult) -> None:
    text = render_html(failing)
    shapes = {}
    for status in FindingStatus:
        slug = status.value.lower().replace(" ", "-")
        found = re.search(rf'<span class="badge s-{slug}"><svg [^>]*>(.*?)</svg><span>{status.value}</span>', text)
        assert found, status
        shapes[status] = found[1]
    assert len(set(shapes.values())) == len(FindingStatus)
    legend = text[text.index('<dl class="legend">') :]
    assert "This is not evidence of forgetting" in legend
    assert "cannot see the forget set even in the original" in legend


def test_deciding_findings_come_before_supplementary_ones(failing: AuditResult) -> None:
    text = render_html(failing)
    order = [int(n) for n in re.findall(r'<tr id="finding-(\d+)"', text)]
    assert sorted(order) == list(range(1, len(failing.findings) + 1))
    split = text.index('id="findings-supplementary"')
    for position, f in enumerate(failing.findings, 1):
        deciding = f.role != "supplementary" or f.kind == "structural"
        assert (text.index(f'id="finding-{position}"') < split) == deciding


def test_sections_stand_in_the_order_of_the_handbook(any_result: AuditResult) -> None:
    page = Page(render_html(any_result))
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    groups = [f"group-{g.key}" for g in front(any_result).groups]
    assert len(groups) >= 1
    assert sections == [
        "next", "not-tested", *groups, "utility", "skipped", "glossary", "findings", "forest", "families", "gates",
        "attacks", "scope", "inputs", "environment", "policy", "certificate",
    ]  # fmt: skip
    links = [h.removeprefix("#") for h in page.attributes("href", "a")]
    assert set(links) <= set(page.attributes("id"))
    assert len(page.attributes("id")) == len(set(page.attributes("id")))


def test_headings_never_skip_a_level(any_result: AuditResult) -> None:
    levels = [int(tag[1]) for tag, _ in Page(render_html(any_result)).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_clauses_have_a_section_where_there_are_some(failing: AuditResult) -> None:
    clause = Clause("GDPR", "Art. 17(1)", "erasure", ("membership.auc", "gates"), "supporting", "copies", "controller")
    assert 'id="clauses"' not in render_html(failing)
    text = render_html(failing, clauses=(clause,))
    block = Page(text[text.index('<section id="clauses"') : text.index('<section id="certificate"')]).text
    for words in (
        "GDPR",
        "Art. 17(1)",
        "erasure",
        "membership.auc",
        "gates",
        "supporting",
        "copies",
        "controller",
        "verify before",
    ):
        assert words in block
    assert 'href="#clauses"' in text


def test_the_digest_of_the_file_may_be_given(failing: AuditResult) -> None:
    assert "ab" * 32 in render_html(failing, run_sha256="ab" * 32)


def test_an_empty_audit_says_so(bare: AuditResult) -> None:
    text = Page(render_html(bare)).text
    for words in (
        "No attack was planned.", "No size was measured", "No test family was set up.", "No gate was evaluated.",
        "Utility was not measured",
        "no data", "An audit can never test every attack", "No model file was given",
        "No reason was recorded.",
    ):  # fmt: skip
        assert words in text
    assert "None None" not in text


def test_the_certificate_block_names_what_to_check(failing: AuditResult, hostile: AuditResult) -> None:
    text = render_html(failing)
    start = text.index('<section id="certificate"')
    block = Page(text[start : text.index("</section>", start)] + "</section>")
    assert "This report itself carries no signature" in block.text
    assert hashlib.sha256(to_json(failing).encode()).hexdigest() in block.text
    assert next(i.sha256 for i in failing.inputs if i.role == "unlearned") in block.text
    command = "audit verify certificate.dsse.json --key KEY.pub --model unlearned.safetensors"
    assert command in block.text
    assert module._verify_command(("-rf;x y.pt",)).endswith("--model './-rf;x y.pt'")
    quoted = unescape(render_html(hostile))
    assert "--model '<script>" in quoted


def test_inputs_policy_claim_gates_and_families_are_complete(failing: AuditResult) -> None:
    text = Page(render_html(failing)).text
    expected = [
        *failing.not_tested,
        *failing.assumptions,
        *failing.claim.inferred,
        *failing.environment.values(),
    ]
    expected += [v for i in failing.inputs for v in (i.role, i.name)]
    expected += [v for g in failing.gates for v in (g.name, g.effect, g.reason)]
    expected += [v for f in failing.families for v in (f.method, f.reason, p_text(f.p_holm))]
    expected += [v for a in failing.attacks for v in (a.title, a.source, a.reason, *a.details, *a.parameters)]
    expected += ["margins.auc 0.1", "margins.tpr [0.05, 0.15]", "alpha 0.05", failing.policy.sha256, "3, 7"]
    for words in expected:
        assert words in text
