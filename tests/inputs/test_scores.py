"""Audits of scores alone: real ones, and everything that a file of them can get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.scores_case import ScoresCase, build

import audit
from attacks.tasks.scores import Scores
from audit.errors import InputError
from audit.inputs.provenance import twins
from tests.conftest import Cli

SEED = 3


@pytest.fixture(scope="module")
def case() -> ScoresCase:
    return build(SEED)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def gate(found: Any, name: str) -> Any:
    return next(gate for gate in found.result.gates if gate.name == name)


def changed(models: dict[str, Any], change: Any) -> dict[str, Any]:
    """The models of a case with every array of each changed by ``change(name, key, array)``; None removes one."""
    found = {m: {k: change(m, k, a) for k, a in arrays.items()} for m, arrays in models.items()}
    return {m: {k: a for k, a in arrays.items() if a is not None} for m, arrays in found.items()}


def given(case: ScoresCase, models: dict[str, Any], **more: Any) -> dict[str, Any]:
    return ScoresCase(case.sets, models).given(**more)


def test_an_honest_model_is_no_fail_and_what_cannot_be_said_is_said(case: ScoresCase) -> None:
    found = audit.run(**case.given())
    assert found.verdict == "INCONCLUSIVE"
    assert found.result.task is not None
    assert found.result.task.signals == {"squared_error": "lower"}
    assert found.result.schema_version == "1.5"
    assert gate(found, "scores (squared_error)").ok
    assert "by scores of rows alone (squared_error)" in found.result.verdict.scope
    assert found.result.utility is not None
    assert found.result.utility.figure.startswith("squared error")
    skipped = {f.attack: f.reason for f in found.findings if f.status == "SKIPPED"}
    assert "has no meaning for scores" in skipped["label_only"]
    assert any("squared_error (lower = more like a member)" in line for line in found.result.assumptions)
    assert found.result.claim.inferred[0].endswith("has no group column, and rows have no classes")


def test_a_model_that_kept_two_thirds_of_the_rows_fails_from_files_alone(
    case: ScoresCase, tmp_path: Path, cli: Cli, keys: tuple[Path, Path]
) -> None:
    """By the command line, twice the same run; the signed certificate of the FAIL verifies, for these scores alone."""
    kept = np.arange(60) < 40
    original = case.models["original"]["forget.squared_error"]
    mixed = np.where(kept, original, case.models["unlearned"]["forget.squared_error"])
    leaking = {**case.models, "unlearned": {**case.models["unlearned"], "forget.squared_error": mixed}}
    folder = ScoresCase(case.sets, leaking).save(tmp_path / "case")
    given = ("run", "--forget", folder / "forget.npz", "--split", "attested", "--sign-key", keys[0], "--quiet")
    ended = cli(*given)
    assert ended.code == 1, ended.err
    certificate = Path(ended.result["run"]) / "certificate.dsse.json"
    told = cli("verify", certificate, "--key", keys[1], "--model", folder / "unlearned.npz")
    assert told.code == 1, told.err
    assert "verdict for this model: FAIL" in told.out
    other = cli("verify", certificate, "--key", keys[1], "--model", folder / "original.npz")
    assert other.code == 1
    assert "covers other content" in other.err
    report = (Path(ended.result["run"]) / "report.html").read_text(encoding="utf-8")
    assert "Squared error, turned" in report
    again = cli(*given, "--fresh", "--task", "scores")
    assert again.result["run"] == ended.result["run"]
    assert cli("score", ended.result["run"], "--policy", "strict").code == 1


def test_a_pass_by_scores_is_certified_and_says_which_privacy_loss_its_rows_show(
    case: ScoresCase, lenient: Path, keys: tuple[Path, Path]
) -> None:
    """Margins are wide, so that a PASS, which a verifier holds against its own findings, can be had of 60 rows."""
    found = audit.run(**case.given(policy=lenient, sign_key=keys[0]))
    assert found.verdict == "PASS"
    assert found.certificate is not None
    model = case.models["unlearned"]
    assert audit.verify(found.certificate, key=keys[1], model=model, policy=str(lenient)).verdict == "PASS"
    with pytest.raises(audit.CertificateError, match="covers other content"):
        audit.verify(found.certificate, key=keys[1], model=case.models["original"])
    shown = privacy_loss(found)
    assert shown.interval.low == 0.0
    assert 0 < shown.interval.high < 2
    assert "Not a bound of the algorithm" in shown.reason
    close = {k: a * 1.001 for k, a in case.models["original"].items()}
    assert privacy_loss(audit.run(**given(case, case.models, unlearned=close))).interval.low > 0.3


def privacy_loss(found: Any) -> Any:
    return next(f for f in found.findings if f.id == "membership.epsilon")


def test_the_leading_signal_decides_and_a_trace_in_another_blocks_a_pass(case: ScoresCase) -> None:
    """Squared errors of the honest model lead; the absolute ones beside them are those of the original."""
    models = changed(case.models, lambda m, k, a: a)
    for name, arrays in models.items():
        source = case.models["original" if name == "unlearned" else name]
        noise = np.random.default_rng(0).normal(size=60) * 0.01
        arrays |= {
            key.replace("squared", "abs"): np.sqrt(source[key]) + (np.abs(noise) if key.startswith("forget") else 0.01)
            for key in case.models[name]
        }
    found = audit.run(**given(case, models))
    assert found.verdict != "FAIL"
    assert not gate(found, "scores (abs_error)").ok
    assert "a trace of the forget set" in gate(found, "scores (abs_error)").reason
    assert list(found.result.task.signals) == ["squared_error", "abs_error"]


def test_rows_in_another_order_never_pass(case: ScoresCase) -> None:
    order = {role: np.random.default_rng(1).permutation(len(a["ids"])) for role, a in case.sets.items()}
    models = changed(case.models, lambda m, k, a: a[order[k.partition(".")[0]]] if m == "unlearned" else a)
    found = audit.run(**given(case, models))
    assert found.verdict != "PASS"
    assert "order the holdout rows otherwise" in gate(found, "scores (squared_error)").reason


@pytest.mark.parametrize("value", [1.0, 0.0], ids=["constant", "zero"])
def test_constant_scores_never_pass(case: ScoresCase, value: float) -> None:
    models = changed(case.models, lambda m, k, a: np.full(len(a), value) if m == "unlearned" else a)
    found = audit.run(**given(case, models))
    assert found.verdict != "PASS"
    assert "100% of the forget rows are tied" in gate(found, "scores (squared_error)").reason


def test_constant_scores_of_every_model_never_pass(case: ScoresCase) -> None:
    models = changed(case.models, lambda m, k, a: np.ones(len(a)))
    with pytest.raises(InputError, match="computes the same function"):
        audit.run(**given(case, models))


def test_what_cannot_be_said_without_utility_or_original_is_said(case: ScoresCase) -> None:
    renamed = {
        m: {k.replace("squared_error", "my_loss"): a for k, a in arrays.items()} for m, arrays in case.models.items()
    }
    Path("audit.toml").write_text('[scores]\nmy_loss = "lower"\n')
    found = audit.run(**given(case, renamed, config="audit.toml"))
    assert found.verdict != "PASS"
    assert "no signal says how good the model is" in gate(found, "utility").reason
    assert found.report("html")
    alone = audit.run(**given(case, case.models, original=None))
    assert "no original model" in gate(alone, "positive control").reason
    assert alone.verdict != "PASS"


WRONG: dict[str, tuple[Any, str]] = {
    "unknown name": (lambda m, k, a: {k.replace("squared_error", "loss"): a}, r"signals loss have no direction"),
    "NaN": (lambda m, k, a: {k: np.where(np.arange(len(a)) == 2, np.nan, a)}, r"holds NaN or infinite values"),
    "negative likelihoods": (lambda m, k, a: {k.replace("squared_error", "nll"): a - 9}, r"nll cannot be such"),
    "turned errors": (
        lambda m, k, a: {k: -a},
        r"values that are not from 0 to 1e\+30 in .*squared_error cannot be such",
    ),
    "an absurd value": (
        lambda m, k, a: {k: np.where(np.arange(len(a)) == 2, 1e308, a)},
        r"squared_error has values that are not from 0 to 1e\+30 in .*positions 2",
    ),
    "an absurd value of an own signal": (
        lambda m, k, a: {k: a, k.replace("squared_error", "margin"): np.where(np.arange(len(a)) == 2, -1e31, a)},
        r"margin has values that are not from -1e\+30 to 1e\+30 in .*positions 2",
    ),
    "length": (lambda m, k, a: {k: a[:-1] if k.startswith("forget") else a}, r"forget.squared_error has 59 rows"),
    "missing set": (lambda m, k, a: {} if k.startswith("retain") else {k: a}, r"no .*retain.squared_error"),
    "two columns": (lambda m, k, a: {k: np.stack([a, a], 1)}, r"one number a row"),
    "text": (lambda m, k, a: {k: a.astype(str)}, r"save numbers of shape"),
    "odd set": (lambda m, k, a: {k: a, "train.nll": a}, r"train.nll.* is no key of scores"),
    "another signal in one model": (
        lambda m, k, a: {k: a, **({k.replace("squared_error", "margin"): a} if m == "unlearned" else {})},
        r"different signals",
    ),
    "logits in one model": (
        lambda m, k, a: {k.partition(".")[0]: np.zeros((len(a), 2))} if m == "original" else {k: a},
        r"give all models as scores",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_told_with_its_remedy(what: str, case: ScoresCase) -> None:
    change, message = WRONG[what]
    models: dict[str, Any] = {}
    for m, arrays in case.models.items():
        models[m] = {}
        for k, a in arrays.items():
            models[m] |= change(m, k, a)
    task = {"task": "scores"} if what == "odd set" else {}
    with pytest.raises(InputError, match=message):
        audit.run(**given(case, models, **task))


def test_logits_are_no_file_of_scores(case: ScoresCase) -> None:
    logits = {m: {k.partition(".")[0]: np.zeros((len(a), 2)) for k, a in p.items()} for m, p in case.models.items()}
    with pytest.raises(InputError, match="no key of scores"):
        audit.run(**given(case, logits, task="scores"))


def test_answers_to_changed_inputs_are_averaged_and_class_claims_have_no_meaning(case: ScoresCase) -> None:
    rng = np.random.default_rng(0)
    models = {
        m: p | {k.replace(".", "@again:0."): np.abs(a + rng.normal(size=len(a))) for k, a in p.items()}
        for m, p in case.models.items()
    }
    plain, asked = (audit.run(**given(case, x)) for x in (case.models, models))
    one, two = (next(f for f in r.findings if f.id == "membership.auc") for r in (plain, asked))
    assert one.estimate != two.estimate
    with pytest.raises(InputError, match="class claim has no meaning for scores"):
        audit.run(**given(case, case.models, claim="class"))


def test_over_forgetting_fails_in_the_lower_tail(case: ScoresCase) -> None:
    """Answers on forget rows that are worse than any retrain's: the forget set is recognised as the deleted one."""
    worse = {k: a * 30 if k.startswith("forget") else a for k, a in case.models["unlearned"].items()}
    found = audit.run(**given(case, {**case.models, "unlearned": worse}))
    assert found.verdict == "FAIL"
    assert "deleted" in found.result.verdict.sentence or "Over" in found.result.verdict.sentence


@pytest.mark.parametrize(("value", "says"), [(0.0, "are all equal"), (1e3, "scatter")])
def test_a_further_signal_that_says_nothing_of_the_audited_model_alone_blocks_a_pass(
    case: ScoresCase, value: float, says: str
) -> None:
    """Constant, or noise in place of scores: no trace is seen because none could be."""
    rng = np.random.default_rng(3)
    models = changed(case.models, lambda m, k, a: a)
    for name, arrays in models.items():
        own = {k.replace("squared_error", "truth_ratio"): a for k, a in case.models[name].items()}
        noise = {k: value * rng.normal(size=len(a)) for k, a in own.items()}
        arrays.update(noise if name == "unlearned" else own)
    found = audit.run(**given(case, models))
    assert found.verdict != "PASS"
    assert not gate(found, "scores (truth_ratio)").ok
    assert says in gate(found, "scores (truth_ratio)").reason


def test_labels_stand_in_all_sets_or_in_none(case: ScoresCase) -> None:
    """A label that only one side has would tell the sides apart, and be taken off as if it were the row's class."""
    sets = given(case, case.models)
    sets["forget"] = sets["forget"] | {"y": np.ones(len(case.sets["forget"]["ids"]), int)}
    with pytest.raises(InputError, match="have no y, the other sets do: give y in all sets or in none"):
        audit.run(**sets)


def test_twins_are_told_beside_sets_that_order_nothing() -> None:
    rng = np.random.default_rng(0)
    scores = {f"retrained/{k}": {"retain": rng.normal(size=200), "test": np.ones(50)} for k in range(4)}
    scores["retrained/4"] = {
        "retain": scores["retrained/3"]["retain"] + 0.01 * rng.normal(size=200),
        "test": np.ones(50),
    }
    (problem,) = twins(scores, {})
    assert problem.startswith("retrained/4 is no independent retrain beside retrained/3")
    assert not twins({name: {"test": found["test"]} for name, found in scores.items()}, {})


def test_a_density_has_no_perfect_value_that_references_could_be_forgiven_by() -> None:
    assert Scores({"log_density": "higher"}).best is None
    assert Scores({"nll": "lower"}).best == 0
