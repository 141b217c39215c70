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

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_EXIT = {Outcome.PASS: ExitCode.PASS, Outcome.FAIL: ExitCode.FAIL, Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE}


def render(result: AuditResult, options: Options) -> str:
    """See `reports.render.render`."""
    return render_sarif(result, location=options.sarif_location)


def render_sarif(result: AuditResult, *, location: str = DEFAULTS.sarif_location) -> str:
    """Render a run as a SARIF log.

    FAIL is level ``error``, INCONCLUSIVE level ``warning``, a qualified PASS level ``note``; a plain PASS is no
    result. Findings that speak neither way are of kind ``informational``, those that did not run of kind
    ``notApplicable``. A check that broke is a notification of the tool.

    Args:
        result: the run record.
        location: the file that results point to, relative to the repository. A model has no source line; the
            configuration of the audit is the nearest thing.

    Returns:
        JSON text, the same bytes for the same run.
    """
    found = checks(result)
    broken = [c for c in found if c.mark is Mark.BROKEN]
    shown = [
        c for c in found if c.mark not in (Mark.PASSED, Mark.BROKEN) or (c.group == VERDICT and _qualified(result))
    ]
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
                "automationDetails": {"id": f"unlearning-audit/{visible(result.run_id)}"},
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
    return {
        "ruleId": visible(check.id),
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": _text(text)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}],
        "partialFingerprints": {"unlearningAudit/v1": fingerprint.hexdigest()},
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
    return {"id": visible(check.id), "shortDescription": {"text": _text(check.title)}}


def _model(result: AuditResult) -> str:
    """Digest of the audited model; its file name where only outputs were given."""
    return next((i.sha256 or i.name for i in result.inputs if i.role == "unlearned"), "")


def _qualified(result: AuditResult) -> bool:
    return result.verdict.outcome is Outcome.PASS and bool(result.verdict.qualifier)


def _text(text: str) -> str:
    """Plain text of a message: brackets would be links, braces placeholders (section 3.11)."""
    for mark in "\\[]":
        text = text.replace(mark, f"\\{mark}")
    return visible(text.replace("{", "{{").replace("}", "}}")) or "-"
