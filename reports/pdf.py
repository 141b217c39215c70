"""The HTML report as PDF, by WeasyPrint (extra ``pdf``)."""

from __future__ import annotations

import hashlib
import logging

from audit.errors import CouldNotRun, UsageError
from audit.result import AuditResult, to_json

from .html import render_html


def render_pdf(result: AuditResult) -> bytes:
    """Render the HTML report of a run as PDF.

    Nothing is loaded from anywhere: the fetcher refuses every address but ``data:``. Scripts do not run.

    Args:
        result: the run record.

    Returns:
        A PDF document, the same bytes for the same run, version of WeasyPrint and fonts.

    Raises:
        UsageError: WeasyPrint is not installed.
        CouldNotRun: WeasyPrint does not find its system libraries.
    """
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except ImportError as error:
        raise UsageError("PDF needs WeasyPrint: pip install 'unlearn-audit[pdf]'.") from error
    except OSError as error:
        raise CouldNotRun(
            f"WeasyPrint does not find its system libraries ({error}): install Pango, or print the HTML report from a "
            "browser."
        ) from error
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # it reports each CSS property that print ignores
    logging.getLogger("fontTools").setLevel(logging.CRITICAL)
    fetcher = URLFetcher(allowed_protocols=["data"], fail_on_errors=False)
    document = HTML(string=render_html(result), url_fetcher=fetcher)
    identifier = hashlib.sha256(to_json(result).encode()).digest()[:16]
    written: bytes = document.write_pdf(pdf_identifier=identifier)
    return written
