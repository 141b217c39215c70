"""Files are read once: the digest is that of the bytes that were parsed, whatever file has the name meanwhile."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from audit.certify.envelope import read_certificate
from audit.certify.keys import load_private_key, read_public_key
from audit.errors import AuditError, CouldNotRun
from audit.inputs.models import StoredTarget, load_model
from audit.inputs.npz import read_npz
from audit.policy.policy import load_policy
from audit.record.digest import load_or_create_key, sha256_file
from audit.record.readonce import opened, read_once
from audit.record.result import read_result

Hook = Callable[[str], None]
_hooks: list[Hook] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _hooks and isinstance(arguments[0], (str, os.PathLike)):
        _hooks[0](os.fspath(arguments[0]))


sys.addaudithook(_watch)  # cannot be removed: does nothing but where a test asks


def net() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 3))


def write_model(path: Path, value: float) -> None:
    if path.suffix == ".npz":
        np.savez(path, forget=np.full((4, 3), value))
        return
    state = {name: torch.full_like(part, value) for name, part in net().state_dict().items()}
    content = io.BytesIO()
    torch.save(state, content)
    path.write_bytes(safetensors.torch.save(state) if path.suffix == ".safetensors" else content.getvalue())


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".safetensors"])
@pytest.mark.parametrize("step", range(3))
def test_the_digest_is_that_of_the_bytes_that_were_loaded(
    tmp_path: Path, suffix: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file is renamed over the model before its first, second, third opening: the smallest race."""
    honest, leaking, model = (tmp_path / f"{name}{suffix}" for name in ("honest", "leaking", "model"))
    write_model(honest, 1.0)
    write_model(leaking, 2.0)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest(): value for path, value in ((honest, 1.0), (leaking, 2.0))}
    shutil.copy(honest, model)
    count = 0

    def swap(path: str) -> None:
        nonlocal count
        if path == str(model):
            count += 1
            if count == step + 1:
                leaking.replace(model)

    def loading(path: Path) -> Any:  # opened by Rust, where no hook sees it
        swap(str(path))
        return load_file(path)

    load_file = safetensors.torch.load_file
    monkeypatch.setattr(safetensors.torch, "load_file", loading)
    _hooks[:] = [swap]
    try:
        found, digest = load_model(
            model, arch="tests.record.test_readonce:net", device="cpu", head=None, trust_pickle=False
        )
    finally:
        _hooks.clear()
    assert {float(np.ravel(part)[0]) for part in found.state.values()} == {digests[digest]}


def _append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"z")


def _read_and_change(path: Path, change: Callable[[Path], object]) -> None:
    with opened(path) as stream:
        stream.read(10)
        change(path)


@pytest.mark.parametrize("change", [_append, lambda p: p.write_bytes(b"y" * 100), lambda p: os.utime(p, ns=(1, 1))])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"x" * 100)
    with pytest.raises(OSError, match="changed while it was read"):
        _read_and_change(path, change)
    assert read_once(path, 3)


def _refused(use: Callable[[Path], object], path: Path) -> str:
    with pytest.raises((AuditError, ValueError, OSError)) as caught:
        use(path)
    return str(caught.value)


READERS: dict[str, Callable[[Path], object]] = {
    "model": lambda path: load_model(path, arch=None, device="cpu", head=None, trust_pickle=False),
    "data": read_npz,
    "policy": lambda path: load_policy(str(path)),
    "public key": read_public_key,
    "private key": load_private_key,
    "project key": load_or_create_key,
    "certificate": read_certificate,
    "record": read_result,
    "digest": sha256_file,
}


@pytest.mark.parametrize("what", READERS)
def test_only_regular_files_are_read_and_nothing_waits(what: str, tmp_path: Path) -> None:
    pipe, place = tmp_path / "pipe.npz", tmp_path / "socket.npz"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        for path in (pipe, place, Path("/dev/null"), tmp_path):
            if what == "model" and path.suffix != ".npz":
                continue
            message = _refused(READERS[what], path)
            assert str(path) in message, message
    assert "a named pipe, not a regular file" in _refused(READERS[what], pipe)


def test_a_stored_model_stays_the_one_that_it_was(tmp_path: Path) -> None:
    path = tmp_path / "shadow.safetensors"
    write_model(path, 1.0)
    stored = StoredTarget(path, "tests.record.test_readonce:net", "cpu", None, "key", sha256_file(path))
    assert stored.state
    write_model(path, 2.0)
    with pytest.raises(CouldNotRun, match="changed after it was trained"):
        _ = stored.state
