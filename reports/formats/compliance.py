"""Evidence by clause, as a page and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.record.result import AuditResult, Outcome
from reports.checks import opening
from reports.clause_rules import Level
from reports.clauses import Clause, by_framework, clauses
from reports.effects import size
from reports.frameworks import Framework, choose
from reports.pages import render_page
from reports.render import Options

from .markdown import code, escape

FILE = "compliance.html"
_PREFACE = (
    "Evidence relevant to clauses of laws, standards and guidance, from one audit of one model. It is no legal advice "
    "and no statement that a clause is met: that needs the missing parts, and people who answer for them.",
    "The clauses are paraphrased, none is quoted. 'Verify before printing' marks those whose number, wording or status "
    "was not confirmed; 'primary text not opened' those that nobody has compared with the text yet.",
)
_TONES = {
    Level.STRONG: "good",
    Level.PARTIAL: "open",
    Level.RECORD: "plain",
    Level.NONE: "plain",
    Level.AGAINST: "bad",
}
_VERDICT_TONES = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "open"}


@dataclass(frozen=True)
class Group:
    """The clauses of one framework."""

    title: str
    caveat: str
    clauses: tuple[Clause, ...]


def render(result: AuditResult, options: Options) -> str:
    """See `reports.render.render`."""
    rendered = render_compliance_markdown if options.markdown else render_compliance_html
    return rendered(result, choose(options.frameworks))


def render_compliance_html(result: AuditResult, chosen: Sequence[Framework] = ()) -> str:
    """Render the evidence by clause as one HTML page; see `reports.clauses.clauses`."""
    word, sentence = opening(result.verdict)
    return render_page(
        "compliance.html.j2",
        result=result,
        word=word,
        sentence=sentence,
        size=size(result),
        tone="open" if result.verdict.qualifier else _VERDICT_TONES[result.verdict.outcome],
        preface=_PREFACE,
        groups=_groups(result, chosen),
        tones=_TONES,
    )


def render_compliance_markdown(result: AuditResult, chosen: Sequence[Framework] = ()) -> str:
    """Render the evidence by clause as Markdown; see `reports.clauses.clauses`."""
    word, sentence = opening(result.verdict)
    lines = ["# Evidence by clause", "", f"**{escape(word)}.** {escape(sentence)}"]
    for warning in result.verdict.warnings:
        lines += ["", f"**Warning:** {escape(warning)}."]
    lines += ["", escape(result.verdict.scope)]
    for text in _PREFACE:
        lines += ["", text]
    lines += ["", f"Run {code(result.run_id)}, policy {code(result.policy.name)}."]
    for group in _groups(result, chosen):
        lines += ["", f"## {escape(group.title)}", "", escape(group.caveat), ""]
        lines.append("| Clause | What it asks | Evidence in this run | Strength | What is missing | Who must act |")
        lines.append("|---|---|---|---|---|---|")
        lines += [_row(c) for c in group.clauses]
    if result.not_tested:
        lines += ["", "## What was not tested", "", *(f"- {escape(text)}" for text in result.not_tested)]
    return "\n".join(lines) + "\n"


def _row(c: Clause) -> str:
    certainty = "wording: sure" if c.certainty == "sure" else "**verify before printing**"
    checked = f"checked on {c.checked_on}" if c.checked_on else "primary text not opened"
    asks = f"{escape(c.asks)} {escape(c.caveat)}".strip()
    cells = (
        f"**{escape(c.clause)}** {escape(c.title)} ({certainty}; {checked})",
        f"{asks} [source](<{c.source}>)",
        escape(c.evidence) + (f" ({escape(c.ids)})" if c.ids else ""),
        f"**{c.level}**: {escape(c.strength)}",
        escape(c.missing),
        escape(c.actor),
    )
    return f"| {' | '.join(cells)} |"


def _groups(result: AuditResult, chosen: Sequence[Framework]) -> tuple[Group, ...]:
    found = by_framework(clauses(result, chosen))
    return tuple(Group(framework.title, framework.caveat, members) for framework, members in found)
