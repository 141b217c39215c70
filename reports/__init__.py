"""Renderings of one audit: every report is a pure function of ``audit.record.result.AuditResult``."""
