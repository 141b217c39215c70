"""The re-audit ledger: counting, chain, concurrency, and the command line."""

import json
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from audit.errors import CouldNotRun
from audit.ledger import forget_digest, open_look, read_ledger, share
from tests.conftest import ARCH, Cli

WHO = {"unlearned": "b" * 64, "policy": "standard"}


def test_shares_sum_to_one():
    assert [share(look) for look in (1, 2, 3)] == [0.5, pytest.approx(1 / 6), pytest.approx(1 / 12)]
    assert sum(share(look) for look in range(1, 2000)) == pytest.approx(1, abs=1e-3)


def test_each_look_at_one_forget_set_is_counted(tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    assert [open_look(path, forget="f", run_id=run, **WHO).number for run in ("r1", "r2", "r2", "r3")] == [1, 2, 2, 3]
    assert open_look(path, forget="another", run_id="r4", **WHO).number == 1
    entries = read_ledger(path)
    assert [entry.look for entry in entries] == [1, 2, 3, 1]
    assert all(later.previous == earlier.digest for earlier, later in pairwise(entries))
    assert open_look(path, forget="f", run_id="r3", **WHO).ledger_head == entries[2].digest


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0].replace("standard", "strict"), *lines[1:]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, "{}"],
        lambda lines: [*lines, "not json"],
    ],
)
def test_an_edited_ledger_is_refused(tmp_path: Path, damage):
    path = tmp_path / "looks.jsonl"
    for run in ("r1", "r2", "r3"):
        open_look(path, forget="f", run_id=run, **WHO)
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(CouldNotRun, match="was edited"):
        read_ledger(path)
    with pytest.raises(CouldNotRun, match="was edited"):
        open_look(path, forget="f", run_id="r4", **WHO)


def test_runs_side_by_side_take_different_looks(tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda i=i: numbers.append(open_look(path, forget="f", run_id=f"r{i}", **WHO).number))
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 13))
    assert len(read_ledger(path)) == 12


def test_the_order_of_the_rows_makes_no_new_forget_set():
    rows = [b"a" * 32, b"b" * 32]
    assert forget_digest(rows, b"k" * 32) == forget_digest(rows[::-1], b"k" * 32)
    assert forget_digest(rows, b"k" * 32) != forget_digest(rows, b"l" * 32)
    assert forget_digest(rows, b"k" * 32) != forget_digest(rows[:1], b"k" * 32)


def test_looks_on_the_command_line(case: Path, cli: Cli, lenient: Path, tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "--split", "attested", "-q", "--ledger", path)
    first = cli("run", *flags, "--policy", lenient)
    assert first.code in (0, 3)
    result = json.loads((Path(first.result["run"]) / "run.json").read_text())
    assert result["look"]["number"] == 1
    assert result["look"]["alpha"] == pytest.approx(0.025)
    assert result["claim"]["looks"] == "ledger"
    again = cli("run", *flags, "--policy", lenient)  # the same run: no new look
    assert again.result["run"] == first.result["run"]
    cli("run", *flags, "--policy", lenient, "--seed", "1")  # another seed is another try
    assert [entry.look for entry in read_ledger(path)] == [1, 2]
    shown = cli("ledger", path)
    assert shown.code == 0
    assert "2 looks, chain of digests unbroken" in shown.out
    assert result["run_id"] in shown.out
    path.write_text(path.read_text().replace("lenient", "screening"))
    assert cli("ledger", path).code == 4
    assert cli("run", *flags, "--seed", "2").code == 4
    assert cli("ledger", tmp_path / "none.jsonl").code == 2


def test_the_certificate_names_the_look(case: Path, cli: Cli, tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q", "--ledger", path)
    statement = json.loads(Path(ended.result["certificate"]).read_text())
    look = statement["predicate"]["unlearningAudit"]["look"]
    assert look["ledger_head"] == read_ledger(path)[0].digest
    assert look["number"] == 1
