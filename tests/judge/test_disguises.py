"""What a publisher may do to a model or a user to a file: none of it turns the original into a PASS."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from cases.digits_case import DigitsCase, build

from attacks.calibration import out_of_line
from audit import demo
from audit.errors import InputError, UsageError
from audit.inputs.resolve import resolve
from audit.policy.policy import load_policy
from audit.record.result import Outcome
from audit.run import prepare, run_audit


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> DigitsCase:
    return build(tmp_path_factory.mktemp("disguise"), "random", references=5)


def scaled(model: torch.nn.Module, factor: float) -> torch.nn.Module:
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in list(changed.children())[-1].parameters():
            parameter.mul_(factor)
    return changed


@pytest.mark.parametrize("factor", [0.03, 30.0, *(pytest.param(f, marks=pytest.mark.slow) for f in (0.3, 0.1, 1e-3))])
def test_rescaled_logits_hide_nothing(case: DigitsCase, factor: float) -> None:
    result = case.audit(scaled(case.original, factor), access="logits")
    assert result.verdict.outcome is Outcome.FAIL


def test_probabilities_are_refused_and_their_disguises_never_pass(case: DigitsCase) -> None:
    x = {role: torch.from_numpy(case.data.x[rows]) for role, rows in case.rows.items()}
    models = {"original": case.original, **{f"retrained-{k}": case.retrain(500 + k) for k in range(5)}}
    for name, transform in (("probabilities", 1.0), ("shrunk", 0.9)):
        folder = case.folder / name
        folder.mkdir()
        demo.save_data(folder, case.data, case.rows)
        with torch.no_grad():
            for stem, model in models.items():
                np.savez(folder / f"{stem}.npz", **{role: model(rows).numpy() for role, rows in x.items()})
            outputs = {role: transform * case.original(rows).softmax(1).numpy() for role, rows in x.items()}
        np.savez(folder / "unlearned.npz", **outputs)
        settings, _ = resolve({"forget": folder / "forget.npz", "out": folder / "runs", "split": "attested"})
        if name == "probabilities":
            with pytest.raises(InputError, match="probabilities"):
                prepare(settings)
        else:
            assert run_audit(prepare(settings)).result.verdict.outcome is not Outcome.PASS


def test_scores_out_of_line_support_no_pass() -> None:
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(5, 400))
    assert out_of_line(examples) == ""
    examples[0] *= 3
    assert "scatter" in out_of_line(examples)
    assert out_of_line(examples[:2]) == ""


def test_a_few_odd_rows_are_no_scatter() -> None:
    examples = np.random.default_rng(0).normal(size=(5, 400))
    examples[0, :4] = 752.0
    assert out_of_line(examples) == ""


def test_copies_of_a_row_count_once(case: DigitsCase) -> None:
    folder = case.folder / "copies"
    folder.mkdir()
    rows = {**case.rows, "forget": np.repeat(case.rows["forget"][:40], 8)}
    demo.save_data(folder, case.data, rows)
    data = np.load(folder / "forget.npz")
    np.savez(folder / "forget.npz", x=data["x"], y=data["y"])
    flags = {"forget": folder / "forget.npz", "arch": demo.ARCH, "original": case.folder / "original.safetensors"}
    demo.save_model(folder / "unlearned.safetensors", case.retrain(3))
    result = run_audit(prepare(resolve({**flags, "out": folder / "runs", "split": "attested"})[0])).result
    assert any(f.id == "input.forget_in_forget" for f in result.findings)
    assert {f.n_forget for f in result.findings if f.metric == "auc"} == {40}


def test_a_policy_may_not_borrow_a_built_in_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from audit.policy.policy import _built_in

    weak = tmp_path / "weak.toml"
    weak.write_bytes(_built_in("standard").replace(b"auc_margin = 0.10", b"auc_margin = 0.49"))
    with pytest.raises(UsageError, match="calls itself 'standard'"):
        load_policy(str(weak))
    same = tmp_path / "same.toml"
    same.write_bytes(_built_in("standard"))
    assert load_policy(str(same))[0].name == "standard"
