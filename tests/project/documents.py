"""The pages of the documentation as the tests read them: their fenced blocks, and the commands in them.

A block of commands may have HTML comments on the lines right before it, one a line:

- ``<!-- not run: reason -->``: no test runs it.
- ``<!-- slow: reason -->``: a slow test runs it.
- ``<!-- exits: audit gate 1, audit score 3 -->``: how its commands end in the tests' small case. A command that ends so
  for every reader says it itself: ``# exit code 3``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMENT = re.compile(r"\s*<!-- (.*?) -->\s*")
FENCE = re.compile(r"(\s*)(```+|~~~+)\s*(\S*)(.*)")
SHELL = {"sh", "bash", "console", "shell"}
RECIPES = {"yaml", "groovy"}  # for CI servers: test_ci.py and test_options.py look at the commands in them


@dataclass(frozen=True)
class Command:
    """One command as it is shown, and the exit code that it must end with."""

    text: str
    code: int


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its info string, its text, the comments before it."""

    page: str
    line: int
    language: str
    info: str
    text: str
    comments: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that a reader saves the block as."""
        found = re.search(r'title="([^"]+)"', self.info)
        return found[1] if found else None

    def says(self, word: str) -> str | None:
        """The text of the comment before the block that begins with a word and a colon."""
        found = (comment.partition(": ") for comment in self.comments)
        return next((text for name, _, text in found if name == word), None)

    def commands(self) -> list[Command]:
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [Command(line, self._code(line)) for line in lines if line.strip() and not line.startswith("#")]

    def _code(self, line: str) -> int:
        if said := re.search(r"# exit code (\d+)", line):
            return int(said[1])
        expected = re.findall(r"(audit [a-z ]+) (\d+)", self.says("exits") or "")
        return next((int(code) for command, code in expected if command in line), 0)


def pages() -> list[str]:
    """README.md, CONTRIBUTING.md and every page of docs."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in found)]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, text: str | None = None) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = (read(page) if text is None else text).splitlines()
    number, comments = 0, list[str]()
    while number < len(lines):
        if opened := FENCE.fullmatch(lines[number]):
            indent, fence, language, info = opened.groups()
            end = next(k for k in range(number + 1, len(lines)) if lines[k].strip() == fence)
            content = "".join(f"{line.removeprefix(indent)}\n" for line in lines[number + 1 : end])
            yield Block(page, number + 1, language, info, content, tuple(comments))
            number = end
        comment = COMMENT.fullmatch(lines[number])
        comments = [*comments, comment[1]] if comment else []
        number += 1


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^([ \t]*)(```+|~~~+).*?^\1\2[ \t]*$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def inline(page: str) -> list[str]:
    """What stands in backticks in a page's prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))
