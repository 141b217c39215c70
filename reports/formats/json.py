"""``run.json`` itself: the record as this version writes it."""

from __future__ import annotations

from audit.record.result import AuditResult, to_json
from reports.render import Options


def render(result: AuditResult, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """See `reports.render.render`."""
    return to_json(result)
