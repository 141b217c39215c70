"""SARIF 2.1.0: what speaks against the model, as results for code-scanning pages.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from audit.errors import ExitCode
from audit.record.result import AuditResult, Outcome
from reports.checks import VERDICT, Check, Mark, checks, figures
from reports.numbers import visible
from reports.render import DEFAULTS, Options

#: the fingerprint that GitHub code scanning reads; without it all results of one line look the same to it
GITHUB = "primaryLocationLineHash"
#: the first character of the file
_REGION = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: what a kind of finding asks; the text of its rule
_ASKS = {
    "difference": "Tests whether anything tells the forget set from rows that the model never saw, or the model from "
    "models that never saw the forget set.",
    "equivalence": "Asks whether the figure lies so near the one of a model that never saw the forget set that the "
    "whole interval is inside the margin of the policy.",
    "structural": "A fact about the model itself that needs no test.",
    "input": "A fact about the inputs of the audit.",
    "execution": "Whether the check could be run at all.",
    "exploratory": "A figure for orientation; no verdict rests on it.",
}
_HELP = (
    "error: the evidence says that the model still carries, or betrays, the data that it had to forget. Do not release "
    "it; unlearn again, or train again without these data, and audit the new model. "
    "warning: the data decide neither way, which is no PASS. The report says what would settle it, under the finding. "
    "note: a PASS with the restriction that the message names. "
    "A model has no line of source, so the location is the configuration of the audit. Figures, intervals and reasons "
    "stand in report.html and run.json of the run."
)
_EXIT = {Outcome.PASS: ExitCode.PASS, Outcome.FAIL: ExitCode.FAIL, Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE}


def render(result: AuditResult, options: Options) -> str:
    """See `reports.render.render`."""
    return render_sarif(
        result, location=options.sarif_location, category=options.sarif_category, everything=options.sarif_all
    )


def render_sarif(
    result: AuditResult,
    *,
    location: str = DEFAULTS.sarif_location,
    category: str = DEFAULTS.sarif_category,
    everything: bool = DEFAULTS.sarif_all,
) -> str:
    """Render a run as a SARIF log.

    FAIL is level ``error``, INCONCLUSIVE level ``warning``, a qualified PASS level ``note``; a plain PASS is no
    result. A check that broke is a notification of the tool. These are all: a code-scanning page makes an alert of
    every result, whatever its kind.

    Args:
        result: the run record.
        location: the file that results point to, relative to the repository. A model has no source line; the
            configuration of the audit is the nearest thing.
        category: what the page keeps apart: an upload replaces the one before of the same category. Empty: the digest
            of the model, so that two models never replace each other.
        everything: also findings that speak neither way, as kind ``informational``, and those that did not run, as
            kind ``notApplicable``.

    Returns:
        JSON text, the same bytes for the same run.
    """
    found = checks(result)
    broken = [c for c in found if c.mark is Mark.BROKEN]
    wanted = {Mark.FAILED, Mark.OPEN, *((Mark.ASIDE,) if everything else ())}
    shown = [c for c in found if c.mark in wanted or (c.group == VERDICT and _qualified(result))]
    rules = {c.id: position for position, c in enumerate({c.id: c for c in shown}.values())}
    descriptors = {c.id: _rule(c) for c in reversed(shown)}
    uri = quote(location, safe="/")
    invocation: dict[str, Any] = {
        "executionSuccessful": not broken,
        "exitCode": int(_EXIT[result.verdict.outcome]),
        "exitCodeDescription": result.verdict.outcome.value,
    }
    if broken:
        invocation["toolExecutionNotifications"] = [
            {"level": "error", "message": {"text": _text(f"{c.id}: {c.title}. {c.reason}")}} for c in broken
        ]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": visible(result.tool) or "unlearn-audit",
                        "version": visible(result.tool_version),
                        "rules": [descriptors[name] for name in rules],
                    }
                },
                "automationDetails": {"id": _analysis(result, category)},
                "invocations": [invocation],
                "results": [_result(c, rules[c.id], uri, _model(result), result) for c in shown],
                "properties": {
                    "verdict": result.verdict.outcome.value,
                    "qualifier": result.verdict.qualifier,
                    "sentence": visible(result.verdict.sentence),
                    "scope": visible(result.verdict.scope),
                    "warnings": [visible(text) for text in result.verdict.warnings],
                    "policy": visible(result.policy.name),
                    "policySha256": visible(result.policy.sha256),
                },
            }
        ],
    }
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _result(check: Check, index: int, uri: str, model: str, result: AuditResult) -> dict[str, Any]:
    text = f"{check.word}: {check.reason}"
    metric = check.id
    if check.finding is not None:
        metric = check.finding.metric
        text = ". ".join(part for part in (text, figures(check.finding)) if part)
    elif check.group == VERDICT:
        text = ". ".join((text.rstrip("."), *(f"Warning: {w}" for w in result.verdict.warnings), result.verdict.scope))
    kind, level = _kind_level(check)
    fingerprint = hashlib.sha256("\0".join((check.group, metric, model)).encode("utf-8", "backslashreplace"))
    digest = fingerprint.hexdigest()
    return {
        "ruleId": visible(check.id),
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": _text(text)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": dict(_REGION)}}],
        "partialFingerprints": {"unlearningAudit/v1": digest, GITHUB: digest},
    }


def _kind_level(check: Check) -> tuple[str, str]:
    """Kinds other than ``fail`` require level ``none``."""
    if check.mark is Mark.FAILED:
        return "fail", "error"
    if check.mark is Mark.OPEN:
        return "fail", "warning"
    if check.mark is Mark.PASSED:  # a qualified PASS: the only one that is shown
        return "fail", "note"
    skipped = check.word == "SKIPPED"
    return ("notApplicable" if skipped else "informational"), "none"


def _rule(check: Check) -> dict[str, Any]:
    if check.finding is not None:
        asks = _ASKS[check.finding.kind]
    elif check.group == VERDICT:
        asks = "What the audit as a whole concludes about this model, within the scope that the message states."
    else:
        asks = "A condition that the audit itself must meet; where it does not hold, there is no PASS."
    return {
        "id": visible(check.id),
        "shortDescription": {"text": _text(check.title)},
        "fullDescription": {"text": _text(f"{check.title.rstrip('.')}. {asks}")},
        "help": {"text": _HELP},
    }


def _analysis(result: AuditResult, category: str) -> str:
    """Category and run: what stands before the last slash is the category (section 3.17.3, and code scanning)."""
    named = (
        visible(category).strip("/") or f"unlearning-audit/{quote(_model(result) or '-', safe='', errors='replace')}"
    )
    return f"{named}/{quote(result.run_id, safe='', errors='replace')}"


def _model(result: AuditResult) -> str:
    """Digest of the audited model; its file name where only outputs were given."""
    return next((i.sha256 or i.name for i in result.inputs if i.role == "unlearned"), "")


def _qualified(result: AuditResult) -> bool:
    return result.verdict.outcome is Outcome.PASS and bool(result.verdict.qualifier)


def _text(text: str) -> str:
    """Plain text of a message: braces would be placeholders (section 3.11.5), brackets before a parenthesis links.

    Other brackets are text (section 3.11.6), and a page that shows them as they stand would show a backslash, too.
    """
    if "](" in text:
        for mark in "\\[]":
            text = text.replace(mark, f"\\{mark}")
    return visible(text.replace("{", "{{").replace("}", "}}")) or "-"
