"""`audit purge` destroys what it should, follows nothing out of the store, and is stopped by nothing malformed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit.record.rundir import RunDir
from tests.conftest import Cli

ADDRESS = "0f" * 32


@pytest.fixture
def begun(tmp_path: Path) -> RunDir:
    """A run directory with a store beside it that holds one model."""
    run = RunDir(tmp_path / "run")
    run.begin("", fresh=False)
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    for name in (f"{ADDRESS}.safetensors", f"{ADDRESS}.json"):
        (store / name).touch()
    (tmp_path / "victim.safetensors").touch()
    (tmp_path / "victim.json").touch()
    return run


def list_shadows(run: RunDir, keys: Any, store: Any = None) -> None:
    document = {"store": str(run.path.parent / "store") if store is None else store, "keys": keys}
    (run.private / "shadows.json").write_text(json.dumps(document))


def test_only_addresses_are_followed_into_the_store(begun: RunDir, cli: Cli) -> None:
    """A7: a key was joined to the folder as it stood, `../victim` and absolute paths included."""
    outside = begun.path.parent / "victim"
    list_shadows(begun, ["../victim", str(outside), ADDRESS.upper(), ADDRESS + "\n", "", 3, None, ["x"], ADDRESS])
    ended = cli("purge", begun.path, "-y")
    assert ended.code == 0, ended.err
    assert "1 shadow models" in ended.out
    assert outside.with_suffix(".safetensors").exists()
    assert outside.with_suffix(".json").exists()
    assert not list((begun.path.parent / "store").glob(f"{ADDRESS}*"))
    assert not begun.private.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"store": 3, "keys": []}',
        b'{"store": "x", "keys": 3}',
        b'{"store": "x\\u0000", "keys": ["a"]}',
        b'{"store": "\\ud800", "keys": ["a"]}',
    ],
)
def test_the_private_part_is_destroyed_whatever_the_list_holds(begun: RunDir, cli: Cli, content: bytes) -> None:
    (begun.private / "shadows.json").write_bytes(content)
    assert cli("purge", begun.path, "-y").code == 0
    assert not begun.private.exists()


@pytest.mark.parametrize("damage", ["no events", "events is a folder", "model is a folder"])
def test_the_private_part_is_destroyed_whatever_else_is_malformed(begun: RunDir, cli: Cli, damage: str) -> None:
    if damage.startswith("model"):
        (begun.path.parent / "store" / f"{ADDRESS}.json").unlink()
        (begun.path.parent / "store" / f"{ADDRESS}.json").mkdir()
    else:
        begun.events.unlink()
        if damage.startswith("events"):
            begun.events.mkdir()
    list_shadows(begun, [ADDRESS])
    ended = cli("purge", begun.path, "-y")
    assert ended.code == (0 if damage == "no events" else 4)
    assert not begun.private.exists()
    assert not (begun.path.parent / "store" / f"{ADDRESS}.safetensors").exists()
    if damage.startswith("model"):
        assert f"delete by hand {begun.path.parent}/store/{ADDRESS}.json" in ended.text


def test_a_link_in_the_place_of_the_private_part_is_not_followed(begun: RunDir, cli: Cli, tmp_path: Path) -> None:
    begun.private.rename(tmp_path / "elsewhere")
    begun.private.symlink_to(tmp_path / "elsewhere")
    ended = cli("purge", begun.path, "-y")
    assert ended.code == 4
    assert f"is a link, which is not followed: destroy {tmp_path}/elsewhere by hand" in ended.text
    assert (tmp_path / "elsewhere" / "signals").is_dir()
