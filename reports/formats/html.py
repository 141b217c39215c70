"""The HTML report: one file, nothing loaded from anywhere, the same bytes for the same run.

It is complete without JavaScript. The one small script, allowed by its digest alone, sorts and filters the findings.
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

from audit.record.digest import sha256_file
from audit.record.findings import Finding, Interval, Null
from audit.record.result import AuditResult, Outcome, to_json
from reports.charts.draw import chart_svg
from reports.charts.forest import forest_svg, placeable
from reports.clauses import Clause
from reports.clauses import clauses as clauses_of
from reports.frameworks import choose
from reports.numbers import ABSENT, interval_text, level_text, margin_text, null_mean, num, p_text
from reports.pages import asset, digest_of, environment
from reports.render import Options
from reports.words import STATUS_LEGEND, WORST_FIRST, decides, evidence, headline, reasons

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
class Group:
    """One table of findings: rows by kind."""

    anchor: str
    title: str
    sentence: str
    kinds: tuple[tuple[str, tuple[Row, ...]], ...]


def render(result: AuditResult, options: Options) -> str:
    """The report with the clauses that its evidence bears on; see `reports.render.render`."""
    if options.run_json is not None:
        digest: str | None = hashlib.sha256(options.run_json).hexdigest()
    else:
        digest = None if options.run is None else sha256_file(options.run.result)
    return render_html(result, clauses=clauses_of(result, choose(options.frameworks)), run_sha256=digest)


def render_html(result: AuditResult, *, clauses: Sequence[Clause] = (), run_sha256: str | None = None) -> str:
    """Render the report of one audit.

    Args:
        result: the run record.
        clauses: lines of the section "Clauses"; without any there is no such section.
        run_sha256: digest of ``run.json`` as it stands on disk. By default that of the record as this version writes
            it, which differs for a run of an older schema.

    Returns:
        A complete HTML document with ``\\n`` line ends, which depends on the arguments alone.
    """
    css, script = asset("report.css"), asset("report.js")
    rows = tuple(Row(f"finding-{i}", f) for i, f in enumerate(result.findings, 1))
    unlearned = tuple(i for i in result.inputs if i.role == "unlearned" and i.kind == "model")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            verdict=result.verdict,
            word=headline(result.verdict)[0],
            sentence=_sentence(headline(result.verdict)[1]),
            reasons=reasons(result),
            anchors={r.finding.id: r.anchor for r in reversed(rows)},
            evidence=evidence(result),
            css=css,
            css_hash=digest_of(css),
            script=script,
            script_hash=digest_of(script),
            rows=rows,
            groups=_groups(rows, result.verdict.outcome),
            statuses=[word for word in WORST_FIRST if any(f.status == word for f in result.findings)],
            attacks=sorted({f.attack for f in result.findings}),
            legend=STATUS_LEGEND,
            forest=forest_svg(sorted(result.findings, key=lambda f: not decides(f))),
            not_drawn=sum(f.kind == "equivalence" for f in result.findings) - len(placeable(result.findings)),
            policy_values=_flatten(result.policy.values),
            clauses=clauses,
            unlearned=unlearned,
            verify=_verify_command(tuple(i.name for i in unlearned)),
            run_digest=run_sha256 or hashlib.sha256(to_json(result).encode()).hexdigest(),
        )
    )


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


def _sentence(text: str) -> str:
    """A sentence that begins with a capital."""
    return text[:1].upper() + text[1:]


def _data(exact: str, text: str) -> Markup:
    """The rounded number for the eye, the exact one for whoever checks."""
    return Markup('<data value="{}">{}</data>').format(exact, text)


def _groups(rows: tuple[Row, ...], outcome: Outcome) -> tuple[Group, ...]:
    """Findings that decide, then the others; within each by kind, what decides this verdict first."""
    order = list(_KINDS)
    if outcome is not Outcome.FAIL:
        order.sort(key=lambda kind: kind != "equivalence")

    def by_kind(chosen: list[Row]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
        kinds = ((_KINDS[kind], tuple(r for r in chosen if r.finding.kind == kind)) for kind in order)
        return tuple((title, members) for title, members in kinds if members)

    return (
        Group(
            "findings-deciding",
            "Findings that decide",
            "The verdict rests on these findings together with the test families and the gates.",
            by_kind([r for r in rows if decides(r.finding)]),
        ),
        Group(
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
