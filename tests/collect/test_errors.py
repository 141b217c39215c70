"""Exception text never reaches a file that may be shared: it quotes rows, names and paths."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attacks.base import NotApplicable
from attacks.membership.lira import Membership
from attacks.representation.probe import Probe
from audit.collect.failures import failure, kind_of, skip
from tests.conftest import ARCH, Cli

SECRET = "Jane Doe, born 1970, /home/jane/scan.png"
NETS = f"""
import torch
from audit.demo import network


class Net(torch.nn.Sequential):
    def forward(self, x):
        if x.requires_grad:  # only an attack asks for gradients of the inputs
            raise ValueError({SECRET!r})
        return super().forward(x)


def make():
    return Net(*network())
"""


def raising(kind: type[Exception] = ArithmeticError) -> Callable[..., Any]:
    def run(*_args: Any) -> Any:
        raise kind(SECRET)

    return run


def shared(run: Path) -> dict[str, str]:
    """All files outside of ``private/``."""
    return {
        path.name: path.read_text() for path in run.rglob("*") if path.is_file() and run / "private" not in path.parents
    }


@pytest.mark.parametrize("place", ["run", "combine", "forward"])
def test_the_text_of_an_error_stays_private(
    case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, place: str, keys: tuple[Path, Path]
) -> None:
    """A5: an attack's exception, a scorer's and the network's own went into record, report, events and statement."""
    arch = ARCH
    if place == "forward":
        Path("secret_nets.py").write_text(NETS)
        arch = "secret_nets:make"
    else:
        monkeypatch.setattr(Membership, place, raising())
    ended = cli(
        "run", "--forget", case / "forget.npz", "--arch", arch, "--sign-key", keys[0], "--attacks", "gated,uma", "-q"
    )
    run = Path(ended.result["run"])
    files = shared(run)
    assert {"run.json", "report.html", "events.jsonl", "certificate.dsse.json"} <= files.keys()
    assert [name for name, text in files.items() if "Jane" in text or "Traceback" in text] == []
    errors = [a for a in json.loads(files["run.json"])["attacks"] if a["status"] == "error"]
    assert errors
    assert all("Error" in a["reason"] and "its text is in private/errors.log" in a["reason"] for a in errors)
    log = run / "private" / "errors.log"
    assert SECRET in log.read_text()
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert all(a["reason"].partition("(")[2].rstrip(")") in log.read_text() for a in errors)
    again = cli(
        "run", "--forget", case / "forget.npz", "--arch", arch, "--sign-key", keys[0], "--attacks", "gated,uma", "-q"
    )
    assert (run / "run.json").read_text() == files["run.json"]
    assert again.code == ended.code
    scored = cli("score", run, "--policy", "screening", "--sign-key", keys[0])
    assert scored.code == 3
    assert [name for name, text in shared(run).items() if "Jane" in text] == []


def test_the_words_of_a_plug_in_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our attacks skip with fixed sentences; what another package says may quote anything."""
    ours = skip(NotApplicable("needs two classes"), Probe, "on unlearned")
    assert (ours.reason, ours.text) == ("needs two classes", "")
    monkeypatch.setattr(Probe, "__module__", "others.attacks")
    theirs = skip(NotApplicable(SECRET), Probe, "on unlearned")
    assert "Jane" not in theirs.reason
    assert SECRET in theirs.text


def test_a_type_may_be_called_anything() -> None:
    assert kind_of(type(SECRET, (Exception,), {})()) == "an exception"
    assert kind_of(KeyError()) == "KeyError"
    assert "Jane" not in failure(type(SECRET, (Exception,), {})(), Probe, "on unlearned").reason
