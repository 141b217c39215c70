"""Runs side by side: several `AuditResult` in; a page or a table out."""
