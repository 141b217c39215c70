"""The report in a real browser: it renders, prints, and nothing is refused by its own security policy."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from audit.result import AuditResult
from reports.html import render_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install it to render the report"),
]


def browse(page: Path, tmp_path: Path, *options: str) -> str:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "Content Security Policy" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def page(failing: AuditResult, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render_html(failing), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_screenshot(page: Path, tmp_path: Path, width: int) -> None:
    picture = tmp_path / "shot.png"
    browse(page, tmp_path, f"--window-size={width},2000", f"--screenshot={picture}")
    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (width, 2000)
    assert len(content) > 50_000  # a blank page of this size has a few kilobytes


def test_pdf(page: Path, tmp_path: Path) -> None:
    document = tmp_path / "report.pdf"
    browse(page, tmp_path, f"--print-to-pdf={document}", "--no-pdf-header-footer")
    content = document.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) > 50_000


def test_the_browser_reads_every_finding(page: Path, tmp_path: Path, failing: AuditResult) -> None:
    dom = browse(page, tmp_path, "--dump-dom")
    assert dom.count('<tr id="finding-') == len(failing.findings)
