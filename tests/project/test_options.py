"""Every command and option that the documentation names exists; nothing is run for it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest
import typer

from audit.commands.app import app
from tests.project.documents import RECIPES, ROOT, SHELL, blocks, inline, pages

AUDIT = typer.main.get_command(app)
CALL = re.compile(r"(?:(?<![\w./-])|(?<=bin/))audit (.*?)(?=[;'`]| [|&>#]|$)", re.MULTILINE)
OPTION = re.compile(r"--?[a-z][\w-]*", re.IGNORECASE)


def below(command: Any) -> dict[str, Any]:
    """The commands of a group by name; none below a command."""
    return dict(getattr(command, "commands", {}))


def options(command: Any) -> set[str]:
    """The options of one command."""
    return {"--help", *(option for param in command.params for option in (*param.opts, *param.secondary_opts))}


def all_options(command: Any) -> set[str]:
    """The options of a command and of those below it."""
    return options(command).union(*map(all_options, below(command).values()))


def problems(call: str, command: Any = AUDIT) -> list[str]:
    """What is wrong with the words after a command's name; alternatives stand as ``plan|train``."""
    words = call.split()
    if below(command) and words and not words[0].startswith("-"):
        found = {name: below(command).get(name) for name in words[0].split("|")}
        unknown = [f"no command {name!r}" for name, one in found.items() if one is None]
        known = [one for one in found.values() if one is not None]
        return unknown + [problem for one in known for problem in problems(" ".join(words[1:]), one)]
    used = [match[0] for word in words if (match := OPTION.match(word))]
    return [f"{command.name} has no option {option}" for option in used if option not in options(command)]


def texts(page: str) -> list[str]:
    """What may name a command: code in the prose, and the blocks of commands and recipes without their comments."""
    found = [block.text for block in blocks(page) if block.language in SHELL | RECIPES]
    return [*inline(page), *(re.sub(r"(^|\s)#.*", "", text) for text in found)]


@pytest.mark.parametrize("page", pages())
def test_every_command_and_option_exists(page: str) -> None:
    calls = [call for text in texts(page) for call in CALL.findall(text)]
    assert {call: found for call in calls if (found := problems(call))} == {}


def test_the_commands_are_found_in_the_pages() -> None:
    named = {call.split()[0] for page in pages() for text in texts(page) for call in CALL.findall(text)}
    assert named >= set(below(AUDIT))


@pytest.mark.parametrize("page", pages())
def test_an_option_that_stands_alone_is_one_of_ours(page: str) -> None:
    scripts = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tests" / "fuzz").glob("*.py")]
    known = all_options(AUDIT) | {found for path in scripts for found in re.findall(r'"(--[\w-]+)"', path.read_text())}
    alone = [match[0] for text in inline(page) if (match := re.match(r"--[a-z][\w-]*", text))]
    assert set(alone) <= known


@pytest.mark.parametrize("page", pages())
def test_modules_and_targets_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for text in texts(page):
        for module in re.findall(r"python -m ([\w.]+)", text):
            assert find_spec(module), module
        for target in re.findall(r"^make ([\w-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "call",
    [
        "runs",
        "run --forgets x.npz",
        "references plans",
        "references plan|trains",
        "gate x -k key",
        "--versions",
        "report x -F y",
    ],
)
def test_a_call_that_does_not_exist_is_told(call: str) -> None:
    assert problems(call)


@pytest.mark.parametrize(
    "call", ["--help", "report RUN -f pdf -o x", "references plan|train --forget x", "commit open CERT --key K"]
)
def test_a_call_that_exists_is_not(call: str) -> None:
    assert not problems(call)
