"""The audit of machine unlearning: attack a model as an adversary would, and end with a verdict of known error rate.

    import audit

    found = audit.run(forget="forget.npz", arch="nets:make")          # the rest lies beside it, as on the command line
    found = audit.run(                                                # or everything as a program holds it
        forget=(x_forget, y_forget), retain=(x_retain, y_retain), test=(x_test, y_test),
        original=original, unlearned=unlearned, retrained=[again, and_again], split="attested",
    )
    found.verdict, found.findings, found.findings_frame(), found.report("markdown"), found.certificate

`run` audits, `plan` says what that would cost and could see, `score` judges again under another policy, `load` opens a
run directory, `verify` checks a certificate, `export` writes loaders and outputs as files. Errors are `AuditError` and
its kinds. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # `python -m audit`: Python put the working directory first,
    del sys.path[0]  # where files would take the place of what is imported below; user code is found all the same

from typing import TYPE_CHECKING, Any

# The file audit/run.py and the function audit.run share a name. Imported first and let go of here, the file can not
# take the function's place when something imports it later.
from . import run as _file
from .errors import AuditError, CouldNotRun, InputError, UsageError
from .record.version import VERSION

if TYPE_CHECKING:
    from .certify.envelope import CertificateError
    from .interface.audit_run import AuditRun
    from .interface.calls import load, plan, run, score, verify
    from .interface.export import export
    from .interface.objects import Options

__all__ = [
    "AuditError",
    "AuditRun",
    "CertificateError",
    "CouldNotRun",
    "InputError",
    "Options",
    "UsageError",
    "__version__",
    "export",
    "load",
    "plan",
    "run",
    "score",
    "verify",
]

__version__ = VERSION

_PLACES = {
    "AuditRun": ".interface.audit_run",
    "Options": ".interface.objects",
    "CertificateError": ".certify.envelope",
    "export": ".interface.export",
    **dict.fromkeys(("load", "plan", "run", "score", "verify"), ".interface.calls"),
}
del _file
globals().pop("run")


def __getattr__(name: str) -> Any:
    """Import what is public when it is first used."""
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
