"""A strict reader of the page, and a clause for its section."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple


class Clause(NamedTuple):
    framework: str
    clause: str
    title: str
    evidence: tuple[str, ...]
    strength: str
    missing: str
    actor: str
    certainty: str = "verify before printing"
    ids: str = "membership.auc"


CLAUSE = Clause("GDPR", "Art. 17(1)", "erasure", ("membership.auc", "gates"), "supporting", "copies", "controller")
VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}


class Page(HTMLParser):
    """Parses strictly: every element must be closed in order. Collects tags, text, ids and links."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    def attributes(self, name: str, of: str = "") -> list[str]:
        return [attrs[name] or "" for tag, attrs in self.tags if name in attrs and of in ("", tag)]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())
