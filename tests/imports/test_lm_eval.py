"""lm-evaluation-harness: one task a set, multiple choice and single requests, numbers written as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.errors import InputError
from tests.imports.conftest import SIZES, losses, saved

HASHES = ("doc_hash", "prompt_hash", "target_hash")
TASKS = {"forget": "wmdp_bio", "retain": "mmlu", "holdout": "held_out"}


def samples(model: str, role: str, *, several: bool) -> list[dict[str, Any]]:
    found = []
    for i, value in enumerate(losses(model, role)):
        others = [[[str(-value - 2 - k), "False"]] for k in range(3)]
        right = [[str(-value), "True"]]
        row = {
            "doc_id": i,
            "doc": {"question": "what is", "author": f"a{i // 10}"},
            "target": "1" if several else "text",
            "resps": [others[0], right, *others[1:]] if several else [right],
            "filtered_resps": [r[0] for r in ([others[0], right, *others[1:]] if several else [right])],
            **{name: f"{name} {role}{i}" for name in HASHES},
            "acc": 1.0,
        }
        found.append(row)
    return found


def save(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for role, found in rows.items():
        name = f"samples_{TASKS[role]}_2025-01-02T03-04-05.678901.jsonl"
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in found))
    return folder


@pytest.mark.parametrize("several", [True, False])
def test_likelihoods_margins_and_groups(tmp_path: Path, imported: Any, several: bool) -> None:
    sources = {
        m: save(tmp_path / m, {role: samples(m, role, several=several) for role in SIZES})
        for m in ("original", "unlearned")
    }
    folder, found, _ = imported("lm-eval", sources, sets=TASKS, group_key="author")
    assert list(found.signals) == (["nll_sum", "margin", "correct"] if several else ["nll_sum", "correct"])
    values = saved(folder, "unlearned")
    np.testing.assert_allclose(values["forget.nll_sum"], losses("unlearned", "forget"))
    if several:
        np.testing.assert_allclose(values["forget.margin"], 2.0)
    assert saved(folder, "forget")["ids"][7] == "wmdp_bio:7"
    assert len(set(saved(folder, "forget")["group"])) == 6


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("other", ["another", None])
def test_rows_whose_hashes_differ_are_refused(tmp_path: Path, imported: Any, name: str, other: str | None) -> None:
    """The same document under another prompt, or with another right answer, is another question."""
    rows = {role: samples("unlearned", role, several=True) for role in SIZES}
    good = save(tmp_path / "good", rows)
    rows["forget"][4][name] = other
    with pytest.raises(InputError, match="forget, row 4 and 0 more are other documents, or asked otherwise"):
        imported("lm-eval", {"original": good, "unlearned": save(tmp_path / "bad", rows)}, sets=TASKS)


def test_a_right_answer_that_changed_under_its_hash_is_refused(tmp_path: Path, imported: Any) -> None:
    """A hash is what the log says of it: the likelihood of another answer would be read."""
    rows = {role: samples("unlearned", role, several=True) for role in SIZES}
    good = save(tmp_path / "good", rows)
    rows["forget"][4]["target"] = "2"
    with pytest.raises(InputError, match="forget, row 4 and 0 more are other documents, or asked otherwise"):
        imported("lm-eval", {"original": good, "unlearned": save(tmp_path / "bad", rows)}, sets=TASKS)


def test_of_two_runs_the_newer_one_is_read_and_that_is_said(tmp_path: Path, imported: Any) -> None:
    rows = {role: samples("unlearned", role, several=False) for role in SIZES}
    source, other = save(tmp_path / "a", rows), save(tmp_path / "b", rows)
    newer = source / "samples_wmdp_bio_2025-02-02T03-04-05.678901.jsonl"
    rows["forget"][0]["filtered_resps"][0][0] = "-7.5"
    newer.write_text("".join(json.dumps(row) + "\n" for row in rows["forget"]))
    folder, _, said = imported("lm-eval", {"unlearned": source, "original": other}, sets=TASKS)
    assert f"unlearned: forget: of 2 runs of wmdp_bio in one folder the newest is read, {newer.name}" in said
    assert not any("retain" in line for line in said)
    assert saved(folder, "unlearned")["forget.nll_sum"][0] == 7.5
    assert saved(folder, "original")["forget.nll_sum"][0] == losses("unlearned", "forget")[0]


def test_malformed_rows_are_refused_with_the_row(tmp_path: Path, imported: Any) -> None:
    rows = {role: samples("unlearned", role, several=True) for role in SIZES}
    good = save(tmp_path / "good", rows)
    rows["forget"][4]["filtered_resps"][2][0] = "low"
    with pytest.raises(InputError, match="line 5, resps is 'low'"):
        imported("lm-eval", {"unlearned": save(tmp_path / "bad", rows)}, sets=TASKS)
    rows["forget"][4] = {**rows["forget"][3]}
    with pytest.raises(InputError, match=r"line 5: doc_id 3 is absent or stands twice"):
        imported("lm-eval", {"unlearned": save(tmp_path / "bad", rows)}, sets=TASKS)
    with pytest.raises(InputError, match="holds no samples of nothing: it holds held_out, mmlu, wmdp_bio"):
        imported("lm-eval", {"unlearned": good}, sets={**TASKS, "test": "nothing"})


def test_authors_that_were_asked_for_never_get_lost_in_silence(tmp_path: Path, imported: Any) -> None:
    """A claim by author that became one by row would find too much in too few."""
    rows = {role: samples("unlearned", role, several=False) for role in SIZES}
    source = save(tmp_path / "unlearned", rows)
    with pytest.raises(InputError, match="forget: 60 of 60 rows name no author: correct --group-key"):
        imported("lm-eval", {"unlearned": source}, sets=TASKS, group_key="autor")
    del rows["forget"][3]["doc"]["author"]
    with pytest.raises(InputError, match="forget: 1 of 60 rows name no author"):
        imported("lm-eval", {"unlearned": save(source, rows)}, sets=TASKS, group_key="author")


def test_samples_of_several_models_are_not_mixed(tmp_path: Path, imported: Any) -> None:
    for name in "ab":
        save(tmp_path / "all" / name, {role: samples("unlearned", role, several=False) for role in SIZES})
    with pytest.raises(InputError, match="holds samples in several folders: name that of one model"):
        imported("lm-eval", {"unlearned": tmp_path / "all"}, sets=TASKS)


def test_a_reference_that_was_asked_for_other_documents_is_refused(tmp_path: Path, imported: Any) -> None:
    rows = {role: samples("unlearned", role, several=False) for role in SIZES}
    source = save(tmp_path / "unlearned", rows)
    for row in rows["retain"]:
        row["doc_hash"] += " of another data set"
    other = save(tmp_path / "other", rows)
    with pytest.raises(InputError, match="retain: the reference model was asked for other documents"):
        imported("lm-eval", {"unlearned": source}, sets=TASKS, reference=str(other))


@pytest.mark.parametrize(
    ("several", "answer"), [(False, 0), (True, 1), (True, 3)], ids=["single", "right answer", "other answer"]
)
def test_a_null_in_one_model_drops_that_row_in_all_and_no_signal(
    tmp_path: Path, imported: Any, several: bool, answer: int
) -> None:
    sources = {}
    for model in ("original", "unlearned"):
        rows = {role: samples(model, role, several=several) for role in SIZES}
        if model == "original":
            rows["forget"][4]["filtered_resps"][answer][0] = None
            rows["holdout"][7]["acc"] = None
        sources[model] = save(tmp_path / model, rows)
    folder, found, said = imported("lm-eval", sources, sets=TASKS)
    assert list(found.signals) == (["nll_sum", "margin", "correct"] if several else ["nll_sum", "correct"])
    assert not any("nll_sum is left out" in line for line in said)
    assert [found.counts[role] for role in ("forget", "holdout")] == [
        {"rows": SIZES[role] - 1, "null": 1, "missing": 0} for role in ("forget", "holdout")
    ]
    assert "wmdp_bio:4" not in saved(folder, "forget")["ids"]
    np.testing.assert_allclose(
        saved(folder, "unlearned")["forget.nll_sum"], np.delete(losses("unlearned", "forget"), 4)
    )


def test_a_signal_without_any_value_is_left_out(tmp_path: Path, imported: Any) -> None:
    rows = {role: samples("unlearned", role, several=False) for role in SIZES}
    for row in rows["forget"]:
        row["filtered_resps"] = ["generated text"]
    _, found, said = imported("lm-eval", {"unlearned": save(tmp_path / "unlearned", rows)}, sets=TASKS)
    assert list(found.signals) == ["correct"]
    assert (
        "nll_sum is left out: no log has it for forget; ATTENTION: nll_sum would have decided, now correct does" in said
    )
