"""Links of the documentation lead somewhere: files and headings, looked up on the disk."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.project.documents import ROOT, pages, prose

PAGES = [*pages(), "CHANGELOG.md"]
FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def targets(text: str) -> list[str]:
    """Where the links of a page lead, code left out: ``[a](b)``, ``![a](b)``, ``[a]: b``, ``href`` and ``src``."""
    text = re.sub(r"`[^`\n]+`", "`code`", text)
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    found += re.findall(r"^\s*\[[^\]]+\]:\s+(\S+)", text, re.MULTILINE)
    return found + re.findall(r"(?:href|src)=\"([^\"]+)\"", text)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken(page: Path, text: str, root: Path) -> list[str]:
    """The links of a page that lead nowhere, or out of the repository."""
    return [link for link in targets(text) if not FOREIGN.match(link) and not _leads(page, text, link, root)]


def _leads(page: Path, text: str, link: str, root: Path) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page.resolve()
    if name.startswith("/") or not target.is_relative_to(root.resolve()) or not target.exists():
        return False
    if not anchor:
        return True
    content = text if target == page.resolve() else prose(target.relative_to(root.resolve()).as_posix())
    return target.suffix == ".md" and anchor in anchors(content)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    assert broken(ROOT / page, prose(page), ROOT) == []


def test_there_are_links_to_check() -> None:
    assert sum(len(targets(prose(page))) for page in PAGES) > 30


@pytest.mark.parametrize(
    "link",
    [
        "docs/nowhere.md",
        "#nowhere",
        "docs/statistics.md#nowhere",
        "../README.md",
        "docs/../../x/README.md",
        "/README.md",
    ],
)
def test_a_broken_link_is_found(link: str) -> None:
    for text in (f"# A\n[x]({link})", f"# A\n![x]({link})", f"# A\n[x]: {link}", f'# A\n<a href="{link}">x</a>'):
        assert broken(ROOT / "README.md", text, ROOT) == [link]


@pytest.mark.parametrize(
    "link", ["docs/ci.md", "#a-b--c-1", "docs/attacks.md#adding-an-attack", "https://x.org/y", "docs"]
)
def test_a_good_link_is_not(link: str) -> None:
    assert broken(ROOT / "README.md", f"# `A` b & c\n# [A](x:y) b & c!\n[x]({link}) `[y](z)`", ROOT) == []
