"""`audit requests`: which model was audited for which deletion request."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audit.certify.requests import Line, table
from tests.conftest import Cli, arrays, rewrite

Rows = list[dict[str, str]]


@pytest.fixture
def run(finished: Path, built: Path, tmp_path: Path) -> Path:
    """A finished run whose forget set named two requests: its commitment is made anew under its own key."""
    from audit.certify.issued import statement_of
    from audit.inputs.set_files import read_data
    from audit.record.rundir import RunDir

    path = Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))
    shutil.copy(built / "forget.npz", tmp_path / "forget.npz")
    rows = len(arrays(tmp_path / "forget.npz")["y"])
    rewrite(tmp_path / "forget.npz", request=np.array(["R-1"] * 30 + ["R-2"] * (rows - 30)))
    found = statement_of(RunDir(path), (path / "run.json").read_bytes())
    assert found is not None
    key = (path / "private" / "commitment.key").read_bytes()
    commitment = read_data(tmp_path / "forget.npz", need_inputs=False).fingerprint(key)
    found[0]["predicate"]["unlearningAudit"]["commitments"]["forget"] = commitment
    (path / "certificate.dsse.json").unlink()
    (path / "certificate.unsigned.json").write_text(json.dumps(found[0]))
    return path


@pytest.fixture
def ask(cli: Cli, tmp_path: Path, run: Path) -> Callable[..., Rows]:
    """The table as others read it."""

    def call(*args: str | Path) -> Rows:
        target = tmp_path / "requests.csv"
        ended = cli("requests", tmp_path / "forget.npz", "--runs", run.parent, "-o", target, *args)
        assert ended.code == 0, ended.err
        return list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"))))

    return call


def test_each_request_has_each_model_with_its_verdict(
    ask: Callable[..., Rows], built: Path, run: Path, cli: Cli
) -> None:
    found = ask("--model", built / "unlearned.safetensors", "--model", built / "original.safetensors")
    said = [(row["request"], row["rows"], row["model"], row["verdict"]) for row in found]
    assert said == [
        ("R-1", "30", "unlearned.safetensors", "PASS"),
        ("R-1", "30", "original.safetensors", "not audited"),
        ("R-2", "70", "unlearned.safetensors", "PASS"),
        ("R-2", "70", "original.safetensors", "not audited"),
    ]
    assert {row["run"] for row in found} == {str(run), ""}
    ended = cli("requests", run.parents[1], "--runs", run)  # a folder of data, one run, on the screen
    assert (ended.code, ended.out.count("PASS")) == (0, 2)


def test_other_data_and_a_purged_run_count_for_nothing(
    ask: Callable[..., Rows], tmp_path: Path, run: Path, cli: Cli
) -> None:
    names = arrays(tmp_path / "forget.npz")["request"]
    rewrite(tmp_path / "forget.npz", request=np.where(np.arange(len(names)) == 0, "R-3", names))
    assert {(row["request"], row["model"], row["verdict"]) for row in ask()} == {
        (name, "", "not audited") for name in ("R-1", "R-2", "R-3")
    }
    (run / "private" / "commitment.key").unlink()
    ended = cli("requests", tmp_path / "forget.npz", "--runs", run.parent)
    assert (ended.code, "the key of its commitment is gone" in ended.text) == (0, True)


def test_what_is_wrong_is_said(tmp_path: Path, run: Path, built: Path, cli: Cli) -> None:
    cases = {
        "no forget set at": ("requests", tmp_path / "gone.npz", "--runs", run.parent),
        "with files named forget*": ("requests", run.parent, "--runs", run.parent),
        "name that of the runs with --runs": ("requests", tmp_path / "forget.npz", "--runs", tmp_path / "gone"),
        "does not say which request a row belongs to": ("requests", built / "forget.npz", "--runs", run.parent),
    }
    for words, call in cases.items():
        ended = cli(*call)
        assert (ended.code, words in ended.text) == (2, True), (words, ended.err)
    (run / "run.json").write_text((run / "run.json").read_text().replace("PASS", "FAIL", 1))
    assert cli("requests", tmp_path / "forget.npz", "--runs", run.parent).code == 4


def test_a_request_is_no_formula_of_a_spreadsheet() -> None:
    line = Line("=HYPERLINK(1)", 3, "forget.npz", "model", "abc", "PASS")
    (row,) = csv.DictReader(io.StringIO(table([line])))
    assert (row["request"], row["rows"], row["model"]) == ("'=HYPERLINK(1)", "3", "model")
