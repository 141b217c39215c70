"""The HTML report: one file, nothing loaded from anywhere, the same bytes for the same run.

It leads with the answer (`reports.front`), then come the groups of attacks, the worst first, and the whole record.
It is complete without JavaScript. The one small script, allowed by its digest alone, folds the details, and sorts and
filters the findings.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment
from markupsafe import Markup

from audit.certify.issued import Issued, issued_of
from audit.record.attack_record import Chart
from audit.record.findings import Finding, FindingStatus, Interval, Null
from audit.record.result import AuditResult, Outcome, read_record, to_json
from reports.charts.answer import answer_svg
from reports.charts.draw import chart_svg
from reports.charts.forest import forest_svg, placeable
from reports.clauses import Clause
from reports.clauses import clauses as clauses_of
from reports.effects import effect, key_finding, title_of
from reports.frameworks import choose
from reports.front import front
from reports.glossary import TERMS
from reports.groups import Group
from reports.numbers import ABSENT, interval_text, level_text, margin_text, null_mean, num, p_text
from reports.pages import asset, digest_of, environment
from reports.render import Options
from reports.words import STATUS_LEGEND, WORST_FIRST, decides, evidence, reasons

FILE = "report.html"
_KINDS = {
    "structural": "Structural facts, certain without a test",
    "difference": "Must not differ from an honest retrain (difference tests: decide FAIL)",
    "equivalence": "Must stay inside the margin (equivalence: decides PASS)",
    "exploratory": "Exploratory: reported with their intervals, never gated",
    "execution": "Checks that did not run",
    "input": "Inputs",
}


@dataclass(frozen=True)
class Row:
    """One finding with the anchor of its table row."""

    anchor: str
    finding: Finding


@dataclass(frozen=True)
class Table:
    """One table of findings: rows by kind."""

    anchor: str
    title: str
    sentence: str
    kinds: tuple[tuple[str, tuple[Row, ...]], ...]


@dataclass(frozen=True)
class Drawing:
    """One chart of an attack, with the prefix of its element ids."""

    attack: str
    chart: Chart
    uid: str


@dataclass(frozen=True)
class Part:
    """One group of attacks as the page shows it: key figure and chart, what is certain without a figure, the rest."""

    group: Group
    effect: str
    key_chart: Drawing | None
    plain: tuple[Finding, ...]
    charts: tuple[Drawing, ...]
    several: bool


def render(result: AuditResult, options: Options) -> str:
    """The report, with clauses where frameworks are named; see `reports.render.render`."""
    content = options.run_json
    if content is None and options.run is not None:
        content = read_record(options.run.result)
    issued = options.issued
    if issued is None and options.run is not None and content is not None:
        issued = issued_of(options.run, content)
    return render_html(
        result,
        clauses=clauses_of(result, choose(options.frameworks)) if options.frameworks else (),
        run_sha256=None if content is None else hashlib.sha256(content).hexdigest(),
        issued=issued,
    )


def render_html(
    result: AuditResult,
    *,
    clauses: Sequence[Clause] = (),
    run_sha256: str | None = None,
    issued: Issued | None = None,
) -> str:
    """Render the report of one audit.

    Args:
        result: the run record.
        clauses: lines of the section "Clauses"; without any there is no such section.
        run_sha256: digest of ``run.json`` as it stands on disk. By default that of the record as this version writes
            it, which differs for a run of an older schema.
        issued: the head of the certificate, where there is one: date, auditor, key.

    Returns:
        A complete HTML document with ``\\n`` line ends, which depends on the arguments alone.
    """
    css, script = asset("report.css"), asset("report.js")
    rows = tuple(Row(f"finding-{i}", f) for i, f in enumerate(result.findings, 1))
    first = front(result)
    parts = _parts(result, first.groups)
    skipped = tuple(a for a in result.attacks if a.status == "skipped")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            verdict=result.verdict,
            front=first,
            issued=issued,
            answer=answer_svg(first.groups),
            parts=parts,
            skipped=skipped,
            contents=_contents(parts, bool(clauses), bool(result.papers)),
            terms=TERMS,
            reasons=reasons(result),
            anchors={r.finding.id: r.anchor for r in reversed(rows)},
            evidence=evidence(result),
            css=css,
            css_hash=digest_of(css),
            script=script,
            script_hash=digest_of(script),
            rows=rows,
            groups=_tables(rows, result.verdict.outcome),
            statuses=[word for word in WORST_FIRST if any(f.status == word for f in result.findings)],
            attacks=sorted({f.attack for f in result.findings}),
            legend=STATUS_LEGEND,
            forest=forest_svg(sorted(result.findings, key=lambda f: not decides(f))),
            not_drawn=sum(f.kind == "equivalence" for f in result.findings) - len(placeable(result.findings)),
            policy_values=_flatten(result.policy.values),
            clauses=clauses,
            unlearned=tuple(i for i in result.inputs if i.role == "unlearned" and i.kind == "model"),
            verify=_verify_command(tuple(i.name for i in result.inputs if i.role == "unlearned" and i.kind == "model")),
            run_digest=run_sha256 or hashlib.sha256(to_json(result).encode()).hexdigest(),
        )
    )


def _contents(parts: Sequence[Part], clauses: bool, papers: bool) -> list[tuple[str, str]]:
    """Anchors and titles of the sections, in their order."""
    own = [(f"group-{part.group.key}", part.group.title) for part in parts]
    return [
        ("next", "What to do"),
        ("not-tested", "Not tested"),
        *own,
        ("utility", "Utility"),
        *([("papers", "What papers print")] if papers else []),
        ("skipped", "Did not run"),
        ("glossary", "Glossary"),
        ("appendix", "Appendix"),
        *([("clauses", "Clauses")] if clauses else []),
        ("certificate", "Certificate"),
    ]


def _parts(result: AuditResult, found: Sequence[Group]) -> tuple[Part, ...]:
    """Each group with its key figure, the chart of the attack that has it, and the other charts."""
    numbers = {a.name: number for number, a in enumerate(result.attacks, 1)}
    parts = []
    for group in found:
        f = key_finding(group.findings)
        drawn = [
            Drawing(a.title, chart, f"chart-{numbers[a.name]}-{at}")
            for a in sorted(group.attacks, key=lambda a: f is None or a.name != f.attack)
            for at, chart in enumerate(a.charts, 1)
        ]
        plain = tuple(x for x in group.findings if x.kind == "structural" or x.status is FindingStatus.ERROR)
        several = len({x.attack for x in group.findings}) > 1
        said = "" if f is None else effect(f, title_of(result, f.attack))
        parts.append(Part(group, said, drawn[0] if drawn else None, plain, tuple(drawn[1:]), several))
    return tuple(parts)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = environment()
    made.filters.update(
        num=_number,
        p=_p,
        interval=_interval,
        margin=_margin,
        null=_null,
        level=level_text,
        chart=chart_svg,
        plain=num,
        span=interval_text,
        bounds=margin_text,
        exact=_parameter,
    )
    return made


def _exact(value: float) -> str:
    return json.dumps(value)


def _number(value: float | None) -> Markup | str:
    return ABSENT if value is None else _data(_exact(value), num(value))


def _p(value: float | None) -> Markup | str:
    return ABSENT if value is None else _data(_exact(value), p_text(value))


def _interval(interval: Interval | None, margin: tuple[float, float] | None = None) -> Markup | str:
    if interval is None:
        return ABSENT
    return _data(f"{_exact(interval.low)} {_exact(interval.high)}", interval_text(interval, margin))


def _margin(margin: tuple[float, float] | None) -> Markup | str:
    return ABSENT if margin is None else _data(f"{_exact(margin[0])} {_exact(margin[1])}", margin_text(margin))


def _null(null: Null) -> Markup | str:
    return _number(null_mean(null))


def _parameter(value: object) -> str:
    """A parameter of an attack as ``run.json`` writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _data(exact: str, text: str) -> Markup:
    """The rounded number for the eye, the exact one for whoever checks."""
    return Markup('<data value="{}">{}</data>').format(exact, text)


def _tables(rows: tuple[Row, ...], outcome: Outcome) -> tuple[Table, ...]:
    """Findings that decide, then the others; within each by kind, what decides this verdict first."""
    order = list(_KINDS)
    if outcome is not Outcome.FAIL:
        order.sort(key=lambda kind: kind != "equivalence")

    def by_kind(chosen: list[Row]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
        kinds = ((_KINDS[kind], tuple(r for r in chosen if r.finding.kind == kind)) for kind in order)
        return tuple((title, members) for title, members in kinds if members)

    return (
        Table(
            "findings-deciding",
            "Findings that decide",
            "The verdict rests on these findings together with the test families and the gates.",
            by_kind([r for r in rows if decides(r.finding)]),
        ),
        Table(
            "findings-supplementary",
            "Supplementary findings",
            "Reported in full; no PASS rests on them.",
            by_kind([r for r in rows if not decides(r.finding)]),
        ),
    )


def _flatten(values: Mapping[str, object], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Nested policy values as sorted (dotted key, JSON text) pairs."""
    pairs: list[tuple[str, str]] = []
    for key in sorted(values):
        value = values[key]
        if isinstance(value, Mapping) and value:
            pairs += _flatten(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", json.dumps(value, sort_keys=True, ensure_ascii=False)))
    return tuple(pairs)


def _verify_command(names: tuple[str, ...]) -> str:
    """The command that checks the certificate; names are quoted for the shell."""
    words = ["audit", "verify", "certificate.dsse.json", "--key", "KEY.pub"]
    for name in names:
        words += ["--model", f"./{name}" if name.startswith("-") else name]
    return shlex.join(words)
