"""Values that no score can have are refused as logs are read, by the ranges of a run, with file, field and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit
from attacks.scorers.tokens import truth_ratio
from attacks.tasks.scores import MOST, RANGES, limits
from audit.errors import InputError
from tests.imports import test_lm_eval as lm_eval
from tests.imports import test_muse as muse
from tests.imports.conftest import SIZES, dump, indexed, losses
from tests.imports.test_open_unlearning import written


@pytest.mark.parametrize(
    ("metric", "field", "value", "told"),
    [
        ("mia_loss.forget", "score", 1e308, r"mia_loss.forget, row '7', score is 1e\+308, larger in size than 1e\+30"),
        ("mia_loss.forget", "score", -1e31, r"score is -1e\+31, larger in size"),
        ("mia_loss.forget", "score", 10**40, r"larger in size than 1e\+30"),
        ("mia_loss.forget", "score", True, "row '7', score is True, no finite number"),
        ("mia_loss.forget", "score", -0.5, r"forget, row 7: nll is -0.5, not from 0 to 1e\+30 \(mia_loss.forget.score"),
        ("forget_Q_A_ROUGE", "rougeL_recall", 1.5, r"forget, row 7: rouge_l is 1.5, not from 0 to 1 \(forget_Q_A_ROU"),
        ("forget_Q_A_ROUGE", "rougeL_recall", -0.1, r"rouge_l is -0.1, not from 0 to 1"),
    ],
)
@pytest.mark.parametrize("of", ["unlearned", "retrained-1"])
def test_values_of_no_score_are_refused_with_file_field_and_row(
    tmp_path: Path, imported: Any, metric: str, field: str, value: Any, told: str, of: str
) -> None:
    def change(model: str, content: dict[str, Any]) -> None:
        content["forget_Q_A_ROUGE"] = indexed([0.5] * SIZES["forget"], "rougeL_recall")
        part, _, section = metric.partition(".")
        rows = content[part][section] if section else content[part]
        if model == of:
            rows["value_by_index"]["7"] = {field: value}

    sources = written(tmp_path, change)
    with pytest.raises(InputError, match=f"{of}: {sources[of]}: .*{told}"):
        imported("open-unlearning", sources)
    assert not (tmp_path / "case").exists()


def test_several_rows_out_of_range_are_counted(tmp_path: Path, imported: Any) -> None:
    found = muse.log("unlearned")
    for row in found["retain"][3:6]:
        row["PPL"] = -1.0
    path = dump(tmp_path / "log.json", found)
    with pytest.raises(InputError, match=r"retain, row 3 and 2 more rows: nll is -1.0, not from 0"):
        imported("muse", {"unlearned": path})


def test_ranges_of_the_import_are_those_of_a_run() -> None:
    assert all(limits(name) == (low, min(high, MOST)) for name, (low, high) in RANGES.items())
    assert limits("min_k") == limits("a name of one's own") == (-MOST, MOST)
    assert truth_ratio(1e6, [0.0]) < MOST  # of a model that fell apart: it is no mistake of the log


def test_true_says_that_an_answer_is_right_and_is_no_number(tmp_path: Path, imported: Any) -> None:
    rows = {role: lm_eval.samples("unlearned", role, several=False) for role in SIZES}
    for row in rows["forget"]:
        row["acc"] = True
    _, found, _ = imported("lm-eval", {"unlearned": lm_eval.save(tmp_path / "a", rows)}, sets=lm_eval.TASKS)
    assert found.values["unlearned"]["forget.correct"] == [1.0] * SIZES["forget"]
    rows["forget"][4]["filtered_resps"][0][0] = True
    with pytest.raises(InputError, match="line 5, resps is True, no finite number"):
        imported("lm-eval", {"unlearned": lm_eval.save(tmp_path / "b", rows)}, sets=lm_eval.TASKS)


@pytest.mark.parametrize("value", [1e308, -1.0, np.nan])
def test_bad_scores_alone_do_not_ask_for_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    """Whether rows need labels is not known where no model could be read."""
    monkeypatch.chdir(tmp_path)
    sets = {role: {"ids": np.array([f"{role}{i}" for i in range(count)])} for role, count in SIZES.items()}
    scores = {f"{role}.nll": np.array(losses("unlearned", role)) for role in SIZES}
    scores["forget.nll"][5] = value
    with pytest.raises(InputError, match=r"forget\.nll") as error:
        audit.run(unlearned=scores, **sets)
    assert "no labels" not in str(error.value)
