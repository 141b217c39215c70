"""A Markdown summary for CI pages and comments: the verdict first, never longer than the page takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from audit.record.findings import Finding
from audit.record.result import AuditResult, Outcome
from reports.advice import Step, steps
from reports.checks import Mark, deciding_first, finding_mark, opening
from reports.effects import size
from reports.numbers import interval_text, margin_text, num, p_text, visible
from reports.render import DEFAULTS, Options
from reports.words import decides, evidence, reasons

LIMIT = DEFAULTS.max_bytes  # $GITHUB_STEP_SUMMARY refuses more; a comment takes 65 536 characters
_LONGEST = 600  # characters of one name or sentence
_ICONS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "⚠️"}
_MARKS = {Mark.PASSED: "✅", Mark.FAILED: "❌", Mark.OPEN: "⚠️", Mark.BROKEN: "🛑", Mark.ASIDE: "➖"}
#: a word or an interval in brackets, which is no link, footnote, task or definition and stays as it is; or signs that
#: can be markup: a backslash before a sign, an underscore that is not inside a word, the rest wherever they stand
_SIGNS = re.compile(
    r"(?<![!\[\]\\])(\[(?:[^\W_]|[ .,+-]){2,}\])(?![\[\](:])"
    r"|(\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_+|_+(?![^\W_])|[`*\[\]|~$])"
)
_HEAD = "| Check | Status | Value [interval] | Margin | Original | p adj. | Reason |\n|---|---|---|---|---|---|---|"


def render(result: AuditResult, options: Options) -> str:
    """See `reports.render.render`."""
    return render_markdown(result, limit=options.max_bytes)


def render_markdown(result: AuditResult, *, limit: int = LIMIT) -> str:
    """Render the summary of a run.

    Args:
        result: the run record.
        limit: most bytes (UTF-8); what does not fit is cut, with a count of what was cut.

    Returns:
        GitHub-flavoured Markdown. Headings begin at h3. Names are escaped: none can make a link, a mention, an image
        or a heading.
    """
    verdict = result.verdict
    word, sentence = opening(verdict)
    icon = "⚠️" if verdict.qualifier else _ICONS[verdict.outcome]
    head = [f"### {icon} {escape(word)}", "", f"**{escape(size(result))}**", "", escape(sentence)]
    for warning in verdict.warnings[:10]:
        head += ["", f"**Warning:** {escape(warning)}."]
    head += [
        "",
        f"**Scope:** {escape(verdict.scope)}",
        "",
        f"Policy {code(result.policy.name, cell=False)} · run {code(result.run_id, cell=False)}",
    ]
    text = "\n".join(head) + "\n"
    room = Room(limit - len(text.encode()) - 2_000)
    parts = [text]
    for title, lines in (
        ("What was found", [_reason(r.text, r.findings) for r in reasons(result)]),
        ("What to do", [_step(step) for step in steps(result)]),
        ("What was not tested", [escape(line) for line in result.not_tested]),
        ("On what evidence", [f"{escape(name)}: {escape(fact)}" for name, fact in evidence(result)]),
    ):
        parts.append(_list(title, lines, room))
    parts.append(_table(result.findings, room))
    return "".join(parts)


class Room:
    """Bytes that are left."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, lines: Iterable[str], share: float = 1.0) -> tuple[list[str], int]:
        """The first lines that fit into a share of what is left, and how many do not."""
        every = list(lines)
        budget = int(self.left * share)
        kept: list[str] = []
        for line in every:
            size = len(line.encode()) + 1
            if size > budget:
                break
            budget -= size
            self.left -= size
            kept.append(line)
        return kept, len(every) - len(kept)


def escape(text: str) -> str:
    """One line of text in which no character is markup; a backslash stands only where one is needed."""
    flat = _flat(text)
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = _SIGNS.sub(lambda found: found[1] or "".join(f"\\{sign}" for sign in found[2]), flat)
    flat = flat.replace("@", "&#64;&#8203;")  # no mention of an account
    flat = re.sub(r":(?=[^\s])", "&#58;", flat)  # no link, no emoji
    flat = re.sub(r"\bwww\.", "www&#46;", flat, flags=re.IGNORECASE)
    return re.sub(r"^(\d+)([.)])(?!\d)", r"\1\\\2", re.sub(r"^([#+=-])(?!\d)", r"\\\1", flat))


def code(text: str, *, cell: bool = True) -> str:
    """A name as code; backticks inside it cannot end it, and it cannot leave a table cell.

    Args:
        text: the name.
        cell: it stands in a table, the one place where a backslash inside code is none.
    """
    flat = _flat(text)
    if cell:
        flat = flat.replace("|", "\\|")
    if not flat:
        return "–"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _flat(text: str) -> str:
    """One line, cut where it is very long."""
    cut = f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text
    return " ".join(visible(cut).split())


def _reason(text: str, ids: Sequence[str]) -> str:
    named = ", ".join(code(name, cell=False) for name in ids[:20])
    more = f" and {len(ids) - 20} more" if len(ids) > 20 else ""
    return f"{escape(text)} ({named}{more})" if ids else escape(text)


def _step(step: Step) -> str:
    return f"{escape(step.text)} {code(step.command, cell=False)}" if step.command else escape(step.text)


def _list(title: str, lines: Sequence[str], room: Room) -> str:
    if not lines:
        return ""
    kept, cut = room.take((f"- {line}" for line in lines), share=0.1)
    return "\n".join(["", f"#### {title}", "", *kept, *_cut(cut, "line", "lines")]) + "\n"


def _table(findings: Sequence[Finding], room: Room) -> str:
    ordered = deciding_first(findings)
    if not ordered:
        return "\n#### Findings\n\nNone: nothing was measured.\n"
    deciding = [f for f in ordered if decides(f)]
    others = [f for f in ordered if not decides(f)]
    text = ""
    if deciding:
        kept, cut = room.take(map(_row, deciding))
        text += "\n".join(["", "#### Findings that decide", "", _HEAD, *kept, *_cut(cut, "finding", "findings")]) + "\n"
    if others:
        kept, cut = room.take(map(_row, others))
        summary = f"{len(others)} supplementary {'finding' if len(others) == 1 else 'findings'}: no PASS rests on them"
        text += "\n".join(
            [
                "",
                f"<details><summary>{summary}</summary>",
                "",
                _HEAD,
                *kept,
                *_cut(cut, "finding", "findings"),
                "",
                "</details>",
            ]
        )
        text += "\n"
    return text


def _row(f: Finding) -> str:
    value = num(f.estimate) + ("" if f.interval is None else f" {interval_text(f.interval, f.margin)}")
    p = p_text(f.p if f.p_adjusted is None else f.p_adjusted)
    cells = (
        f"{escape(f.title)}<br>{code(f.id)}",
        f"{_MARKS[finding_mark(f)]} {f.status.value}",
        escape(value),
        escape(margin_text(f.margin, short=True)),
        escape(num(f.control)),
        escape(p),
        escape(f.reason),
    )
    return f"| {' | '.join(cells)} |"


def _cut(count: int, one: str, many: str) -> list[str]:
    """What was left out; after an empty line, so that it is no row of a table."""
    return (
        ["", f"**{count} more {one if count == 1 else many} not shown here: see report.html or run.json.**"]
        if count
        else []
    )
