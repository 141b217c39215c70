"""Every Eval Ever: one evaluation a set, scores with a direction of their own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from audit.errors import InputError
from tests.imports.conftest import SIZES, losses, saved


def samples(model: str) -> list[dict[str, Any]]:
    return [
        {
            "schema_version": "0.3",
            "evaluation_name": f"eval_{role}",
            "sample_id": f"{role}_{i:04}",
            "sample_hash": f"h{role}{i}",
            "input": {"raw": "a prompt", "reference": ["x"]},
            "evaluation": {"score": 1 / (1 + value), "is_correct": value < 2},
            "metadata": {"subject": f"s{i // 5}"},
        }
        for role in SIZES
        for i, value in enumerate(losses(model, role))
    ]


def save(path: Path, rows: list[Any]) -> Path:
    path.mkdir(exist_ok=True)
    file = path / "0b6f_samples.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


SETS = {role: f"eval_{role}" for role in SIZES}


def test_scores_and_subjects(tmp_path: Path, imported: Any) -> None:
    sources = {m: save(tmp_path / m, samples(m)) for m in ("original", "unlearned")}
    folder, found, _ = imported("every-eval-ever", sources, sets=SETS, group_key="subject")
    assert found.signals == {"correct": "higher", "score": "higher"}
    assert saved(folder, "retain")["ids"][3] == "eval_retain:retain_0003"
    assert saved(folder, "unlearned")["forget.score"][5] == 1 / (1 + losses("unlearned", "forget")[5])
    assert len(set(saved(folder, "forget")["group"])) == 12
    assert 'score = "higher"' in (folder / "audit.toml").read_text()


def test_files_of_one_name_in_two_folders_keep_their_digests(tmp_path: Path, imported: Any) -> None:
    rows = samples("unlearned")
    (tmp_path / "logs").mkdir()
    files = [save(tmp_path / "logs" / "a", rows[:9]), save(tmp_path / "logs" / "b", rows[9:])]
    folder, _, _ = imported("every-eval-ever", {"unlearned": tmp_path / "logs"}, sets=SETS)
    kept = json.loads((folder / "import.json").read_text())["sources"]["unlearned"]
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert kept == dict(zip(("a/0b6f_samples.jsonl", "b/0b6f_samples.jsonl"), digests, strict=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"evaluation": {"score": None, "is_correct": 1}}, "line 4, evaluation.is_correct is 1"),
        ({"evaluation": {"is_correct": True}}, "line 4, evaluation.score is 'absent'"),
        ({"evaluation": []}, r"line 4, evaluation is \[\], no object"),
        ({"sample_id": "forget_0002"}, "line 4: sample_id 'forget_0002' is absent or stands twice"),
    ],
)
def test_malformed_rows_are_refused_with_the_row(tmp_path: Path, imported: Any, change: Any, told: str) -> None:
    rows = samples("unlearned")
    rows[3] |= change
    with pytest.raises(InputError, match=told):
        imported("every-eval-ever", {"unlearned": save(tmp_path / "m", rows)}, sets=SETS)
    (tmp_path / "m" / "0b6f_samples.jsonl").write_text('{"a": 1}\n{"a": 1, "a": 2}\n')
    with pytest.raises(InputError, match=r"line 2 is no JSON .*stands twice"):
        imported("every-eval-ever", {"unlearned": tmp_path / "m"}, sets=SETS)


def test_an_evaluation_that_never_says_whether_an_answer_is_right_has_its_scores(tmp_path: Path, imported: Any) -> None:
    rows = samples("unlearned")
    for row in rows:
        del row["evaluation"]["is_correct"]
    _, found, _ = imported("every-eval-ever", {"unlearned": save(tmp_path / "u", rows)}, sets=SETS)
    assert found.signals == {"score": "higher"}
