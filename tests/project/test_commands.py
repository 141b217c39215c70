"""Every command that README.md and docs/ show is run, or the page says why not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.project.conftest import Reader
from tests.project.documents import RECIPES, SHELL, Block, blocks, pages, read

OWN_TEST = {"docs/tutorial.md"}  # begins in an empty folder: test_docs.py
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


def test_whatever_is_not_run_says_why() -> None:
    """A marker counts only right before a block of commands, so that a misplaced one cannot hide anything."""
    for page in pages():
        written = re.findall(r"<!-- *(?:not run|slow|exits)\b", read(page))
        understood = [block.says(word) for block in blocks(page) for word in ("not run", "slow", "exits")]
        reasons = [reason for reason in understood if reason is not None]
        assert len(written) == len(reasons), page
        assert all(len(reason) > 10 for reason in reasons), page
    for block in SHOWN:
        assert block.language in SHELL or not block.comments or block.says("not run") is None, block.place


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.place)
def test_no_command_hides_in_another_kind_of_block(block: Block) -> None:
    if block.language not in SHELL | RECIPES:
        assert not re.search(r"^(\$ |> )?(audit|make|python|pip|pytest) ", block.text, re.MULTILINE), block.place


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
