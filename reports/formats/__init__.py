"""Formats: an `AuditResult` in; the text or bytes of one format out. One file a format; `reports.render` finds it."""
