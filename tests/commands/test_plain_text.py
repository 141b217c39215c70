"""What the command line prints is text: brackets and colons in names are no markup of the terminal library."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from attacks.base import Access
from audit.collect.events import Event
from audit.commands import ending
from audit.interface import progress
from tests.conftest import ARCH, Cli

SAID = "[recipe] C:\\[red] :warning: [/]"


def test_the_plan_names_the_recipe(case: Path, cli: Cli) -> None:
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "--attacks", "all", "--dry-run")
    plan = cli("run", *flags).out
    assert "--train-shadows 64 trains them by the [recipe] of audit.toml" in plan


def test_consoles_print_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ending.human().print(SAID)
    ending.listing().print(SAID)
    out, err = capsys.readouterr()
    assert (out.strip(), err.strip()) == (SAID, SAID)


def test_tables_print_text_as_it_is(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names of plug-ins and the lines of a ledger come from others."""

    class Odd:
        __doc__ = SAID
        access = Access.LOGITS
        needs_original = False

    monkeypatch.setattr("attacks.base.discover", lambda: {"[odd]": Odd})
    listed = cli("attacks").out
    assert all(text in listed for text in (SAID, "[odd]"))
    entry = SimpleNamespace(
        forget="[f]", look=1, share=1.0, time="t", run_id="[run]", policy="[bold]", unlearned="u", digest="d"
    )
    monkeypatch.setattr("audit.certify.ledger.read_ledger", lambda _path: SimpleNamespace(entries=(entry,)))
    (tmp_path / "ledger").touch()
    listed = cli("ledger", tmp_path / "ledger").out
    assert all(text in listed for text in ("[f]", "[run]", "[bold]"))
    assert "\\" not in listed


def test_the_bar_prints_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    console = Console(file=StringIO(), force_terminal=True, width=200)
    with progress.progress(console, quiet=False) as notify:
        values: dict[str, Any] = {"kind": "attack", "name": "[odd]", "model": "[m]", "done": 1, "total": 2, "models": 1}
        notify(Event(**values, status="done", seconds=0.1))
    assert isinstance(console.file, StringIO)
    assert "[odd] on [m]" in console.file.getvalue()
