"""One door to all formats: their names, what can be asked of them, and `render`.

A format is a file in ``reports/formats/``. Its name is the name of the file; the file is imported when it is asked
for, so that listing the names costs nothing. It holds::

    FILE = "report.html"  # only where it goes into the run directory by default; else it goes to standard output
    def render(result: AuditResult, options: Options) -> str | bytes: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import TYPE_CHECKING

from audit.errors import UsageError
from reports import formats

if TYPE_CHECKING:
    from audit.certify.issued import Issued
    from audit.record.result import AuditResult
    from audit.record.rundir import RunDir

#: how help lists them; a format that is not named here follows in alphabetical order
_FIRST = ("html", "pdf", "markdown", "junit", "sarif", "json", "model-card", "compliance", "mlflow", "terminal")


def find_formats() -> tuple[str, ...]:
    """The names of the files in ``reports/formats/``, with ``-`` for ``_``; none of them is imported."""
    found = {module.name.replace("_", "-") for module in pkgutil.iter_modules(formats.__path__)}
    return (*(name for name in _FIRST if name in found), *sorted(found.difference(_FIRST)))


FORMATS = find_formats()


class Inconclusive(StrEnum):
    """What INCONCLUSIVE is in JUnit."""

    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Options:
    """What can be asked of formats; each reads what concerns it.

    Args:
        run: html: the run whose ``run.json`` the report names by its digest. mlflow: the run that is exported.
        run_json: html: the bytes of that ``run.json``, where they are in hand; else the file is read.
        issued: html, pdf, compliance: the head of the certificate; else that of the certificate in ``run``.
        frameworks: html: ids of the frameworks whose clauses are listed, none where none is named. compliance: the
            same, all where none is named.
        markdown: compliance: Markdown in place of a page.
        junit_inconclusive: junit: what INCONCLUSIVE becomes.
        sarif_location: sarif: the file that results point to, relative to the repository.
        sarif_category: sarif: what code scanning keeps apart; the digest of the model where none is named.
        sarif_all: sarif: results of every kind, not of kind ``fail`` alone.
        max_bytes: markdown: the summary is cut here.
        experiment: mlflow: name of the experiment.
        width: terminal: columns.
    """

    run: RunDir | None = None
    run_json: bytes | None = None
    issued: Issued | None = None
    frameworks: tuple[str, ...] = ()
    markdown: bool = False
    junit_inconclusive: Inconclusive = Inconclusive.ERROR
    sarif_location: str = "config.toml"
    sarif_category: str = ""
    sarif_all: bool = False
    max_bytes: int = 1024 * 1024
    experiment: str = "unlearning-audit"
    width: int = 120


DEFAULTS = Options()


def render(result: AuditResult, name: str, options: Options = DEFAULTS) -> str | bytes:
    """Render a run in one format.

    Args:
        result: the run record.
        name: one of `FORMATS`.
        options: what the caller asks for.

    Returns:
        Text, or bytes where the format is no text. ``mlflow`` exports, and returns the id there.

    Raises:
        UsageError: there is no such format or framework, or what the format needs is missing.
        CouldNotRun: a library of the system or the store of MLflow is out of reach.
    """
    content: str | bytes = _module(name).render(result, options)
    return content


def render_bytes(result: AuditResult, name: str, options: Options = DEFAULTS) -> bytes:
    """What `render` returns, as it is written to a file: text in UTF-8."""
    content = render(result, name, options)
    return content.encode("utf-8") if isinstance(content, str) else content


def default_file(name: str) -> str | None:
    """The file in the run directory that a format goes to by default; None where it goes to standard output.

    Raises:
        UsageError: there is no such format.
    """
    file: str | None = getattr(_module(name), "FILE", None)
    return file


def _module(name: str) -> ModuleType:
    names = find_formats()
    if name not in names:
        raise UsageError(f"no report format {name!r}: choose from {', '.join(names)}.")
    return importlib.import_module(f"{formats.__name__}.{name.replace('-', '_')}")
