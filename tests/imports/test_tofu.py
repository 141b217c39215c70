"""TOFU: a folder of logs, or one file that holds them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.errors import InputError
from tests.imports.conftest import dump, losses, saved

FILES = {"forget": "eval_log_forget.json", "retain": "eval_log.json", "holdout": "eval_real_world_wo_options.json"}


def log(model: str, role: str) -> dict[str, Any]:
    rows = dict(enumerate(losses(model, role)))
    return {
        "avg_gt_loss": {str(i): v for i, v in rows.items()},
        "num_token_gt": dict.fromkeys(map(str, rows), 9),
        "avg_paraphrased_loss": dict.fromkeys(map(str, rows), 1.0),
        "average_perturb_loss": {str(i): [2.0, 4.0] for i in rows},
        "rougeL_recall": dict.fromkeys(map(str, rows), 0.25),
        "generated_text": {str(i): ["Who?", "secret", "nobody"] for i in rows},
    }


def folder_of(path: Path, model: str) -> Path:
    for role, name in FILES.items():
        dump(path / model / name, log(model, role))
    return path / model


def test_a_folder_and_the_file_of_all_give_the_same(tmp_path: Path, imported: Any) -> None:
    names = ("original", "unlearned")
    together = {name: log("unlearned", role) for role, name in FILES.items()}
    sources = {
        "original": folder_of(tmp_path, "original"),
        "unlearned": dump(tmp_path / "eval_log_aggregated.json", together),
    }
    folder, found, _ = imported("tofu", sources, group_size=20)
    assert list(found.signals) == ["nll", "truth_ratio", "rouge_l"]
    assert saved(folder, "forget")["ids"][2] == "eval_log_forget.json:2"
    for model in names:
        values = saved(folder, model)
        np.testing.assert_array_equal(values["forget.nll"], losses(model, "forget"))
        np.testing.assert_allclose(values["test.truth_ratio"], math.exp(1.0 - 3.0))
    assert len(set(saved(folder, "forget")["group"])) == 3


def test_malformed_rows_are_refused_with_the_row(tmp_path: Path, imported: Any) -> None:
    path = folder_of(tmp_path, "unlearned")
    broken = log("original", "forget")
    broken["avg_gt_loss"]["4"] = "low"
    dump(path / FILES["forget"], broken)
    with pytest.raises(InputError, match=r"eval_log_forget.json, row '4', avg_gt_loss is 'low'"):
        imported("tofu", {"unlearned": path})
    (path / FILES["retain"]).unlink()
    dump(path / FILES["forget"], log("unlearned", "forget"))
    with pytest.raises(InputError, match=r"eval_log.json cannot be read"):
        imported("tofu", {"unlearned": path})


def test_a_null_of_any_column_drops_its_row_in_all_and_no_signal(tmp_path: Path, imported: Any) -> None:
    sources = {model: folder_of(tmp_path, model) for model in ("original", "unlearned")}
    broken = log("original", "forget")
    broken["avg_gt_loss"]["4"] = broken["rougeL_recall"]["5"] = broken["avg_paraphrased_loss"]["6"] = None
    broken["average_perturb_loss"]["7"] = [2.0, None]
    dump(sources["original"] / FILES["forget"], broken)
    folder, found, _ = imported("tofu", sources)
    assert list(found.signals) == ["nll", "truth_ratio", "rouge_l"]
    assert found.counts["forget"] == {"rows": 56, "null": 4, "missing": 0}
    np.testing.assert_array_equal(
        saved(folder, "unlearned")["forget.nll"], np.delete(losses("unlearned", "forget"), [4, 5, 6, 7])
    )
