"""The Python interface: sets, models and options as a program holds them in; an `AuditRun` out.

`audit/__init__.py` exports what is public here. The command line calls the same functions of `audit.run`.
"""
