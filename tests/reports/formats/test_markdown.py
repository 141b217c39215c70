from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome
from reports.formats.markdown import LIMIT, code, escape, render_markdown
from tests.reports.conftest import example

PARSER = MarkdownIt("commonmark").enable("table")


def many(result: AuditResult, count: int, role: str = "supplementary") -> AuditResult:
    one = result.findings[0]
    copies = tuple(one.model_copy(update={"id": f"attack.metric_{k}", "role": role}) for k in range(count))
    return result.model_copy(update={"findings": copies})


def test_the_verdict_is_the_first_word(any_result: AuditResult) -> None:
    text = render_markdown(any_result)
    icons = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "⚠️"}
    outcome = any_result.verdict.outcome
    assert text.startswith(f"### {icons[outcome]} {outcome}\n")
    assert text.index("**Scope:**") < text.index("#### Findings")
    assert not re.search(r"^##? ", text, re.MULTILINE)
    html = PARSER.render(text)
    for f in any_result.findings:
        assert f"<code>{f.id}</code>" in html
    assert html.count("<tr>") == len(any_result.findings) + html.count("<thead>")


@pytest.mark.parametrize("role", [pytest.param("supplementary", marks=pytest.mark.slow), "mandatory"])
def test_ten_thousand_findings_stay_below_the_limit(failing: AuditResult, role: str) -> None:
    result = many(failing, 10_000, role)
    for limit in (LIMIT, 65_536, 10_000):
        text = render_markdown(result, limit=limit)
        assert len(text.encode()) <= limit
        assert len(text.encode()) > 0.6 * limit
        kept = text.count("attack.metric_")
        cut = re.search(r"\*\*(\d+) more findings not shown here", text)
        assert cut
        assert kept + int(cut[1]) == 10_000
        assert text.startswith("### ❌ FAIL\n")


def test_failures_are_the_last_to_be_cut() -> None:
    result = many(example(Outcome.FAIL), 5_000, "mandatory")
    worst = example(Outcome.FAIL).findings[2]
    assert worst.status is FindingStatus.FAIL
    text = render_markdown(result.model_copy(update={"findings": (*result.findings, worst)}), limit=20_000)
    assert worst.id in text


def test_huge_texts_stay_below_the_limit(failing: AuditResult) -> None:
    long = "<&|`" * 100_000
    verdict = failing.verdict.model_copy(
        update={
            "sentence": long,
            "scope": long,
            "reasons": (long,) * 300,
            "settle": (long,) * 300,
            "warnings": (long,) * 50,
        }
    )
    huge = tuple(f.model_copy(update={"id": long, "title": long, "reason": long}) for f in failing.findings)
    text = render_markdown(failing.model_copy(update={"verdict": verdict, "findings": huge}), limit=100_000)
    assert len(text.encode()) <= 100_000


HOSTILE = [
    "[a](https://evil.example)", "![x](https://evil.example/p.png)", "<img src=x onerror=y>", "# heading", "- item",
    "1. item", "> quote", "`code`", "``", "a | b |", "**bold** _it_ ~~s~~", "https://evil.example", "www.evil.example",
    "@maintainer :white_check_mark: PASS", "</details>", "a\n\n### ✅ PASS\n", "&lt;b&gt;", "\\", "---", "===",
    "\x1b[31m\u202e",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_markup(failing: AuditResult, name: str) -> None:
    for text in (escape(name), f"- {escape(name)}", code(name), f"| {escape(name)} | {code(name)} |\n|---|---|\n"):
        html = PARSER.render(text)
        allowed = {"p", "ul", "li", "code", "table", "thead", "tr", "th"}
        assert set(re.findall(r"</?(\w+)", html)) <= allowed, html
    assert "\n" not in escape(name) + code(name)
    assert "https://" not in escape(name)
    assert not re.search(r"@\w", escape(name))
    finding = failing.findings[0].model_copy(update={"id": name, "title": name, "reason": name})
    html = PARSER.render(render_markdown(failing.model_copy(update={"findings": (finding,)})))
    assert html.count("<td>") == 7
    assert html.count("<h3>") == 1


def test_escaped_names_read_as_they_are() -> None:
    for name in ("tpr_upper at 5%", "a*b", "[x]", "-0.5", "0.3", "10 < 12 & 3 > 2", "C|D"):
        html = PARSER.render(f"x {escape(name)}")
        plain = re.sub("<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert plain.strip() == f"x {name}"
    assert escape("-0.5") == "-0.5"


def test_hostile_and_bare(hostile: AuditResult, bare: AuditResult) -> None:
    text = render_markdown(hostile)
    assert "<script" not in PARSER.render(text)
    assert "\x1b" not in text
    assert render_markdown(hostile) == text
    assert "nothing was measured" in render_markdown(bare)


def test_a_broken_check_has_its_own_sign() -> None:
    broken: Finding = example(Outcome.FAIL).findings[8]
    assert f"🛑 {broken.status}" in render_markdown(example(Outcome.FAIL))


def test_no_stray_backslash(failing: AuditResult) -> None:
    """What is no markup stands as it is, for whoever reads the source (a log, a mail), too."""
    plain = (
        "by the [recipe] of audit.toml",
        "lira_online, shadow_xgboost",
        "0 [0, 0.0184]",
        "-0.01 [-0.1, 0.1]",
        r"a\b c",
    )
    for text in plain:
        assert escape(text) == text
    finding = failing.findings[0].model_copy(update={"id": "a|b.c_d", "title": plain[1], "reason": plain[0]})
    reasons = ("a|b.c_d: the reason is its own",)
    verdict = failing.verdict.model_copy(update={"reasons": reasons, "scope": plain[1], "settle": plain})
    policy = failing.policy.model_copy(update={"name": "p|q"})
    run = failing.model_copy(update={"findings": (finding,), "verdict": verdict, "policy": policy, "run_id": "r|s"})
    lines = render_markdown(run).splitlines()
    assert [line for line in lines if "\\" in line and r"a\b c" not in line and not line.startswith("| ")] == []
    assert r"`a\|b.c_d`" in lines[-1]  # in a table the sign would end the cell
    assert lines[-1].count("\\") == 1


@pytest.mark.parametrize(
    "name",
    ["[ab](x)", "![ab](x)", "[ab][cd]", "[ab]: /x", "[[ab]]", "[^ab]", "[x] task", "[ ] task", "_ab_", "__ab__",
     "a _b_", r"\*a*", r"\[ab](x)", "a_b_ c", "x\\", "~~ab~~", "$a$", "[a_b_](x)"],
)  # fmt: skip
def test_what_could_be_markup_is_escaped(name: str) -> None:
    parser = MarkdownIt("gfm-like", {"linkify": False})
    for text in (escape(name), f"- {escape(name)}", f"{escape(name)}\n\n[ab]: https://here.example\n"):
        assert not re.search(r"<(a|em|strong|s|img|input)\b", parser.render(text)), text
