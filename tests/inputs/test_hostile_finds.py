"""Faults that the generator of hostile inputs found (`tests/hostile`), each at its smallest input."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from audit.certify.kept import find_key
from audit.commands.certificate import verify
from audit.errors import AuditError, CouldNotRun, ExitCode, UsageError
from audit.inputs.archive import Unsound, check_weights
from audit.inputs.data import Arrays
from audit.inputs.outputs import outputs_target
from audit.inputs.pickled import MOST_VALUES, grows_without_end
from audit.inputs.probing import probe_models
from audit.inputs.recipe import RecipeSection
from audit.inputs.resolve import resolve
from audit.policy.policy import load_policy
from audit.record.rundir import RunDir
from audit.record.toml import parse_toml
from audit.training.hooks import import_sources
from audit.training.problems import TrainingError


def doubling(depth: int) -> bytes:
    """A mapping whose key is a tuple of twice the tuple before it."""
    steps = b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(depth))
    return b"\x80\x02N\x85q\x00" + steps + b"}h%cNs." % depth


@pytest.mark.parametrize("depth", [25, 60])
def test_keys_that_hash_for_ever(depth: int) -> None:
    assert grows_without_end(doubling(depth))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", doubling(depth))
    for content in (doubling(depth), pickle.dumps(1, 2) + doubling(depth), stream.getvalue()):
        with pytest.raises(Unsound, match=f"holds tuples of more than {MOST_VALUES} values, each in the next: save"):
            check_weights(content)


def test_what_torch_writes_is_let_through() -> None:
    module = nn.TransformerEncoderLayer(8, 2, 16)
    for archive in (True, False):
        stream = io.BytesIO()
        state = {
            "model": module.state_dict(),
            "epoch": (1, (2, (3,))),
            "optimizer": torch.optim.Adam(module.parameters()),
        }
        state["optimizer"] = state["optimizer"].state_dict()
        torch.save(state, stream, _use_new_zipfile_serialization=archive)
        check_weights(stream.getvalue())
    assert not grows_without_end(pickle.dumps(tuple(range(10**5))))
    assert not grows_without_end(doubling(8))
    assert not grows_without_end(b"\x00\x01 no pickle")


def test_sets_of_one_model_with_different_numbers_of_classes() -> None:
    rows = {role: Arrays(None, np.zeros(4, dtype=np.int64)) for role in ("forget", "test")}
    sides = {"forget": np.array([[1.0, 2.0]] * 4), "test": np.array([[1.0, 2.0, 3.0]] * 4)}
    problems: list[str] = []
    probe_models({"unlearned": outputs_target(sides, "m.npz")}, rows, problems)
    assert problems == [
        "unlearned: its sets have different numbers of classes ({'forget': 2, 'test': 3}): give the logits of one model"
    ]


@pytest.mark.parametrize("spec", ["gone:f", "os:gone"])
@pytest.mark.parametrize("line", ["train", "unlearn"])
def test_a_function_that_cannot_be_imported_is_bad_input(line: str, spec: str) -> None:
    with pytest.raises(TrainingError, match=rf'\[recipe\] {line} = "{spec}"') as caught:
        import_sources(RecipeSection.model_validate({line: spec}), "audit.demo:network")
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "0x" + "f" * 6000], ids=["above", "below", "far"])
def test_integers_beyond_64_bits(text: str) -> None:
    assert parse_toml(b"a = 0x7fffffffffffffff\nb = [{c = -1}]") == {"a": 2**63 - 1, "b": [{"c": -1}]}
    for place in (f"a = {text}", f"[a]\nb = [1, {{c = {text}}}]"):
        with pytest.raises(ValueError, match="an integer of more than 64 bits"):
            parse_toml(place.encode())


@pytest.mark.parametrize(("key", "most"), [("permutations", 1_000_000), ("valid_days", 36_525)])
def test_policies_end_in_time(tmp_path: Path, key: str, most: int) -> None:
    from importlib import resources

    lines = (resources.files("audit.policy") / "standard.toml").read_text().splitlines()
    for value, fits in ((most, True), (most + 1, False)):
        changed = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in lines]
        path = tmp_path / f"p{value}.toml"
        path.write_text("\n".join(changed).replace('name = "standard"', 'name = "mine"'))
        if fits:
            assert getattr(load_policy(str(path))[0], key) == value
        else:
            with pytest.raises(UsageError, match=f"{key}: Input should be less than or equal to {most}"):
                load_policy(str(path))


def test_a_run_that_notes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "project").write_bytes(b"a\0b")
    with pytest.raises(CouldNotRun, match=r"private/project names no folder: name the one whose \.audit/"):
        find_key(RunDir(tmp_path))


def test_a_configuration_whose_name_no_terminal_can_show(tmp_path: Path) -> None:
    path = tmp_path / "a\rb.toml"
    path.write_text("seed = 1")
    with pytest.raises(UsageError, match=r"a\\rb.toml has control characters in its name: rename"):
        resolve({}, path)


def test_a_wrong_value_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seed = -1")
    with pytest.raises(UsageError, match=r"configuration \(.*mine.toml, flags and variables\):\n  seed: Input"):
        resolve({}, tmp_path / "mine.toml")


@pytest.mark.parametrize("bad", ["certificate.json", "signer.pub"])
def test_verify_names_the_file_that_is_wrong(tmp_path: Path, bad: str) -> None:
    from cases.certified import ENVELOPE, PUBLIC

    for name, content in (("certificate.json", ENVELOPE), ("signer.pub", PUBLIC)):
        (tmp_path / name).write_bytes(b"{}" if name == bad else content)
    with pytest.raises(AuditError) as caught:
        verify(tmp_path / "certificate.json", tmp_path / "signer.pub", [tmp_path / "model"], None, None)
    assert str(caught.value).startswith(f"{tmp_path / bad}: the ")
    assert os.linesep not in str(caught.value)
