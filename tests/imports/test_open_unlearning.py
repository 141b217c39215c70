"""open-unlearning: directions, nulls, truth ratios that lost their ids, and the audit of what was written."""

from __future__ import annotations

import hashlib
import json
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.errors import InputError
from tests.conftest import Cli
from tests.imports.conftest import MODELS, dump, indexed, losses, saved
from tests.leaks import leaks

SECRET = "Basil Mahfouz Al-Kuwaiti was born in Kuwait"  # of a forget row


def document(model: str) -> dict[str, Any]:
    forget, retain, holdout = (losses(model, role) for role in ("forget", "retain", "holdout"))
    mia = {"forget": indexed(forget), "holdout": indexed(holdout), "auc": 0.5, "agg_value": 0.5}
    least = {"forget": indexed([2 * v for v in forget]), "holdout": indexed([2 * v for v in holdout])}
    rouge = {"input": "Who?", "ground_truth": SECRET, "generation": "", "rougeL_recall": 0.5, "rougeL_f1": 0.4}
    return {
        "forget_Q_A_Prob": indexed(forget, "avg_loss"),
        "retain_Q_A_Prob": indexed(retain, "avg_loss"),
        "retain_Q_A_PARA_Prob": indexed([v + 0.5 for v in retain], "avg_loss"),
        "forget_Q_A_ROUGE": {"agg_value": 0.5, "value_by_index": {str(i): rouge for i in range(len(forget))}},
        "mia_loss": mia,
        "mia_min_k": least,
        "forget_quality": {"agg_value": None},
    }


def written(folder: Path, change: Callable[[str, dict[str, Any]], None] = lambda model, found: None) -> dict[str, Path]:
    found = {}
    for model in MODELS:
        content = document(model)
        change(model, content)
        found[model] = dump(folder / model / "TOFU_EVAL.json", content).parent
    return found


def test_the_command_that_it_prints_audits_what_it_wrote(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = written(tmp_path)
    retrains = [part for model in MODELS[2:] for part in ("--retrained", sources[model])]
    given = ("--original", sources["original"], "--unlearned", sources["unlearned"], *retrains, "--group-size", "4")
    ended = cli("import", "open-unlearning", *given, "--out", "case")
    assert ended.code == 0, ended.err
    assert "forget: 60 rows, 15 groups" in ended.err
    assert "min_k is left out: no log has it for retain" in ended.err
    command = shlex.split(ended.out.strip())
    assert command == ["audit", "run", "--config", "case/audit.toml"]
    monkeypatch.chdir("case")
    planned = cli("run", "--dry-run")
    assert planned.code == 0, planned.err
    monkeypatch.chdir(tmp_path)
    run = cli(*command[1:], "--quiet")
    assert run.code in (0, 1, 3), run.err
    record = json.loads((Path(run.result["run"]) / "run.json").read_text())
    assert record["task"]["signals"] == {"nll": "lower"}
    assert not leaks(Path(run.result["run"]), (SECRET, "forget:17", "forget-3"), run.out, run.err)
    assert (tmp_path / "case" / "private" / ".audit").is_dir()


def test_ids_values_digests_and_modes_round_trip(tmp_path: Path, imported: Any) -> None:
    sources = written(tmp_path)
    folder, _, _ = imported("open-unlearning", sources, group_size=20)
    for role, prefix in (("forget", "forget"), ("retain", "retain"), ("holdout", "holdout")):
        ids = saved(folder, role)["ids"]
        assert ids.tolist() == [f"{prefix}:{i}" for i in range(len(losses("original", role)))]
        for model in MODELS:
            np.testing.assert_array_equal(saved(folder, model)[f"{role}.nll"], losses(model, role))
    assert saved(folder, "forget")["group"].tolist()[19:21] == ["forget-0", "forget-1"]
    origin = json.loads((folder / "import.json").read_text())
    assert set(origin["sources"]) == set(MODELS)
    assert all(len(digest) == 64 for one in origin["sources"].values() for digest in one.values())
    assert origin["signals"] == {"nll": "lower = more like a member"}
    assert SECRET in (folder / "private" / "texts.jsonl").read_text()
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert path.name == "texts.jsonl" or path.is_dir() or SECRET.encode() not in path.read_bytes()
    assert {path.name for path in (folder / "private").iterdir()} == {
        "texts.jsonl", "forget.npz", "retain.npz", "holdout.npz"
    }  # fmt: skip
    for name, digest in origin["written"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    for path in folder.glob("*"):  # what may be handed on says of no row who it is
        if path.suffix == ".npz":
            with np.load(path) as archive:
                assert all(archive[key].dtype.kind == "f" for key in archive.files), path
        elif path.is_file():
            assert not any(word in path.read_text() for word in ("forget:17", "forget-1", "holdout:3")), path


def test_scores_that_are_higher_for_strangers_are_turned(tmp_path: Path, imported: Any) -> None:
    def with_retain(model: str, content: dict[str, Any]) -> None:
        content["mia_min_k"]["retain"] = indexed(losses(model, "retain"))

    folder, found, _ = imported("open-unlearning", written(tmp_path, with_retain))
    assert found.signals == {"nll": "lower", "min_k": "higher"}
    np.testing.assert_allclose(
        saved(folder, "original")["forget.min_k"], [-2 * v for v in losses("original", "forget")]
    )
    assert "turned" in found.origin["forget.min_k"]


def test_rows_that_are_null_in_one_model_are_dropped_in_all_and_counted(tmp_path: Path, imported: Any) -> None:
    def change(model: str, content: dict[str, Any]) -> None:
        if model == "retrained-0":
            content["mia_loss"]["forget"]["value_by_index"]["3"] = None
        if model == "original":
            del content["mia_loss"]["forget"]["value_by_index"]["5"]

    folder, found, _ = imported("open-unlearning", written(tmp_path, change))
    assert found.counts["forget"] == {"rows": 58, "null": 1, "missing": 1}
    assert found.dropped == {
        "forget": {"original": {"null": 0, "missing": 1}, "retrained-0": {"null": 1, "missing": 0}}
    }
    kept = [i for i in range(60) if i not in (3, 5)]
    assert saved(folder, "forget")["ids"].tolist() == [f"forget:{i}" for i in kept]
    np.testing.assert_array_equal(
        saved(folder, "original")["forget.nll"], [losses("original", "forget")[i] for i in kept]
    )


def truth_ratio(model: str, content: dict[str, Any], rows: int = 60) -> None:
    for role in ("forget", "retain", "holdout"):
        content[f"{role}_Truth_Ratio"] = indexed(
            losses(model, role)[:rows] if role == "forget" else losses(model, role)
        )


def test_a_truth_ratio_that_lost_its_ids_is_left_out_and_computed_where_losses_are_there(
    tmp_path: Path, imported: Any
) -> None:
    """The code of open-unlearning drops rows that are null and numbers the rest from 0."""

    def shifted(model: str, content: dict[str, Any]) -> None:
        truth_ratio(model, content, rows=59)
        content["forget_Q_A_Prob"]["value_by_index"]["0"] = None
        del content["mia_loss"]["holdout"]  # so that forget comes from its Q_A_Prob, holdout too
        content["holdout_Q_A_Prob"] = indexed(losses(model, "holdout"), "avg_loss")
        del content["mia_loss"]

    _, found, said = imported("open-unlearning", written(tmp_path, shifted))
    assert list(found.signals) == ["nll"]
    assert any("forget_Truth_Ratio is left out: rows are null" in line for line in said)


def test_truth_ratios_from_losses_keep_their_ids(tmp_path: Path, imported: Any) -> None:
    def both(model: str, content: dict[str, Any]) -> None:
        for role in ("forget", "retain", "holdout"):
            rows = losses(model, role)
            content[f"{role}_Q_A_PARA_Prob"] = indexed([1.0] * len(rows), "avg_loss")
            wrong = [{"avg_loss": [1.0, 2.0, 3.0, 4.0, 5.0], "prob": []} for _ in rows]
            content[f"{role}_Q_A_PERT_Prob"] = {"value_by_index": {str(i): row for i, row in enumerate(wrong)}}

    folder, found, _ = imported("open-unlearning", written(tmp_path, both))
    assert found.signals["truth_ratio"] == "lower"
    np.testing.assert_allclose(saved(folder, "unlearned")["forget.truth_ratio"], np.exp(-2.0))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"score": float("nan")}, "mia_loss.forget, row '7', score is nan, no finite number"),
        ({"score": "many"}, "row '7', score is 'many'"),
        ({"loss": 1.0}, "row '7', score is 'absent'"),
        (3, "row '7' is 3, no object"),
    ],
)
def test_malformed_rows_are_refused_with_the_row(tmp_path: Path, imported: Any, value: Any, told: str) -> None:
    def change(model: str, content: dict[str, Any]) -> None:
        if model == "unlearned":
            content["mia_loss"]["forget"]["value_by_index"]["7"] = value

    with pytest.raises(InputError, match="unlearned: ") as error:
        imported("open-unlearning", written(tmp_path, change))
    assert told in str(error.value)
    assert not (tmp_path / "case").exists()


def test_a_log_that_lacks_many_rows_of_one_model_is_refused(tmp_path: Path, imported: Any) -> None:
    def change(model: str, content: dict[str, Any]) -> None:
        if model == "unlearned":
            for key in range(20):
                content["mia_loss"]["forget"]["value_by_index"][str(key)] = None

    with pytest.raises(InputError, match="most of them, 20, in unlearned"):
        imported("open-unlearning", written(tmp_path, change))


def test_the_summary_is_refused(tmp_path: Path, imported: Any) -> None:
    path = dump(tmp_path / "TOFU_SUMMARY.json", {"forget_quality": 0.1, "model_utility": 0.6})
    with pytest.raises(InputError, match="holds averages alone"):
        imported("open-unlearning", {"unlearned": path})
