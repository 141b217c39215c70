"""``audit inspect`` and ``audit init``: what a file is, and an ``audit.toml`` that runs."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from cases.scores_case import ScoresCase, build, forest

from audit.inputs.advice import Having, shortfalls
from audit.inputs.beside import fill_in
from audit.inputs.detect import detect
from audit.inputs.propose import Proposal, proposed
from audit.inputs.propose_scores import directions_proposed
from audit.policy.policy import load_policy
from tests.conftest import ARCH, Cli, process
from tests.inputs.test_index_lists import whole_case


def table(path: Path) -> None:
    pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4], "y": ["no", "yes"]}).to_csv(path, index=False)


SETS = ("forget", "retain", "test")


def by_set(kind: type, suffix: str = "") -> dict[str, Any]:
    """Four values of each set, from 0 to 1."""
    return {f"{role}{suffix}": np.array([0, 1, 1, 0], kind) for role in SETS}


SEEN: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "set.npz": (
        lambda p: np.savez(p, x=np.zeros((4, 3)), y=np.array([1, 1, 2, 2]), group=np.arange(4)),
        ["4 rows", "x (3,) float64", "2 labels: 1 (2), 2 (2)", "labels start at 1", "data subjects", "--forget"],
    ),
    "bytes.npz": (
        lambda p: np.savez(p, x=np.zeros((2, 4, 4, 3), np.uint8), y=np.arange(2)),
        ["x holds bytes, as they are: --scale 255 divides them"],
    ),
    "table.csv": (table, ["table (text)", "2 rows", "labels stand in the column y", "numbered in sorted order"]),
    "forget.npy": (lambda p: np.save(p, np.array([5, 3])), ["index list", "2 row numbers, 3 to 5", "--forget-index"]),
    "mask.npy": (lambda p: np.save(p, np.array([True, False])), ["mask, one boolean a row"]),
    "idx.json": (lambda p: p.write_text("[1, 2]"), ["index list"]),
    "out.npz": (
        lambda p: np.savez(p, forget=np.zeros((3, 2)) - 0.5),
        ["logits", "access: logits at most", "--task regression", "nothing for the retain and the test or holdout set"],
    ),
    "labels.npz": (lambda p: np.savez(p, **by_set(int), n_classes=3), ["predicted labels", "access: labels at most"]),
    "ids.npz": (
        lambda p: np.savez(p, ids=["a", "b"]),
        ["2 rows", "no inputs: models are given by stored outputs or scores", "access logits", "--task scores"],
    ),
    "target.npz": (
        lambda p: np.savez(p, x=np.zeros((3, 2)), y=[0.5, 1.0, -2.5]),
        ["a number a row as label, from -2.5 to 1", "--task regression (an audit without it refuses them)"],
    ),
    "flags.npz": (
        lambda p: np.savez(p, x=np.zeros((3, 2)), y=[[1, 1, 0], [0, 0, 0], [1, 0, 0]]),
        ["3 flags a row, 1 of them set", "--task multilabel"],
    ),
    "price.csv": (
        lambda p: p.write_text("a,target\n1,0.5\n2,2.25\n"),
        ["a number a row as label, from 0.5 to 2.25", "--task regression"],
    ),
    "many.npz": (
        lambda p: np.savez(p, x=np.zeros((300, 1)), y=np.arange(300.0)),
        ["300 different labels are taken as classes: --task regression where they are numbers"],
    ),
    "scores.npz": (
        lambda p: np.savez(p, **by_set(float, ".nll"), **by_set(float, ".correct"), **by_set(float, "@crop.nll")),
        [
            "scores by set",
            "rows by set: forget 4, retain 4, test 4",
            "nll: mean negative log-likelihood, in nats (lower = more like a member; it leads)",
            "correct: is the answer right? 0 or 1 (higher = more like a member)",
            "answers to changed inputs: crop",
            "sets need no more than ids",
            "utility by accuracy",
            "access: logits at most",
        ],
    ),
    "featured.npz": (
        lambda p: np.savez(p, **by_set(float, ".nll"), **{f"{role}.features": np.zeros((4, 2)) for role in SETS}),
        ["scores by set", "access: features at most"],
    ),
    "net.pt": (lambda p: torch.save({"fc.weight": torch.zeros(2, 3)}, p), ["--arch", "access: "]),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_a_file_is(tmp_path: Path, cli: Cli, name: str) -> None:
    make, expected = SEEN[name]
    make(tmp_path / name)
    ended = cli("inspect", tmp_path / name)
    for part in expected:
        assert part in ended.out, ended.out
    again = cli("inspect", tmp_path / name, "--json")
    assert again.code == ended.code
    assert set(json.loads(again.out)) == {"file", "kind", "facts", "uses", "access", "problems"}


WRONG: dict[str, tuple[bytes, str]] = {
    "a.npz": (b"PK nothing", "is no readable .npz file"),
    "a.pkl": (b"cposix\nsystem\n.", "is a pickle"),
    "a.parquet": (b"PAR1", "is no readable parquet file"),
    "a.txt": (b"one two", "a.txt"),
    "a.csv": (b"a,b\n1,2\n", "which column holds the labels?"),
    "inf.csv": (b"a,y\n1,0\ninf,1\n", "x holds NaN or infinite values in 1 rows: repair or drop them (positions 1"),
    "a.xyz": (b"", "unknown model format"),
    "eval.json": (b'{"results": {}}', "if it is an evaluation log of another tool: `audit import`"),
    "texts.jsonl": (b'{"id": 1, "text": "a"}', "`audit import` makes scores files of it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_an_audit_would_turn_away(tmp_path: Path, cli: Cli, name: str) -> None:
    content, expected = WRONG[name]
    (tmp_path / name).write_bytes(content)
    ended = cli("inspect", tmp_path / name)
    assert ended.code == 2
    assert expected in ended.out
    assert cli("inspect", tmp_path / "gone").code == 2


WRONG_ARRAYS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an own name": (by_set(float, ".mine"), ["signals: mine", "the signals mine have no direction: declare it"]),
    "turned": ({f"{role}.nll": np.array([-1.0, 1.0]) for role in SETS}, ["nll cannot be such; turn or mend"]),
    "a hole": (
        {**by_set(float, ".nll"), "forget.correct": np.zeros(4)},
        ["has no retain.correct, test.correct: every set needs every signal"],
    ),
    "no retain set": ({"forget.nll": np.ones(4), "test.nll": np.ones(4)}, ["has nothing for the retain set"]),
    "tokens": (
        {"forget.logprobs": np.zeros(9), "forget.offsets": np.array([0, 4, 9])},
        ["log-probabilities of tokens by set", "`audit import tokens` makes scores of them"],
    ),
    "integers": (by_set(int), ["so predicted labels: add the number of classes as n_classes"]),
    "probabilities": (
        {role: np.tile([[0.9, 0.1], [0.3, 0.7]], (200, 1)) for role in SETS},
        ["Where the model gives nothing else, say so with --probabilities"],
    ),
    "other keys": ({"train": np.zeros((4, 2)), "val": np.zeros((4, 2))}, ["unknown keys 'train', 'val'"]),
    "no number": ({"x": np.zeros((2, 2)), "y": np.array([0.5, np.nan])}, ["--task regression"]),
}


@pytest.mark.parametrize("what", WRONG_ARRAYS)
def test_arrays_that_an_audit_would_turn_away(tmp_path: Path, cli: Cli, what: str) -> None:
    arrays, expected = WRONG_ARRAYS[what]
    np.savez(tmp_path / "a.npz", **arrays)
    ended = cli("inspect", tmp_path / "a.npz")
    assert ended.code == 2, ended.out
    for part in expected:
        assert part in ended.out, ended.out


def test_rows_of_tokens_are_looked_at_as_an_audit_does(tmp_path: Path, cli: Cli) -> None:
    ids = np.arange(12).reshape(2, 6)
    mask = np.array([[1] * 6, [1] * 4 + [0] * 2])
    named = {"x.input_ids": ids, "x.attention_mask": mask, "y": np.zeros(2, int)}
    np.savez(tmp_path / "good.npz", **named)
    np.savez(tmp_path / "left.npz", **named | {"x.attention_mask": mask[:, ::-1]})
    np.savez(tmp_path / "none.npz", **named, **{"x.labels": np.full_like(ids, -100)})
    said = cli("inspect", tmp_path / "good.npz", "--task", "causal-lm").out
    assert "judged tokens of a row: 4 on average, 3 at least" in said
    assert "y is not read" in said
    assert "labels: 0 (2)" not in said
    assert "(pad to the right) in 1 rows" in cli("inspect", tmp_path / "left.npz", "--task", "causal-lm").out
    assert "no token behind the first is judged" in cli("inspect", tmp_path / "none.npz", "--task", "causal-lm").out


def test_the_declared_task_says_what_a_file_is(tmp_path: Path, cli: Cli) -> None:
    np.savez(tmp_path / "out.npz", **by_set(float))
    np.savez(tmp_path / "set.npz", x=np.zeros((4, 2)), y=[[0, 1], [1, 0], [0, 1], [1, 0]])
    np.savez(tmp_path / "numbers.npz", x=np.zeros((4, 2)), y=[0.5, 1, 2, 3])
    torch.save({"fc.weight": torch.zeros(2, 3)}, tmp_path / "net.pt")
    assert "predictions by set" in cli("inspect", tmp_path / "out.npz", "--task", "regression").out
    assert "logits of labels by set" in cli("inspect", tmp_path / "out.npz", "--task", "multilabel").out
    assert "one-hot labels of 2 classes" in cli("inspect", tmp_path / "set.npz").out
    assert "2 flags a row, 1 of them set" in cli("inspect", tmp_path / "set.npz", "--task", "multilabel").out
    assert "y must be flags" in cli("inspect", tmp_path / "numbers.npz", "--task", "multilabel").out
    assert "y must be integer class labels" in cli("inspect", tmp_path / "numbers.npz", "--task", "classification").out
    assert "is no key of scores" in cli("inspect", tmp_path / "out.npz", "--task", "scores").out
    assert "causal-lm needs a network" in cli("inspect", tmp_path / "out.npz", "--task", "causal-lm").out
    assert "the task is scores, and" in cli("inspect", tmp_path / "net.pt", "--task", "scores").out


def test_what_libraries_warn_of_is_not_said(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.eye(3).to_sparse_csr()}, tmp_path / "a.pt")
    ended = process("inspect", tmp_path / "a.pt")
    assert "Warning" not in ended.text


def test_a_folder_and_a_function(case: Path, cli: Cli) -> None:
    text = cli("inspect", case).out
    for part in ("forget: forget.npz", "retrained 1: retrained-1.safetensors", "2 references: attacks are calibrated"):
        assert part in text
    Path("mine.py").write_text("import numpy as np\ndef rows():\n    return np.eye(3), [0, 1, 2]\n")
    assert "it is what mine:rows returns (code " in cli("inspect", "mine:rows").out


def test_init_detects_and_the_file_runs(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    assert "no one function that builds the network is found (arch): name it with" in cli("inspect", case).out
    Path("nets.py").write_text("from audit.demo import network\n\ndef make():\n    return network()\n")
    (case / "original.safetensors").unlink()
    ended = cli("init")
    assert (ended.code, ended.out.strip()) == (0, "audit.toml")
    assert "no original: FAIL and INCONCLUSIVE can be said, PASS can not" in ended.text
    assert 'arch = "nets:make"' in Path("audit.toml").read_text()
    ended = cli("run", "--dry-run")
    assert ended.code == 0, ended.err
    assert "no original: FAIL and INCONCLUSIVE can be said" in ended.out
    sys.modules.pop("nets", None)


def test_init_detects_one_set_and_lists(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = whole_case(case)
    np.save(case / "forget_idx.npy", rows["forget"])
    np.save(case / "holdout_idx.npy", rows["holdout"])
    (case / "test.npz").unlink()
    monkeypatch.chdir(case)
    assert cli("init").code == 0
    ended = cli("run", "--arch", ARCH, "--dry-run")
    assert ended.code == 0, ended.err
    assert "rows stand in no index list: they are the retain set" in ended.text
    assert "no test set: rows of the holdout set serve" in ended.out


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_init_proposes_labels_and_categories(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for role, work in (("forget", ["a", "b"]), ("retain", ["c", "a"]), ("test", ["b", "b"])):
        rows = {"age": [1.5, 2.5], "work": work, "who": ["x", "y"], "income": ["no", "yes"], "ids": [1, 2]}
        table = pd.DataFrame({**rows, "ids": [f"{role}{i}" for i in range(2)]})
        table.to_csv(f"{role}.csv", index=False) if suffix == "csv" else table.to_parquet(f"{role}.parquet")
    np.savez("unlearned.npz", forget=np.zeros((2, 2)))
    assert cli("init").code == 0
    written = tomllib.loads(Path("audit.toml").read_text())["data"]
    assert written["label"] == "income"
    assert written["categories"] == {"work": ["a", "b", "c"], "who": ["x", "y"]}
    assert "a proposal: the last column of few values (2); check it" in Path("audit.toml").read_text()
    ended = cli("inspect", f"forget.{suffix}", "--label", "income")
    assert "the column work holds text" in ended.out  # what the file is without the configuration


def test_init_proposes_nothing_where_it_cannot_know(tmp_path: Path) -> None:
    pd.DataFrame({"a": [0.5, 1.5], "b": [0.1, 0.2]}).to_csv(tmp_path / "forget.csv", index=False)
    last = Proposal(('label = "b"   # a proposal: the last column of numbers; check it',), "regression")
    assert proposed([tmp_path / "forget.csv"]) == last
    pd.DataFrame({"a": [f"n{i}" for i in range(200)]}).to_csv(tmp_path / "forget.csv", index=False)
    (told,) = proposed([tmp_path / "forget.csv"]).lines[:1]
    assert told == "# label = ...   # which column holds the labels? It is one of a"
    names = [f"n{i}" for i in range(200)]
    pd.DataFrame({"a": range(200), "name": names, "y": [0, 1] * 100}).to_csv(tmp_path / "forget.csv", index=False)
    assert proposed([tmp_path / "forget.csv"]).lines == (
        'label = "y"',
        'inputs = ["a"]   # left out, of very many texts: name',
    )
    (tmp_path / "forget.csv").write_bytes(b"\xff\xfe")
    assert proposed([tmp_path / "forget.csv", tmp_path / "gone.npz"]) == Proposal()


def test_init_keeps_what_was_found_where_the_rest_is_missing(
    case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case)
    Path("unlearned.safetensors").unlink()
    ended = cli("init")
    assert "no unlearned is found by name: fill it in" in ended.text
    text = Path("audit.toml").read_text()
    assert '# unlearned = "..."   # the model to audit: not found' in text
    assert tomllib.loads(text)["data"]["retain"] == "retain.npz"
    assert "no unlearned is found by name: name it" in cli("inspect", case).out


@pytest.fixture(scope="module")
def scores() -> ScoresCase:
    return build(3, references=3)


def test_init_of_scores_runs(scores: ScoresCase, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a name of the vocabulary, and under one of the user's own, whose direction the original's rows tell."""
    monkeypatch.chdir(scores.save(tmp_path / "case"))
    assert cli("init").code == 0
    assert cli("run", "--dry-run").code == 0
    for path in Path().glob("*.npz"):
        held = dict(np.load(path))
        np.savez(path, **{key.replace("squared_error", "mine"): array for key, array in held.items()})
    assert cli("init", "own.toml").code == 0
    assert tomllib.loads(Path("own.toml").read_text())["scores"] == {"mine": "lower"}
    ended = cli("run", "--config", "own.toml", "--quiet")
    assert ended.code in (0, 1, 3), ended.err
    assert "mine (lower = more like a member)" in ended.text


def test_no_direction_is_proposed_where_the_rows_do_not_tell(tmp_path: Path) -> None:
    path = tmp_path / "original.npz"
    np.savez(path, **{f"{role}.mine": np.arange(40.0) for role in SETS})
    (line,) = directions_proposed({"original": path})
    assert line.startswith('# mine = "lower"   # or "higher"')
    np.savez(path, **{f"{role}.mine": np.full(40, role == "retain") for role in SETS})
    (line,) = directions_proposed({"original": path})
    assert line.startswith('mine = "higher"   # a proposal')
    np.savez(path, **{f"{role}.mine": np.full(40, np.nan) for role in SETS})
    assert directions_proposed({"original": path})[0].startswith("#")
    np.savez(path, **by_set(float, ".nll"))
    assert directions_proposed({"original": path}) == []
    path.write_bytes(b"PK")
    assert directions_proposed({"original": path, "unlearned": tmp_path / "net.pt"}) == []


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_init_of_regression_runs(
    scores: ScoresCase, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Real predictions of forests; a table names its target in the last column, as most do."""
    monkeypatch.chdir(tmp_path)
    for role, (x, y) in scores.rows.items():
        if suffix == "npz":
            np.savez(f"{role}.npz", x=x, y=y + 0.25)
        else:
            table = pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
            table.assign(progression=y + 0.25).to_csv(f"{role}.csv", index=False)
    everything = [np.concatenate([scores.rows["forget"][i], scores.rows["retain"][i]]) for i in (0, 1)]
    parts = {"original": everything, "unlearned": scores.rows["retain"], "retrained-0": scores.rows["retain"]}
    for seed, (name, (x, y)) in enumerate(parts.items()):
        model = forest(x, y + 0.25, seed)
        np.savez(f"{name}.npz", **{role: model.predict(rows[0]) for role, rows in scores.rows.items()})
    assert "by the labels: --task regression" in cli("inspect", tmp_path).out
    assert cli("init").code == 0
    assert tomllib.loads(Path("audit.toml").read_text())["task"] == "regression"
    ended = cli("run", "--quiet")
    assert ended.code in (0, 1, 3), ended.err
    assert "numbers (regression)" in ended.text


def test_init_asks(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path("audit.toml")
    answers = ["", case / "forget.npz", case / "retain.npz", case / "holdout.npz", case / "test.npz"]
    answers += [
        case / "unlearned.safetensors",
        case / "original.safetensors",
        case / "retrained-0.safetensors",
        "",
        ARCH,
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(map(str, answers)) + "\n"))
    ended = cli("init", "--ask")
    assert ended.code == 0, ended.err
    assert "one reference: attacks are calibrated on it alone" in ended.text
    assert cli("run", "--dry-run", "--config", here).code == 0


def test_init_keeps_what_was_answered(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(["", str(case / "forget.npz"), *[""] * 7]) + "\n"))
    assert cli("init", "--ask").code == 0
    assert f'forget = "{case / "forget.npz"}"' in Path("audit.toml").read_text()
    assert "name the function that builds the model with --arch" in cli("run").text  # the rest lies beside it


def test_init_without_anything_is_the_template(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of it names a file, so that the next run says what is missing and where to name it."""
    monkeypatch.chdir(tmp_path)
    ended = cli("init")
    assert (ended.code, ended.out.strip()) == (0, "audit.toml")
    assert "the file is the commented template" in ended.text
    assert "no forget is found by name: fill it in" in ended.text
    ended = cli("run")
    assert ended.code == 2
    assert "does not exist" not in ended.text
    assert "no forget set: pass --forget FILE.npz" in ended.text
    assert "or name it under [data] in audit.toml; `audit init` looks for it by its name" in ended.text
    assert cli("init", "all.toml", "--template").code == 0
    assert Path("all.toml").read_text() == Path("audit.toml").read_text()


def test_a_name_cannot_write_to_the_terminal(case: Path, cli: Cli) -> None:
    shutil.copy(case / "test.npz", case / "test\x1b[31m.npz")
    (case / "test.npz").unlink()
    assert "\x1b" not in cli("inspect", case).out
    assert "\x1b" not in cli("inspect", case / "test\x1b[31m.npz").out


def test_several_candidates_are_named_and_none_is_taken(case: Path) -> None:
    shutil.copy(case / "unlearned.safetensors", case / "unlearned-2.safetensors")
    found = detect(case)
    assert "unlearned" not in found.models
    assert len(found.unclear["unlearned model"]) == 2


def test_python_files_are_parsed_and_never_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("raise SystemExit\ndef make():\n    pass\ndef train(x):\n    pass\n")
    (tmp_path / "b.py").write_text("def (:\n")
    assert detect(tmp_path).arch == ["a:make"]
    (tmp_path / "a.py").write_text(
        "class Block(nn.Module):\n    def __init__(self, width):\n        pass\n"
        "class Net(nn.Module):\n    def __init__(self, classes=10):\n        self.block = Block(3)\n"
        "class Rows(Dataset):\n    pass\n"
    )
    assert detect(tmp_path).arch == ["a:Net"]


def test_each_thing_that_is_missing_has_its_answer() -> None:
    policy = load_policy("standard")[0]
    full = {"holdout": True, "test": True, "original": True, "references": 20, "recipe": True}
    assert shortfalls(Having(**full), policy) == []
    for name, words in {
        "holdout": "no holdout set: the test set serves",
        "test": "no test set: rows of the holdout set serve",
        "original": "no original: FAIL and INCONCLUSIVE can be said",
    }.items():
        (line,) = shortfalls(Having(**{**full, name: False}), policy)
        assert line.startswith(words)
        assert "cheapest: " in line
    one = shortfalls(Having(**{**full, "references": 1, "recipe": False}), policy)
    assert [line.partition(":")[0] for line in one] == ["one reference", "no recipe"]
    assert "neither FAIL nor PASS" in shortfalls(Having(**{**full, "references": 1}, kind="class"), policy)[0]


@pytest.mark.parametrize("kind", [".json", ".txt"])
def test_models_whose_suffix_may_mean_anything_are_found_where_nothing_else_has_the_name(case: Path, kind: str) -> None:
    """xgboost's .json and LightGBM's .txt; notes beside a checkpoint are no model."""
    notes = [f"original{kind}", f"unlearned{kind}", f"retrained-0{kind}", f"retrained-notes{kind}"]
    for name in notes:
        (case / name).write_text("{}")
    given: dict[str, Any] = {"data": {"forget": str(case / "forget.npz")}}
    fill_in(given, {})
    assert not any(str(path).endswith(kind) for path in (given["model"]["unlearned"], *given["model"]["retrained"]))
    assert detect(case).models["unlearned"].suffix == ".safetensors"
    for path in case.glob("*.safetensors"):
        path.unlink()
    alone: dict[str, Any] = {"data": {"forget": str(case / "forget.npz")}}
    fill_in(alone, {})
    assert [Path(alone["model"][role]).name for role in ("original", "unlearned")] == notes[:2]
    assert [Path(path).name for path in alone["model"]["retrained"]] == [notes[2]]
    assert detect(case).models["unlearned"].name == notes[1]
