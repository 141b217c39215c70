"""The HTML report: one file, no JavaScript, nothing loaded from anywhere, the same bytes for the same run."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audit.result import AuditResult, Finding, Interval, to_json

from .charts import ABSENT, chart_svg, forest_svg, interval_text, margin_text, num, p_text, placeable, visible

_TEMPLATES = Path(__file__).parent / "templates"
_KINDS = {
    "equivalence": "Must stay inside the margin (equivalence: decides PASS)",
    "difference": "Must not differ from an honest retrain (difference: decides FAIL)",
    "structural": "Structural facts, certain without a test",
    "input": "Inputs",
    "execution": "Execution",
}
STATUS_LEGEND = (
    ("PASS", "The whole interval lies inside the margin, and the check sees the original model."),
    ("FAIL", "The evidence says that the unlearned model still carries, or betrays, the forget set."),
    ("INCONCLUSIVE", "The data decide neither way. What would settle it stands next to the finding."),
    (
        "NOT DETECTED",
        "A difference test did not reject. This is not evidence of forgetting: a weak test rejects nothing.",
    ),
    (
        "NOT COVERED",
        "The attack cannot see the forget set even in the original model, so its silence on the unlearned "
        "model says nothing.",
    ),
    ("SKIPPED", "The check did not run; the reason is given. Nothing was learned from it."),
    ("ERROR", "The check was started and broke. Nothing was learned from it."),
    ("NOTE", "Reported for information; it does not enter the verdict."),
)


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


def render_html(result: AuditResult) -> str:
    """Render the report of one audit.

    Args:
        result: the run record; the report depends on nothing else.

    Returns:
        A complete HTML document with ``\\n`` line ends.
    """
    css = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    rows = tuple(Row(f"finding-{i}", f) for i, f in enumerate(result.findings, 1))
    unlearned = tuple(i for i in result.inputs if i.role == "unlearned" and i.kind == "model")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            verdict=result.verdict,
            css=Markup(css),  # noqa: S704 - our own file, never user text
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            rows=rows,
            groups=_groups(rows),
            legend=STATUS_LEGEND,
            forest=forest_svg(result.findings),
            not_drawn=sum(f.kind == "equivalence" for f in result.findings) - len(placeable(result.findings)),
            policy_values=_flatten(result.policy.values),
            unlearned=unlearned,
            verify=_verify_command(tuple(i.name for i in unlearned)),
            run_digest=hashlib.sha256(to_json(result).encode()).hexdigest(),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        num=_number, p=_p, interval=_interval, margin=margin_text, slug=_slug, chart=chart_svg, exact=_exact
    )
    return environment


def _printable(value: object) -> object:
    """Last step before escaping: no control characters, and a dash for what is absent."""
    if value is None:
        return ABSENT
    return visible(str(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _slug(status: str) -> str:
    return status.lower().replace(" ", "-")


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


def _data(exact: str, text: str) -> Markup:
    """The rounded number for the eye, the exact one for whoever checks."""
    return Markup('<data value="{}">{}</data>').format(exact, text)


def _groups(rows: tuple[Row, ...]) -> tuple[Group, ...]:
    def by_kind(chosen: list[Row]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
        kinds = (
            (title, tuple(r for r in chosen if r.finding.kind == kind)) for kind, title in _KINDS.items()
        )
        return tuple((title, members) for title, members in kinds if members)

    deciding = [r for r in rows if r.finding.role != "supplementary" or r.finding.kind == "structural"]
    others = [r for r in rows if r not in deciding]
    return (
        Group(
            "findings-deciding",
            "Mandatory equivalence, difference and structural findings",
            "The verdict rests on these findings together with the test families and the gates.",
            by_kind(deciding),
        ),
        Group(
            "findings-supplementary",
            "Supplementary findings",
            "Reported in full; no PASS rests on them.",
            by_kind(others),
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
