"""Class forget sets: head edits are caught however they are disguised, honest retrains are not failed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases.digits_case import DigitsCase, build, failures
from methods.controls import add_noise, permute_hidden, rescale_hidden
from torch import nn

from audit import demo
from audit.inputs.resolve import resolve
from audit.record.result import Outcome
from audit.run import prepare, run_audit

SLOW = pytest.mark.slow
#: retrains, and how many of them may FAIL at most (99.7 % point of Binomial(n, .05))
HONEST = [pytest.param(2, 1, id="2"), pytest.param(20, 4, id="20", marks=SLOW)]


@pytest.fixture(scope="module")
def one_class(tmp_path_factory: pytest.TempPathFactory) -> DigitsCase:
    return build(tmp_path_factory.mktemp("class"), "class", references=8)


@pytest.fixture(scope="module")
def no_structure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard policy with the structural finding switched off."""
    content = (Path(demo.__file__).parent / "policy" / "standard.toml").read_text()
    path = tmp_path_factory.mktemp("policy") / "no-structure.toml"
    path.write_text(
        content.replace('name = "standard"', 'name = "no-structure"').replace(
            "valid_days", "structural = false\nvalid_days", 1
        )
    )
    return path


def test_the_original_itself_fails(one_class: DigitsCase) -> None:
    result = one_class.audit(one_class.original)
    assert result.verdict.outcome is Outcome.FAIL
    assert any(f.id == "structure.identical" for f in result.findings)


@pytest.mark.parametrize(("count", "bar"), HONEST)
def test_honest_class_retrains_rarely_fail(one_class: DigitsCase, count: int, bar: int) -> None:
    outcomes = [one_class.audit(one_class.retrain(seed)).verdict.outcome for seed in range(count)]
    assert outcomes.count(Outcome.FAIL) <= bar


def cheats(case: DigitsCase) -> dict[str, nn.Module]:
    masked = demo.mask_head(case.original, (demo.FORGOTTEN_CLASS,))
    renewed = demo.retrain_last_layer(case.data, case.original, case.rows["retain"], seed=5)
    found: dict[str, nn.Module] = {}
    for name, model in (
        ("masked", masked),
        ("deleted", demo.mask_head(case.original, (1,), 1000)),
        ("renewed", renewed),
    ):
        found |= {
            name: model,
            f"{name}, encoder noise": add_noise(model, 1e-6, 1, encoder_only=True),
            f"{name}, units permuted": permute_hidden(model, 2),
            f"{name}, rescaled": rescale_hidden(model, 3.0),
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, pytest.param(12, marks=SLOW)])
def test_head_edits_fail_even_without_the_structural_finding(
    one_class: DigitsCase, no_structure: Path, count: int
) -> None:
    for name, model in list(cheats(one_class).items())[:count]:
        result = one_class.audit(model, policy=str(no_structure))
        assert result.verdict.outcome is Outcome.FAIL, name
        assert "feature_mapping" in failures(result), name
        assert not any(f.kind == "structural" and f.status.value == "FAIL" for f in result.findings)


def test_head_edits_are_structural_findings(one_class: DigitsCase) -> None:
    result = one_class.audit(demo.mask_head(one_class.original, (demo.FORGOTTEN_CLASS,)))
    assert result.verdict.outcome is Outcome.FAIL
    assert any(f.id == "structure.encoder" and f.status.value == "FAIL" for f in result.findings)


def test_public_layers_are_no_structural_finding(one_class: DigitsCase, tmp_path: Path) -> None:
    config = tmp_path / "audit.toml"
    config.write_text('[claim]\npublic_layers = ["0", "2"]\n')
    renewed = demo.retrain_last_layer(one_class.data, one_class.original, one_class.rows["retain"], seed=5)
    path = one_class.folder / "public.safetensors"
    demo.save_model(path, renewed)
    flags = {"forget": one_class.folder / "forget.npz", "unlearned": path, "arch": demo.ARCH, "out": tmp_path}
    result = run_audit(prepare(resolve(flags, config)[0])).result
    assert not any(f.kind == "structural" and f.status.value == "FAIL" for f in result.findings)
    assert any(f.id == "structure.public" for f in result.findings)


@SLOW
@pytest.mark.parametrize("access", ["features", "weights"])
def test_common_ancestry_without_the_forget_set_is_not_failed(tmp_path: Path, access: str) -> None:
    """A checkpoint from before the forget data came, continued on everything (original) and on retain (unlearned).

    What compares with the original's weights must not decide: `transplant` failed the models of this seed.
    """
    case = build(tmp_path, "class", seed=601, label=1, references=8)
    retain = case.rows["retain"]
    ancestor = demo.train(case.data, retain, seed=1378, steps=300)
    everything = np.concatenate([case.rows["forget"], retain])
    demo.save_model(
        tmp_path / "original.safetensors", demo.train(case.data, everything, 1379, start=ancestor, steps=400)
    )
    candidates = [demo.train(case.data, retain, 1381 + seed, start=ancestor, steps=400) for seed in range(4)]
    outcomes = [case.audit(candidate, access=access).verdict.outcome for candidate in candidates]
    assert outcomes.count(Outcome.FAIL) <= 1
