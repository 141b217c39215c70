"""Decide: `Evidence` and a policy in; an `AuditResult` out. Pure: no model, no file, no clock.

The families of difference tests, the figures, the gates, the verdict and what would settle an open one.
"""
