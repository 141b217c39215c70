"""The HTML report as PDF, by WeasyPrint (extra ``pdf``)."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.errors import CouldNotRun, UsageError
from audit.record.result import AuditResult, to_json
from reports.render import Options

from .html import render as render_page
from .html import render_html

FILE = "report.pdf"
_WIDEST, _TALLEST = 130.0, 145.0  # mm of a drawing on a page in landscape
_PRINT = Path(__file__).parents[1] / "templates" / "pdf.css"


def render(result: AuditResult, options: Options) -> bytes:
    """See `reports.render.render`."""
    return render_pdf(result, render_page(result, options))


def render_pdf(result: AuditResult, page: str = "") -> bytes:
    """Render the HTML report of a run as PDF.

    Nothing is loaded from anywhere: the fetcher refuses every address but ``data:``. Scripts do not run.

    Args:
        result: the run record.
        page: its HTML report; made anew where none is given.

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
    for name in ("weasyprint", "fontTools"):  # they report each CSS property that print ignores
        logging.getLogger(name).setLevel(logging.CRITICAL)
    document = HTML(string=printable(page or render_html(result)), url_fetcher=URLFetcher(allowed_protocols=["data"]))
    identifier = hashlib.sha256(to_json(result).encode()).digest()[:16]
    with _fixed_time():
        written: bytes = document.write_pdf(pdf_identifier=identifier)
    return written


@contextmanager
def _fixed_time() -> Iterator[None]:
    """Fonts that are cut down for a PDF carry the time of that, unless the environment names another."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = given or "0"
    try:
        yield
    finally:
        if given is None:
            del os.environ["SOURCE_DATE_EPOCH"]


def printable(page: str) -> str:
    """The report for a renderer that gives drawings none of the page's style and knows no colour scheme.

    Colours are written out as those of the light scheme, each drawing gets the rules of drawings, and ``pdf.css``
    comes last.
    """
    head, opened, rest = page.partition("<style>")
    css, closed, body = rest.partition("</style>")
    values = dict(re.findall(r"(--[\w-]+): ([^;}]+)", css.partition("@media")[0]))
    css = re.sub(r"var\((--[\w-]+)\)", lambda match: values.get(match[1], match[0]), css)
    rules = re.findall(r"^\.(?:chart|icon)\b[^{]*\{[^}]*\}", css, re.MULTILINE)
    drawn = f"<style>{' '.join(rules)}</style>"
    body = re.sub(r"<svg\b[^>]*>", lambda match: _sized(match[0]) + drawn, body)
    body = body.replace("currentColor", "#17202a")
    return f"{head}{opened}{css}\n{_PRINT.read_text(encoding='utf-8')}{closed}{body}"


def _sized(tag: str) -> str:
    """The opening tag of a drawing, so wide that its height fits on a page."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', tag)
    if box is None or 'class="chart"' not in tag:
        return tag
    width = min(_WIDEST, _TALLEST * float(box[1]) / float(box[2]))
    return tag.replace("<svg", f'<svg style="max-width: {width:.1f}mm"', 1)
