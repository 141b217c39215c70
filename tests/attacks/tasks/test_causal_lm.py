"""Causal language models: functions of the task, and a small language audited on its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import token_case
from safetensors.torch import save_file
from torch import nn

import audit
from attacks.tasks.causal_lm import CausalLM
from audit.errors import InputError, UsageError
from tests.conftest import Cli
from tests.leaks import leaks

TASK = CausalLM()
ROWS = token_case.rows()
#: of five rows: log-likelihood, min-k++, min-k
OUTPUTS = np.array([[-0.5, -1.0, -3.0], [-2.0, -2.0, -4.0], [0.0, 1.0, 0.0], [-1.5, 0.0, -2.0], [-4.0, -3.0, -9.0]])
NOTHING = np.zeros(5, dtype=np.int64)


def test_the_mean_log_likelihood_decides_and_the_others_stand_beside_it() -> None:
    assert TASK.declared == {"nll": "lower", "min_k_pp": "higher", "min_k": "higher"}
    np.testing.assert_array_equal(TASK.confidence(OUTPUTS, NOTHING), OUTPUTS[:, 0])
    further = TASK.further(OUTPUTS, NOTHING)
    assert {name: values.tolist() for name, values in further.items()} == {
        "min_k_pp": OUTPUTS[:, 1].tolist(),
        "min_k": OUTPUTS[:, 2].tolist(),
    }
    assert TASK.outputs_words() == "log-likelihoods of tokens (nll, min_k_pp, min_k; causal-lm)"
    assert TASK.said()[1] == "features and hidden layers of tokens are not looked at"


def test_utility_is_the_log_likelihood_and_its_loss_is_printed_as_perplexity() -> None:
    assert (TASK.figure, TASK.best, TASK.relative) == ("log-likelihood", 0.0, False)
    assert TASK.mean_quality(OUTPUTS, NOTHING) == pytest.approx(-1.6)
    assert TASK.loss(OUTPUTS, NOTHING) == pytest.approx(1.6)
    assert TASK.loss(OUTPUTS[:0], NOTHING[:0]) == 0.0
    assert TASK.printed_loss(float(np.log(7.0))) == pytest.approx(7.0)
    assert np.isfinite(TASK.printed_loss(1e6))
    assert TASK.log_likelihood(OUTPUTS, NOTHING, 0.0, 2.0).tolist() == (OUTPUTS[:, 0] / 2).tolist()


def test_training_lowers_the_negative_log_likelihood_and_asks_for_no_labels() -> None:
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    assert TASK.training_loss(outputs.detach(), None, "none").tolist() == [0.5, 2.0, 0.0, 1.5, 4.0]
    assert float(TASK.training_loss(outputs.detach(), None, "mean")) == pytest.approx(1.6)
    TASK.training_loss(outputs, None).backward()
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[-1.0, 0.0, 0.0]] * 5  # a step down raises the likelihood, and nothing else
    assert "loss" in TASK.signals
    assert not {"features", "truth", "class_logits"} & TASK.signals
    assert "class" not in TASK.claims
    assert TASK.loss_name == ""  # the audit trains no language models


@pytest.fixture(scope="module")
def original() -> nn.Module:
    return token_case.train([ROWS["forget"], ROWS["retain"]], 1)


@pytest.fixture(scope="module")
def retrained() -> list[nn.Module]:
    return [token_case.train([ROWS["retain"]], 10 + k) for k in range(3)]


@pytest.fixture
def given(
    original: nn.Module, retrained: list[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    more = {"task": "causal-lm", "split": "attested", "progress": "off", "effort": "quick"}
    return {**ROWS, "original": original, "unlearned": retrained[2], "retrained": retrained[:2], **more}


def test_a_small_language_is_audited_on_its_weights(given: dict[str, Any], original: nn.Module) -> None:
    shallow = token_case.train([ROWS["retain"]], 5, steps=15, start=original)
    attacks = ["membership", "relearning", "memory_jog", "anamnesis"]
    found = audit.run(**given | {"unlearned": shallow}, access="weights", attacks=attacks)
    assert found.verdict == "FAIL"
    done = {attack.name: attack for attack in found.result.attacks}
    assert {name: done[name].status for name in attacks} == dict.fromkeys(attacks, "ok")
    known = {f.id: f for f in found.findings}
    assert known["relearning.auc"].estimate > 0.8  # type: ignore[operator]
    assert any("steps until the forget set is fitted" in line for line in done["anamnesis"].details)
    assert found.result.task is not None
    assert found.result.task.name == "causal-lm"
    printed = {figure.name: figure for figure in found.result.papers}
    forget, unseen = (printed[f"perplexity on {rows} rows"] for rows in ("forget", "never-seen"))
    assert forget.value < forget.null[0] < unseen.value  # type: ignore[operator,index]
    assert found.result.utility is not None
    assert found.result.utility.figure == "log-likelihood"
    assert any("tokens are not looked at" in line for line in found.result.assumptions)
    judged = (ROWS["forget"]["x.labels"] != -100).sum(axis=1)
    said = f"judged tokens of a row: forget {judged.mean():.4g} on average, {judged.min()} at least"
    assert said in found.result.assumptions
    gate = next(gate for gate in found.result.gates if gate.name == "attacks ran")
    assert "read by no attack on causal-lm: features and hidden layers of tokens" in gate.reason  # no PASS on weights
    assert found.no_certificate == ""


def test_what_has_no_meaning_is_refused_with_its_remedy(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="class claim has no meaning for causal-lm"):
        audit.run(**given, claim="class")
    stored = {f"{role}.nll": np.ones(token_case.ROWS) for role in ROWS}
    with pytest.raises(InputError, match=r"causal-lm needs a network .* for stored scores leave --task out"):
        audit.run(**given | {"original": stored, "unlearned": stored, "retrained": []})
    flat = nn.Sequential(nn.Embedding(token_case.WORDS, 4), nn.Flatten(), nn.Linear(4 * token_case.LENGTH, 3)).eval()
    with pytest.raises(InputError, match=r"not \(rows, tokens, vocabulary\): wrap it"):
        audit.run(**given | {"unlearned": flat})
    Path("recipe.toml").write_text('[recipe]\noptimizer = "adam"\n')
    with pytest.raises(UsageError, match="trains no models of the task causal-lm: give honest retrains"):
        audit.run(**given, config="recipe.toml", train_references=2, arch="cases.token_case:Reader")


def test_tokens_and_authors_stand_in_nothing_that_is_given_away(
    original: nn.Module, retrained: list[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    """Rows as text, as numpy keeps them in each type of whole numbers, and as logs print them; and the authors."""
    monkeypatch.chdir(tmp_path)
    authors = [f"Ngozi {at // 2:02} Okonkwo" for at in range(token_case.ROWS)]
    for role, rows in ROWS.items():
        np.savez(f"{role}.npz", **rows, group=np.array([f"{role} {name}" for name in authors]))
    for name, network in (("original", original), ("unlearned", retrained[0]), ("retrained-0", retrained[1])):
        save_file(network.state_dict(), f"{name}.safetensors")
    more = ("--task", "causal-lm", "--arch", "cases.token_case:Reader", "--split", "attested", "--effort", "quick")
    ended = cli("run", "--forget", "forget.npz", *more, "--access", "weights", "--attacks", "membership,relearning")
    assert ended.code in (1, 3), ended.err
    run = Path(ended.result["run"])
    assert audit.load(run).result.claim.kind == "subject"  # the authors were read
    words: list[str | bytes] = ["Okonkwo"]
    for row in ROWS["forget"]["x.input_ids"]:
        first = row[:6]  # no row is shorter
        words += [sep.join(map(str, first)) for sep in (" ", ",", ", ")]
        words += [first.astype(kind).tobytes() for kind in (np.int64, np.int32, np.uint16, np.float32)]
    assert not leaks(run, words, ended.out, ended.err)
