from __future__ import annotations

from audit.record.result import AuditResult, to_json
from reports.formats.json import render
from reports.render import DEFAULTS


def test_it_is_the_record_itself(any_result: AuditResult) -> None:
    text = render(any_result, DEFAULTS)
    assert text == to_json(any_result)
    assert AuditResult.model_validate_json(text) == any_result
