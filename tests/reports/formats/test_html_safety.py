"""The page is closed against the world, and nothing untrusted in it is more than text."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from audit.record.result import AuditResult
from reports.formats import html as module
from reports.formats.html import render_html
from tests.reports.example_charts import HOSTILE
from tests.reports.page import Clause, Page


@pytest.mark.parametrize("name", ["failing", "hostile", "bare"])
def test_the_page_is_closed_against_the_world(name: str, request: pytest.FixtureRequest) -> None:
    text = render_html(request.getfixturevalue(name))
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "use",
        "foreignobject",
    }
    for attribute in ("style", "src", "srcset", "action", "xlink:href", "background", "ping"):
        assert page.attributes(attribute) == []
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    assert all(re.fullmatch(r"#[a-z0-9-]+", h) for h in page.attributes("href", "a"))
    inlined = page.attributes("href", "image")
    assert all(re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", h) for h in inlined)
    assert len(page.attributes("href")) == len(page.attributes("href", "a")) + len(inlined)
    assert text.count("<style>") == 1
    css = text[text.index("<style>") + 7 : text.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert text.count("<script") == 1
    script = text[text.index("<script>") + 8 : text.index("</script>")]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sources = f"default-src 'none'; style-src 'sha256-{digest}'; script-src 'sha256-{allowed}'; img-src data:"
    assert (policy or "").startswith(sources)
    assert "unsafe" not in (policy or "")


def test_hostile_names_come_out_as_text(hostile: AuditResult) -> None:
    text = render_html(hostile, clauses=(Clause(*[HOSTILE] * 3, (HOSTILE,), HOSTILE, "", HOSTILE),))
    assert text.count("<script") == text.count("</script") == 1  # our own
    assert not set(text) & set("\u202e\x1b\u2066\u2067")
    page = Page(text)
    shown = '<script>alert("x")</script></style>\'; --> ]]> {{ 7*7 }} [bold]b[/bold] \\u202egnp.exe \\u001b[31m'
    for place in ("bdi", "h1"):
        assert place in {tag for tag, _ in page.tags}
    assert page.text.count(shown) > 60
    assert "שלום 🦊" in page.text
    assert "49" not in re.sub(r"[0-9.]+9[0-9.]*", "", page.text)


def test_the_script_is_small_and_writes_no_markup() -> None:
    script = (Path(module.__file__).parents[1] / "templates" / "report.js").read_bytes()
    assert len(script) <= 5 * 1024
    for sink in (b"innerHTML", b"outerHTML", b"insertAdjacent", b"document.write", b"eval", b"fetch", b"import"):
        assert sink not in script


def test_data_digests_never_appear(failing: AuditResult) -> None:
    secret = "5ec2e7" * 10 + "abcd"
    inputs = tuple(i.model_copy(update={"sha256": secret}) if i.kind == "data" else i for i in failing.inputs)
    page = Page(render_html(failing.model_copy(update={"inputs": inputs})))
    assert secret not in page.text
    assert page.text.count("keyed commitment in the certificate") == 4
