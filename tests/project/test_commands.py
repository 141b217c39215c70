"""Every command that README.md and docs/ show is run, or the page says why not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.project.conftest import Reader
from tests.project.documents import RECIPES, SHELL, Block, blocks, pages, read

OWN_TEST = {"docs/tutorial.md", "docs/from-your-code.md"}  # begin in folders of their own: test_docs.py, test_from_...
SHOWN = [block for page in pages() for block in blocks(page)]
COMMANDS = [block for block in SHOWN if block.language in SHELL]


def kept(slow: bool) -> list[str]:
    """Pages with commands that are run here."""
    found = [block for block in COMMANDS if not block.says("not run") and bool(block.says("slow")) == slow]
    return sorted({block.page for block in found} - OWN_TEST)


def follow(page: str, prepared: Reader, *, slow: bool) -> None:
    for block in blocks(page):
        prepared.save(block)
        if block.says("not run") is None and (block.says("slow") is not None) == slow:
            prepared.follow(block)


@pytest.mark.parametrize("page", kept(slow=False))
def test_the_commands_do_what_the_page_says(page: str, prepared: Reader, keys: tuple[Path, Path], built: Path) -> None:
    if "audit keygen" not in read(page):  # what the page takes for given
        shutil.copy(keys[1], prepared.folder / "audit.key.pub")
        shutil.copy(built / "unlearned.safetensors", prepared.folder / "model.safetensors")
        (prepared.folder / "certificates").mkdir()
        for run in ("first", "second"):
            certificate = prepared.folder / "runs" / run / "certificate.dsse.json"
            shutil.copy(certificate, prepared.folder / "certificates" / f"{run}.dsse.json")
    follow(page, prepared, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", kept(slow=True))
def test_the_long_commands_do_what_the_page_says(page: str, prepared: Reader) -> None:
    follow(page, prepared, slow=True)


def unclear(page: str, text: str) -> list[str]:
    """Markers without a reason, or elsewhere than right before a block of commands, where they would mean nothing."""
    written = re.findall(r"<!-- *((?:not run|slow|exits)\b.*?) *-->", text)
    shell = [block for block in blocks(page, text) if block.language in SHELL]
    counted = [comment for block in shell for comment in block.comments if re.match(r"[a-z ]+: .{10}", comment)]
    return [marker for marker in written if marker not in counted]


def hides(block: Block) -> bool:
    """Does a block that nobody runs hold a line that reads as a command?"""
    command = re.search(r"^(\$ |> )?(audit|make|python|pip|pytest) \S", block.text, re.MULTILINE)
    return block.language not in SHELL | RECIPES and command is not None


@pytest.mark.parametrize("page", pages())
def test_whatever_is_not_run_says_why(page: str) -> None:
    assert unclear(page, read(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run: needs a runner -->\n\n```sh\ntrue\n```\n",
        "<!-- slow: needs a runner -->\n```python\ntrue\n```\n",
        "<!-- not run -->\n```sh\ntrue\n```\n",
        "<!-- not run: -->\n```sh\ntrue\n```\n",
    ],
)
def test_a_marker_without_reason_or_block_is_found(text: str) -> None:
    assert len(unclear("page", text)) == 1
    assert unclear("page", "<!-- not run: needs a runner -->\n```sh\ntrue\n```\n") == []


def test_no_command_hides_in_another_kind_of_block() -> None:
    assert [block.place for block in SHOWN if hides(block)] == []
    (block,) = blocks("page", "```\n$ audit run\n```\n")
    assert hides(block)


def test_a_command_that_ends_otherwise_is_told(reader: Reader) -> None:
    page = "<!-- exits: audit report 2 -->\n```sh\n{}\n```\n"
    for line in (
        "audit --version",
        "exit 3  # exit code 3",
        "audit report nowhere",
        "# a comment",
        "true \\\n  && true",
    ):
        (block,) = blocks("page", page.format(line))
        reader.follow(block)
    for line in ("audit --versions", "exit 3", "false  # exit code 0"):
        (block,) = blocks("page", page.format(line))
        with pytest.raises(AssertionError, match="page:2"):
            reader.follow(block)
