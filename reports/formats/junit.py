"""JUnit XML: the verdict, the gates and every finding as test cases, for CI servers that read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from audit.record.result import AuditResult
from reports.checks import Check, Mark, checks, figures
from reports.numbers import visible
from reports.render import Inconclusive, Options

_COUNTED = {Mark.FAILED: "failures", Mark.OPEN: "errors", Mark.BROKEN: "errors", Mark.ASIDE: "skipped"}


def render(result: AuditResult, options: Options) -> str:
    """See `reports.render.render`."""
    return render_junit(result, inconclusive_skipped=options.junit_inconclusive == Inconclusive.SKIPPED)


def render_junit(result: AuditResult, *, inconclusive_skipped: bool = False) -> str:
    """Render a run as JUnit XML.

    PASS alone is a plain test case. FAIL is a failure; INCONCLUSIVE is an error, because servers that gate on this
    file take a skipped case for a good one; what speaks neither way (not detected, not covered, notes, optional
    checks that did not run) is skipped.

    Args:
        result: the run record.
        inconclusive_skipped: INCONCLUSIVE becomes skipped: whoever asks for that must gate on the exit code.

    Returns:
        An XML 1.0 document, the same bytes for the same run: no times, no host.
    """
    groups: dict[str, list[Check]] = {}
    for check in checks(result):
        groups.setdefault(check.group, []).append(check)
    root = ET.Element("testsuites", name=_clean(f"unlearning audit {result.run_id}"))
    total: dict[str, int] = {}
    for name, members in groups.items():
        suite = ET.SubElement(root, "testsuite", name=_clean(name))
        marks = [Mark.ASIDE if inconclusive_skipped and c.mark is Mark.OPEN else c.mark for c in members]
        counts = _counts(marks)
        for key, count in counts.items():
            suite.set(key, str(count))
            total[key] = total.get(key, 0) + count
        if name == "verdict":
            _properties(suite, result)
        for check, mark in zip(members, marks, strict=True):
            _case(suite, check, mark, result)
    for key, count in total.items():
        root.set(key, str(count))
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _counts(marks: Sequence[Mark]) -> dict[str, int]:
    counts = {"tests": len(marks), "failures": 0, "errors": 0, "skipped": 0}
    for mark in marks:
        if mark in _COUNTED:
            counts[_COUNTED[mark]] += 1
    return counts


def _properties(suite: ET.Element, result: AuditResult) -> None:
    listed = ET.SubElement(suite, "properties")
    for name, value in (
        ("verdict", result.verdict.outcome.value),
        ("qualifier", result.verdict.qualifier),
        ("scope", result.verdict.scope),
        ("policy", result.policy.name),
        ("policy.sha256", result.policy.sha256),
        ("run", result.run_id),
        ("tool", f"{result.tool} {result.tool_version}"),
    ):
        ET.SubElement(listed, "property", name=name, value=_clean(value))


def _case(suite: ET.Element, check: Check, mark: Mark, result: AuditResult) -> None:
    case = ET.SubElement(suite, "testcase", classname=_clean(f"unlearning.{check.group}"), name=_clean(check.id))
    message = _clean(f"{check.word}: {check.reason}")
    detail = [check.title]
    if check.finding is not None:
        detail += [figures(check.finding), *(f"what would settle it: {text}" for text in check.finding.settle)]
    elif check.id == "verdict":
        detail += [*result.verdict.reasons, *(f"what would settle it: {text}" for text in result.verdict.settle)]
    text = _clean("\n".join(line for line in detail if line))
    tags = {Mark.FAILED: "failure", Mark.OPEN: "error", Mark.BROKEN: "error", Mark.ASIDE: "skipped"}
    if mark in tags:
        inner = ET.SubElement(case, tags[mark], message=message)
        if mark is not Mark.ASIDE:
            inner.set("type", "INCONCLUSIVE" if mark is Mark.OPEN else _clean(check.word))
        inner.text = text
    else:
        ET.SubElement(case, "system-out").text = f"{message}\n{text}"
    if check.id == "verdict" and result.verdict.warnings:
        ET.SubElement(case, "system-err").text = _clean("\n".join(f"WARNING: {w}" for w in result.verdict.warnings))


def _clean(text: str) -> str:
    """Text that XML 1.0 can hold: control characters are spelled out, the two non-characters it forbids are dropped."""
    return visible(text).replace("\ufffe", "").replace("\uffff", "")
