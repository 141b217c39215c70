"""A signal that the audited model's log alone lacks is refused, rows block a PASS; all that is left out is named."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.scores_case import build

import audit
from audit.errors import InputError
from audit.imports.joined import join
from audit.imports.layout import Log, Rows
from tests.conftest import Cli
from tests.imports import test_lm_eval as lm_eval
from tests.imports import test_tokens as token_files
from tests.imports.conftest import MODELS, SIZES, indexed, losses
from tests.imports.test_open_unlearning import written

texts = token_files.texts  # a fixture
ROWS = 200
SETS = ("forget", "retain", "holdout", "test")


def logs(*names: str, models: tuple[str, ...] = ("original", "unlearned", "retrained-0")) -> dict[str, Log]:
    """Of some signals, all of them there."""
    found = {}
    for model in models:
        log = Log()
        for role in SETS:
            log.sets[role] = Rows()
            for name in names:
                log.sets[role].add(name, {str(i): 0.5 for i in range(ROWS)}, f"field of {name}")
        found[model] = log
    return found


def without(found: dict[str, Log], model: str, role: str, name: str) -> dict[str, Log]:
    del found[model].sets[role].signals[name]
    return found


@pytest.mark.parametrize("role", SETS)
@pytest.mark.parametrize("name", ["nll", "rouge_l", "my_own"])
def test_a_signal_that_the_audited_model_alone_lacks_is_refused(role: str, name: str) -> None:
    """Without it another signal would decide, or one that blocks a PASS would be gone."""
    found = logs("nll", "rouge_l", "my_own")
    found["original"].own = {"my_own": "higher"}
    told = f"unlearned: its log has no {name} for the {role} set, and original, retrained-0 have it: evaluate"
    with pytest.raises(InputError, match=told):
        join(without(found, "unlearned", role, name))


def test_one_model_that_has_it_will_do() -> None:
    found = without(logs("nll", "rouge_l"), "unlearned", "forget", "nll")
    with pytest.raises(InputError, match="no nll for the forget set, and original have it"):
        join(without(found, "retrained-0", "forget", "nll"))


def test_a_set_that_the_audited_model_alone_lacks_is_refused() -> None:
    """Without a holdout set the test set would serve."""
    found = logs("nll")
    found["unlearned"].sets["holdout"].signals.clear()
    with pytest.raises(InputError, match="unlearned: its log has no values for the holdout set, and those of original"):
        join(found)
    del found["unlearned"].sets["holdout"]
    with pytest.raises(InputError, match="unlearned: its log has no values for the holdout set"):
        join(found)


def test_what_another_model_lacks_is_left_out_with_its_name() -> None:
    found, said = join(without(logs("nll", "rouge_l"), "retrained-0", "holdout", "rouge_l"))
    assert list(found.signals) == ["nll"]
    assert found.left_out == ["rouge_l is left out: not in the log of retrained-0 for holdout"]
    assert found.left_out[0] in said
    lacking = logs("nll")
    del lacking["original"].sets["test"]
    assert join(lacking)[0].left_out == ["the test set is left out: not in the log of original"]


def test_a_signal_that_would_have_decided_is_said_loudly() -> None:
    found, _ = join(without(logs("nll", "rouge_l"), "original", "retain", "nll"))
    assert found.left_out == [
        "nll is left out: not in the log of original for retain; ATTENTION: nll would have decided, now rouge_l does"
    ]


def test_another_field_in_the_log_of_the_audited_model_is_refused_and_in_another_log_left_out() -> None:
    found = logs("nll", "rouge_l")
    found["original"].sets["forget"].origin["nll"] = "another field"
    assert join(found)[0].left_out[0].startswith("nll is left out: in different fields for forget, as in the log of o")
    found = logs("nll", "rouge_l")
    found["unlearned"].sets["forget"].origin["nll"] = "another field"
    with pytest.raises(InputError, match="nll of the forget set is from 'another field', and from 'field of nll' in"):
        join(found)


@pytest.mark.parametrize("gone", ["null", "missing"])
@pytest.mark.parametrize(("count", "lacked"), [(2, []), (3, ["3 of 200 forget rows"])])
def test_rows_that_the_audited_model_alone_lacks(gone: str, count: int, lacked: list[str]) -> None:
    """They are dropped in all models as others are; 1 % of 200 rows are 2, and more of them block a PASS."""
    found = logs("nll", "rouge_l")
    column = found["unlearned"].sets["forget"].signals["rouge_l"]
    for i in range(count):
        column[str(i)] = None
        if gone == "missing":
            del column[str(i)]
    told, said = join(found)
    assert told.left_out == [f"{count} of 200 forget rows are left out in all models: {count} {gone} in unlearned"]
    assert told.dropped["forget"] == {"unlearned": {"null": 0, "missing": 0} | {gone: count}}
    assert told.lacked == lacked
    assert any("alone lacks 3 of 200 forget rows: no PASS" in line for line in said) is bool(lacked)


def test_they_block_a_pass_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case, gates = build(3), []
    for line in ("", 'unlearned-lacks = "3 of 60 forget rows"\n'):
        Path("audit.toml").write_text(f"[scores]\n{line}")
        gates.append({gate.name: gate for gate in audit.run(**case.given(config="audit.toml")).result.gates})
    assert "rows left out" not in gates[0]
    blocked = gates[1]["rows left out"]
    assert not blocked.ok
    assert "the audited model's log alone lacks 3 of 60 forget rows" in blocked.reason


def test_rows_that_other_models_lack_too_are_counted_by_model() -> None:
    found = logs("nll", models=("unlearned", "original", *(f"retrained-{i}" for i in range(6))))
    for model, rows in {"original": range(9), "unlearned": range(6, 11), "retrained-5": range(3)}.items():
        found[model].sets["forget"].signals["nll"] |= {str(i): None for i in rows}
    told, said = join(found)
    assert told.left_out[0] == (
        "11 of 200 forget rows are left out in all models: 9 null in original, 5 null in unlearned, "
        "3 null in retrained-5"
    )
    assert said == told.left_out
    assert told.counts["forget"] == {"rows": 189, "null": 11, "missing": 0}
    for i in range(5):
        found[f"retrained-{i}"].sets["forget"].signals["nll"]["0"] = None
    assert join(found)[0].left_out[0].endswith("1 null in retrained-0, some in 4 more models")


def test_a_log_alone_is_compared_with_nothing() -> None:
    found = logs("nll", models=("unlearned",))
    found["unlearned"].sets["forget"].signals["nll"] |= {str(i): None for i in range(9)}
    assert join(found)[0].counts["forget"]["null"] == 9


def deleted(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(name)


def emptied(content: dict[str, Any]) -> None:
    content["mia_loss"]["forget"]["value_by_index"] = {}
    content["forget_Q_A_Prob"]["value_by_index"] = {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (emptied, "its log has no nll for the forget set"),
        (deleted("mia_loss"), "its log has no nll for the holdout set"),
        (lambda content: content["mia_loss"].pop("forget"), "nll of the forget set is from 'forget_Q_A_Prob"),
        (deleted("mia_min_k"), "its log has no min_k for the forget set"),
    ],
)
def test_metrics_taken_out_of_the_audited_models_log_are_refused(
    tmp_path: Path, imported: Any, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    with pytest.raises(InputError, match=f"(?s)unlearned: .*{told}"):
        imported(
            "open-unlearning",
            written(tmp_path, lambda model, content: change(content) if model == "unlearned" else None),
        )
    assert not (tmp_path / "case").exists()


def test_statistics_of_the_vocabulary_taken_out_of_the_audited_models_file_are_refused(
    tmp_path: Path, texts: dict[str, str], imported: Any
) -> None:
    sources = {model: token_files.write(tmp_path, model, vocabulary=model != "unlearned") for model in MODELS[:3]}
    with pytest.raises(InputError, match="unlearned: its log has no min_k_pp for the forget set, and original, retr"):
        imported("tokens", sources, sets=texts)


def test_likelihoods_that_became_generated_text_in_the_audited_models_log_are_refused(
    tmp_path: Path, imported: Any
) -> None:
    sources = {}
    for model in MODELS[:3]:
        rows = {role: lm_eval.samples(model, role, several=False) for role in SIZES}
        for row in rows["forget"] if model == "unlearned" else []:
            row["filtered_resps"] = ["generated text"]
        sources[model] = lm_eval.save(tmp_path / model, rows)
    with pytest.raises(InputError, match="unlearned: its log has no nll_sum for the forget set"):
        imported("lm-eval", sources, sets=lm_eval.TASKS)


def test_what_was_left_out_stands_in_the_record_and_in_no_words_about_rows(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(model: str, content: dict[str, Any]) -> None:
        for role in SIZES:
            said = indexed([float(np.exp(-v)) for v in losses(model, role)], "rougeL_recall")
            content[f"{role}_Q_A_ROUGE"] = said
        if model == "original":
            content["forget_Q_A_ROUGE"]["value_by_index"]["17"] = None
        if model == "retrained-2":
            del content["retain_Q_A_Prob"]

    monkeypatch.chdir(tmp_path)
    sources = written(tmp_path, change)
    retrains = [part for model in MODELS[2:] for part in ("--retrained", sources[model])]
    ended = cli(
        "import", "open-unlearning", "--original", sources["original"], "--unlearned", sources["unlearned"], *retrains
    )
    assert ended.code == 0, ended.err
    row = "1 of 60 forget rows are left out in all models: 1 null in original"
    signal = (
        "nll is left out: not in the log of retrained-2 for retain; ATTENTION: nll would have decided, now rouge_l does"
    )
    assert row in ended.err
    assert signal in ended.err
    origin = json.loads(Path("case/import.json").read_text())
    assert origin["dropped"] == {"forget": {"original": {"null": 1, "missing": 0}}}
    told = tomllib.loads(Path("case/audit.toml").read_text())["scores"]
    assert signal in told["left-out"]
    assert row in told["left-out"]
    run = cli("run", "--config", "case/audit.toml", "--quiet")
    assert run.code in (0, 1, 3), run.err
    folder = Path(run.result["run"])
    record = json.loads((folder / "run.json").read_text())
    assert record["task"]["signals"] == {"rouge_l": "higher"}
    line = next(line for line in record["assumptions"] if line.startswith("left out when the logs were imported"))
    assert line.endswith(told["left-out"])
    assert "17" not in line
    assert row in (folder / "report.html").read_text()
    assert row in (folder / "certificate.unsigned.json").read_text()
