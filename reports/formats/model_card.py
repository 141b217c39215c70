"""A model-card snippet: metadata in the form of Hugging Face's ``model-index``, and a section of text.

The form: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from audit.record.findings import Finding
from audit.record.result import AuditResult
from reports.checks import opening
from reports.effects import size
from reports.numbers import interval_text, margin_text, num
from reports.render import Options
from reports.words import decides

from .markdown import escape

_TASK = "machine-unlearning-audit"


def render(result: AuditResult, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """See `reports.render.render`."""
    return render_model_card(result)


def render_model_card(result: AuditResult) -> str:
    """Render the snippet for a ``README.md`` of a model.

    Args:
        result: the run record.

    Returns:
        YAML front matter and Markdown. Every name in the front matter is a quoted YAML string. The first metric is
        the verdict itself, so that no figure stands without it.
    """
    return "\n".join(("---", *_metadata(result), "---", "", *_section(result))) + "\n"


def _metadata(result: AuditResult) -> Iterator[str]:
    names = [i.name for i in result.inputs if i.role == "unlearned"]
    forget = next((i.name for i in result.inputs if i.role == "forget"), "forget set")
    word, _ = opening(result.verdict)
    yield "model-index:"
    yield f"- name: {quoted(names[0] if names else 'unlearned model')}"
    yield "  results:"
    yield "  - task:"
    yield f"      type: {quoted(_TASK)}"
    yield '      name: "Audit of machine unlearning"'
    yield "    dataset:"
    yield f"      type: {quoted('private')}"
    yield f"      name: {quoted(forget)}"
    yield "    metrics:"
    yield f"    - type: {quoted('verdict')}"
    yield f"      value: {quoted(word)}"
    yield f"      name: {quoted(result.verdict.scope)}"
    for f in _figures(result):
        yield f"    - type: {quoted(f.id)}"
        yield f"      value: {json.dumps(f.estimate)}"
        yield f"      name: {quoted(f'{f.title} ({f.status.value}; audit: {word})')}"


def _section(result: AuditResult) -> Iterator[str]:
    word, sentence = opening(result.verdict)
    yield "## Unlearning audit"
    yield ""
    yield f"**{escape(word)}.** {escape(sentence)} {escape(size(result))}"
    for warning in result.verdict.warnings:
        yield ""
        yield f"**Warning:** {escape(warning)}."
    yield ""
    yield escape(result.verdict.scope)
    found = list(_figures(result))
    if found:
        yield ""
        yield "| Check | Value [interval] | Margin | Original | Status |"
        yield "|---|---|---|---|---|"
    for f in found:
        value = num(f.estimate) + ("" if f.interval is None else f" {interval_text(f.interval, f.margin)}")
        cells = (f.title, value, margin_text(f.margin, short=True), num(f.control), f.status.value)
        yield f"| {' | '.join(escape(cell) for cell in cells)} |"
    if result.not_tested:
        yield ""
        yield "Not tested:"
        yield ""
        for text in result.not_tested:
            yield f"- {escape(text)}"
    models = [i for i in result.inputs if i.role == "unlearned" and i.sha256]
    if models:
        yield ""
        yield f"SHA-256 of the audited model: {', '.join(escape(i.sha256 or '') for i in models)}."
    tool = f"{result.tool} {result.tool_version}, policy {result.policy.name}, run {result.run_id}"
    yield f"Audited with {escape(tool)}."


def _figures(result: AuditResult) -> list[Finding]:
    """The findings that the verdict rests on and that have a figure."""
    return [f for f in result.findings if decides(f) and f.estimate is not None]


def quoted(text: str) -> str:
    """A double-quoted YAML string; what is not printable becomes an escape."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}

    def one(c: str) -> str:
        if c in escapes:
            return escapes[c]
        if c.isprintable():
            return c
        return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"

    return f'"{"".join(map(one, text))}"'
