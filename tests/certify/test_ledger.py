"""The re-audit ledger: counting, chain, concurrency, and the command line."""

import json
import shutil
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from audit.certify import chain
from audit.certify.chain import share
from audit.certify.ledger import check_ledger, forget_digest, look_again, open_look, read_ledger
from audit.errors import CouldNotRun, UsageError
from audit.record.result import LookRecord
from tests.conftest import ARCH, Cli

STANDARD, STRICT = ("standard", "1" * 64), ("strict", "2" * 64)


def look(path: Path, run: str, forget: str = "f", policy: tuple[str, str] = STANDARD) -> LookRecord:
    return open_look(path, forget=lambda _: forget, unlearned="b" * 64, run_id=run, policy=policy)


def test_shares_sum_to_one():
    assert [share(look) for look in (1, 2, 3)] == [0.5, pytest.approx(1 / 6), pytest.approx(1 / 12)]
    assert sum(share(look) for look in range(1, 2000)) == pytest.approx(1, abs=1e-3)


def test_each_look_at_one_forget_set_is_counted(tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    assert [look(path, run).number for run in ("r1", "r2", "r2", "r3")] == [1, 2, 2, 3]
    assert look(path, "r4", forget="another").number == 1
    entries = read_ledger(path).entries
    assert [entry.look for entry in entries] == [1, 2, 3, 1]
    assert all(later.previous == earlier.digest for earlier, later in pairwise(entries))
    assert look(path, "r3").ledger_head == entries[2].digest
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_policy_is_another_look(tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    first = look(path, "r1")
    assert look_again(path, head=first.ledger_head, policy=STANDARD) == first
    again = look_again(path, head=first.ledger_head, policy=STRICT)
    assert (again.number, again.alpha) == (2, pytest.approx(1 / 6))
    assert look_again(path, head=first.ledger_head, policy=STRICT) == again
    assert look(path, "r1") == first  # back under the first policy: what was counted then
    assert look(path, "r2").number == 3
    for missing in (tmp_path / "none.jsonl", path):
        with pytest.raises(UsageError, match="does not hold the look of this run"):
            look_again(missing, head="0" * 64, policy=STRICT)


def test_the_key_of_the_digests_stands_in_the_ledger(tmp_path: Path):
    keys: list[bytes | None] = []
    path = tmp_path / "looks.jsonl"

    def digest(key: bytes | None) -> str:
        keys.append(key)
        return "f"

    for run in ("r1", "r2"):
        open_look(path, forget=digest, unlearned="b" * 64, run_id=run, policy=STANDARD)
    assert keys[0] == keys[1]
    assert keys[0] is not None
    assert len(keys[0]) == 32
    header = read_ledger(path).header
    assert header is not None
    assert header.key == keys[0].hex()


def test_a_ledger_of_an_older_version_goes_on_under_the_project_key(tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    fields: dict[str, object] = {
        **{"look": 1, "time": "2026-01-01T00:00:00+00:00", "forget": "f", "unlearned": "b" * 64, "run_id": "r1"},
        **{"policy": "standard", "share": 0.5, "previous": chain.GENESIS},
    }
    path.write_text(json.dumps({**fields, "digest": chain.digest(fields)}) + "\n")
    assert read_ledger(path).header is None
    keys: list[bytes | None] = []
    open_look(path, forget=lambda key: keys.append(key) or "f", unlearned="b", run_id="r1", policy=STANDARD)  # type: ignore[func-returns-value]
    assert keys == [None]
    assert len(read_ledger(path).entries) == 1  # its own look, by the policy's name
    assert look(path, "r2").number == 2
    assert [entry.look for entry in read_ledger(path).entries] == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[1].replace("standard", "strict"), *lines[2:]],
        lambda lines: [lines[0].replace('"key": "', '"key": "0'), *lines[1:]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, "{}"],
        lambda lines: [*lines, "not json"],
    ],
)
def test_an_edited_ledger_is_refused(tmp_path: Path, damage):
    path = tmp_path / "looks.jsonl"
    for run in ("r1", "r2", "r3"):
        look(path, run)
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(CouldNotRun, match="was edited"):
        read_ledger(path)
    with pytest.raises(CouldNotRun, match="was edited"):
        look(path, "r4")


@pytest.mark.parametrize("content", [b"not a ledger\n", b"{}\n", bytes(range(256)), b'{"a": 1}'])
def test_another_file_is_no_ledger(tmp_path: Path, cli: Cli, content: bytes):
    path = tmp_path / "file"
    path.write_bytes(content)
    for use in (read_ledger, check_ledger, lambda path: look(path, "r1")):
        with pytest.raises(UsageError, match="is no ledger"):
            use(path)
    assert path.read_bytes() == content
    assert cli("ledger", path).code == 2


def test_a_place_that_can_hold_no_ledger_is_a_wrong_flag(case: Path, cli: Cli, tmp_path: Path):
    (tmp_path / "file").write_text("")
    check_ledger(tmp_path / "new" / "looks.jsonl")
    assert not (tmp_path / "new").exists()
    for place in (tmp_path, tmp_path / "file" / "looks.jsonl"):
        with pytest.raises(UsageError):
            check_ledger(place)
    (case / "unlearned.safetensors").write_bytes(b"")  # would be a problem with the inputs: the ledger is read before
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "--ledger", tmp_path)
    assert ended.code == 2
    assert "as a ledger" in ended.text
    assert "as a ledger" in cli("ledger", tmp_path).text
    assert "holds no look" in cli("ledger", tmp_path / "file").out


def test_runs_side_by_side_take_different_looks(tmp_path: Path):
    path = tmp_path / "looks.jsonl"
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda i=i: numbers.append(look(path, f"r{i}").number)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 13))
    assert len(read_ledger(path).entries) == 12


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
    assert [entry.look for entry in read_ledger(path).entries] == [1, 2]
    shown = cli("ledger", path)
    assert shown.code == 0
    assert "2 looks, chain of digests unbroken" in shown.out
    assert "cut off at its end" in shown.out
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
    assert look["ledger_head"] == read_ledger(path).entries[0].digest
    assert look["number"] == 1


def test_a_copy_of_the_case_is_the_same_forget_set(case: Path, cli: Cli, tmp_path: Path):
    """Neither another folder nor a new project key resets the count."""
    path, copy = tmp_path / "looks.jsonl", tmp_path / "copy"
    flags = ("--arch", ARCH, "-q", "--ledger", path, "--access", "logits")
    cli("run", "--forget", case / "forget.npz", *flags)
    shutil.copytree(case, copy, ignore=shutil.ignore_patterns(".audit"))
    cli("run", "--forget", copy / "forget.npz", *flags)
    assert [entry.look for entry in read_ledger(path).entries] == [1, 2]


def test_judging_again_is_a_look_and_keeps_what_stood_there(case: Path, cli: Cli, keys: tuple[Path, Path], tmp_path):
    path = tmp_path / "looks.jsonl"
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "-q", "--ledger", path, "--sign-key", keys[0])
    ended = cli("run", *flags)
    run = Path(ended.result["run"])
    before = {name: (run / name).read_bytes() for name in ("run.json", "report.html", "certificate.dsse.json")}
    sign = ("--sign-key", keys[0])
    cli("score", run, "--policy", "standard", *sign)  # the same look: nothing is replaced by anything else
    assert not (run / "earlier").exists()
    before["certificate.dsse.json"] = (run / "certificate.dsse.json").read_bytes()
    cli("score", run, "--policy", "strict")
    assert (run / "certificate.unsigned.json").is_file()  # never with the key that the run's config.toml names
    assert json.loads((run / "run.json").read_text())["look"]["number"] == 2
    assert {name: (run / "earlier" / "1" / name).read_bytes() for name in before} == before
    assert cli("report", run / "earlier" / "1", "-f", "json").code == 0
    model = ("--model", case / "unlearned.safetensors", "--key", keys[1])
    kept = cli("verify", run / "earlier" / "1" / "certificate.dsse.json", *model)
    assert kept.code == ended.code
    moved = path.rename(tmp_path / "moved.jsonl")
    assert "does not hold the look" in cli("score", run, "--policy", "screening").text
    assert cli("score", run, "--policy", "screening", "--ledger", moved).code in (1, 3)
    assert json.loads((run / "run.json").read_text())["look"]["number"] == 3
