from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from audit.result import AuditResult, FindingStatus, Outcome, to_json
from reports import html as module
from reports.html import render_html
from reports.numbers import interval_text, margin_text, num, p_text
from tests.reports.conftest import HOSTILE


class Clause(NamedTuple):
    framework: str
    clause: str
    title: str
    evidence: tuple[str, ...]
    strength: str
    missing: str
    actor: str
    certainty: str = "verify before printing"


VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}


class Page(HTMLParser):
    """Parses strictly: every element must be closed in order. Collects tags, text, ids and links."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    def attributes(self, name: str, of: str = "") -> list[str]:
        return [attrs[name] or "" for tag, attrs in self.tags if name in attrs and of in ("", tag)]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


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
    assert f'class="banner s-{outcome.lower()}"' in header
    assert re.search(rf"<h1><svg .*?</svg><span>{outcome}</span></h1>", header)
    page = Page(header)
    sentence = any_result.verdict.sentence.removeprefix(f"{outcome}: ")
    assert sentence[0].upper() + sentence[1:] in page.text
    assert page.text.count(outcome) == 1
    assert any_result.verdict.scope in page.text
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
    assert sections == [
        "summary", "not-tested", "findings", "forest", "families", "gates", "utility", "attacks", "scope",
        "inputs", "environment", "policy", "certificate",
    ]  # fmt: skip
    links = [h.removeprefix("#") for h in page.attributes("href", "a")]
    assert set(links) <= set(page.attributes("id"))
    assert len(page.attributes("id")) == len(set(page.attributes("id")))


def test_headings_never_skip_a_level(any_result: AuditResult) -> None:
    levels = [int(tag[1]) for tag, _ in Page(render_html(any_result)).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


@pytest.mark.parametrize("name", ["failing", "hostile", "bare"])
def test_the_page_is_closed_against_the_world(name: str, request: pytest.FixtureRequest) -> None:
    text = render_html(request.getfixturevalue(name))
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "use",
        "foreignobject",
    }
    for attribute in ("style", "src", "srcset", "action", "xlink:href", "background", "ping"):
        assert page.attributes(attribute) == []
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    assert all(re.fullmatch(r"#[a-z0-9-]+", h) for h in page.attributes("href", "a"))
    inlined = page.attributes("href", "image")
    assert all(re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", h) for h in inlined)
    assert len(page.attributes("href")) == len(page.attributes("href", "a")) + len(inlined)
    assert text.count("<style>") == 1
    css = text[text.index("<style>") + 7 : text.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert text.count("<script") == 1
    script = text[text.index("<script>") + 8 : text.index("</script>")]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sources = f"default-src 'none'; style-src 'sha256-{digest}'; script-src 'sha256-{allowed}'; img-src data:"
    assert (policy or "").startswith(sources)
    assert "unsafe" not in (policy or "")


def test_hostile_names_come_out_as_text(hostile: AuditResult) -> None:
    text = render_html(hostile, clauses=(Clause(*[HOSTILE] * 3, (HOSTILE,), HOSTILE, "", HOSTILE),))
    assert text.count("<script") == text.count("</script") == 1  # our own
    assert not set(text) & set("\u202e\x1b\u2066\u2067")
    page = Page(text)
    shown = '<script>alert("x")</script></style>\'; --> ]]> {{ 7*7 }} [bold]b[/bold] \\u202egnp.exe \\u001b[31m'
    for place in ("bdi", "h1"):
        assert place in {tag for tag, _ in page.tags}
    assert page.text.count(shown) > 60
    assert "שלום 🦊" in page.text
    assert "49" not in re.sub(r"[0-9.]+9[0-9.]*", "", page.text)


def test_the_script_is_small_and_writes_no_markup() -> None:
    script = (Path(module.__file__).parent / "templates" / "report.js").read_bytes()
    assert len(script) <= 5 * 1024
    for sink in (b"innerHTML", b"outerHTML", b"insertAdjacent", b"document.write", b"eval", b"fetch", b"import"):
        assert sink not in script


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
        "No attack was planned.", "No test family was set up.", "No gate was evaluated.",
        "Utility was not measured",
        "no data", "An audit can never test every attack", "No model file was given",
        "No reason was recorded.",
    ):  # fmt: skip
        assert words in text
    assert "None None" not in text


def test_data_digests_never_appear(failing: AuditResult) -> None:
    secret = "5ec2e7" * 10 + "abcd"
    inputs = tuple(i.model_copy(update={"sha256": secret}) if i.kind == "data" else i for i in failing.inputs)
    page = Page(render_html(failing.model_copy(update={"inputs": inputs})))
    assert secret not in page.text
    assert page.text.count("keyed commitment in the certificate") == 4


def test_the_certificate_block_names_what_to_check(failing: AuditResult, hostile: AuditResult) -> None:
    text = render_html(failing)
    block = Page(text[text.index('<section id="certificate"') : text.index("</main>")])
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


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_meet_wcag_aa(theme: int) -> None:
    css = (Path(module.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    assert len(blocks) == 2
    v = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[theme]))
    grounds = ["bg", "panel", *(f"{s}-bg" for s in ("pass", "fail", "open", "plain"))]
    for ground in grounds:
        assert contrast(v["ink"], v[ground]) >= 7
        assert contrast(v["soft"], v[ground]) >= 4.5
    assert contrast(v["link"], v["bg"]) >= 4.5
    for status in ("pass", "fail", "open", "plain"):
        assert contrast(v[status], v[f"{status}-bg"]) >= 4.5
    for mark in ("unlearned", "original", "reference", "chance", "edge"):
        assert contrast(v[mark], v["bg"]) >= 3
        assert mark == "chance" or contrast(v[mark], v["band"]) >= 3


def test_outcomes_and_statuses_all_have_a_colour_class() -> None:
    css = (Path(module.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    for word in [*Outcome, *FindingStatus]:
        assert f".s-{word.value.lower().replace(' ', '-')}" in css
