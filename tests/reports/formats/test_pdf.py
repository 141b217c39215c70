from __future__ import annotations

import io
import urllib.request
from typing import Any

import pytest

from audit.record.result import AuditResult, Outcome
from reports.formats.html import render_html
from tests.reports.conftest import example

pytest.importorskip("weasyprint", reason="WeasyPrint is not installed: pip install 'unlearn-audit[pdf]'")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: pip install 'unlearn-audit[dev]'")

from reports.formats.pdf import printable, render_pdf  # noqa: E402 - after the check that its package is there

pytestmark = pytest.mark.filterwarnings("ignore")  # of WeasyPrint and its parts


def text_of(content: bytes) -> tuple[str, int]:
    reader = pypdf.PdfReader(io.BytesIO(content))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).replace("\0", "").split()), len(reader.pages)


def test_a_reader_finds_the_verdict_and_every_finding() -> None:
    failing = example(Outcome.FAIL)
    content = render_pdf(failing)
    text, pages = text_of(content)
    assert pages > 3
    assert "FAIL" in text[:200]
    assert "AUC 0.84 (0.79 to 0.89, 90% interval)" in text[:400]
    assert "relearning recovers it too fast" in text[:1500]
    assert "Attacks that see the training gradients." in text
    squeezed = text.replace(" ", "")
    for f in failing.findings:
        assert f.id in squeezed
    assert render_pdf(failing) == content


@pytest.mark.slow
def test_nothing_is_fetched(hostile: AuditResult, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def refuse(_self: Any, request: Any, *_args: Any, **_options: Any) -> None:
        opened.append(getattr(request, "full_url", str(request)))
        raise OSError("no network in this test")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    page = (
        '<img src="https://evil.example/a.png"><img src="file:///etc/passwd"><link rel="stylesheet" href="http://x/">'
    )
    monkeypatch.setattr(
        "reports.formats.pdf.render_html", lambda *_given: render_html(hostile).replace("</main>", page)
    )
    text, _ = text_of(render_pdf(hostile))
    assert "Findings" in text
    assert [url for url in opened if not url.startswith("data:")] == []  # pictures in the page itself


def test_drawings_carry_their_own_style(failing: AuditResult) -> None:
    page = printable(render_html(failing))
    assert "var(--unlearned)" not in page
    drawing = page[page.index('class="chart"') :]
    assert ".chart .line" in drawing[: drawing.index("</style>")]
    assert page.count("<style>") == 1 + page.count("<svg")
