"""Random forget sets: the original fails, honest retrains do not, thin evidence is INCONCLUSIVE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases.digits_case import DigitsCase, build, failures
from methods.controls import add_noise

from audit import demo
from audit.record.result import Outcome

SLOW = pytest.mark.slow
#: retrains, and how many of them may FAIL at most (99.7 % point of Binomial(n, .05))
HONEST = [pytest.param(2, 1, id="2"), pytest.param(20, 4, id="20", marks=SLOW)]


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> DigitsCase:
    return build(tmp_path_factory.mktemp("noisy"), "random", references=5)


def test_the_original_itself_fails(noisy: DigitsCase) -> None:
    result = noisy.audit(noisy.original)
    assert result.verdict.outcome is Outcome.FAIL
    assert any(f.id == "structure.identical" for f in result.findings)


def test_the_original_fails_on_clean_digits_without_references(tmp_path: Path) -> None:
    case = build(tmp_path, "random", wrong=0.0, references=0, forget=20)
    assert case.audit(case.original).verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=SLOW)])
def test_original_with_tiny_noise_fails_by_statistics(noisy: DigitsCase, count: int) -> None:
    for seed in range(count):
        result = noisy.audit(add_noise(noisy.original, 1e-6, seed))
        assert result.verdict.outcome is Outcome.FAIL, seed
        assert "membership" in failures(result)


@pytest.mark.parametrize(("count", "bar"), HONEST)
def test_honest_retrains_rarely_fail_and_can_pass(noisy: DigitsCase, count: int, bar: int) -> None:
    outcomes = [noisy.audit(noisy.retrain(seed)).verdict.outcome for seed in range(count)]
    assert outcomes.count(Outcome.FAIL) <= bar
    assert outcomes.count(Outcome.PASS) >= count // 2


@SLOW
def test_one_epoch_of_fine_tuning_fails(noisy: DigitsCase) -> None:
    for seed in range(3):
        candidate = demo.fine_tune(noisy.data, noisy.original, noisy.rows["retain"], seed)
        assert noisy.audit(candidate).verdict.outcome is Outcome.FAIL


@pytest.mark.slow
def test_small_forget_set_is_inconclusive_and_says_what_would_settle_it(tmp_path: Path) -> None:
    case = build(tmp_path, "random", references=5, forget=20)
    result = case.audit(case.retrain(7))
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert any("(30 and 100 to be judged at all)" in way for way in result.verdict.settle)


@SLOW
def test_perturbed_original_on_clean_digits_never_passes(tmp_path: Path) -> None:
    case = build(tmp_path, "random", wrong=0.0, references=5)
    for seed in range(5):
        result = case.audit(add_noise(case.original, 1e-6, seed))
        assert result.verdict.outcome is not Outcome.PASS
        if result.verdict.outcome is Outcome.INCONCLUSIVE:
            assert result.verdict.settle


@SLOW
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_an_honest_model_that_shares_an_ancestor_with_the_original_is_not_failed(tmp_path: Path, seed: int) -> None:
    """Both went on from a checkpoint that never saw a forget row; the references start from scratch."""
    case = build(tmp_path, "random", seed=seed, references=5)
    retain = case.rows["retain"]
    everything = np.concatenate([case.rows["forget"], retain])
    ancestor = demo.train(case.data, retain, seed + 77, steps=200)
    original, honest = (
        demo.train(case.data, rows, seed + k, start=ancestor, steps=800) for k, rows in enumerate((everything, retain))
    )
    demo.save_model(tmp_path / "original.safetensors", original)
    found = case.audit(honest, access="weights")
    assert found.verdict.outcome is not Outcome.FAIL, failures(found)
    assert case.audit(original, access="weights").verdict.outcome is Outcome.FAIL


@SLOW
def test_broken_model_does_not_pass(noisy: DigitsCase) -> None:
    assert noisy.audit(demo.initialised(4)).verdict.outcome is not Outcome.PASS


@SLOW
def test_common_ancestry_without_the_forget_set_is_not_failed(tmp_path: Path) -> None:
    """A checkpoint from before the forget data came, continued on everything (original) and on retain (unlearned)."""
    case = build(tmp_path, "random", references=5)
    ancestor = demo.train(case.data, case.rows["retain"], seed=77, steps=300)
    everything = np.concatenate([case.rows["forget"], case.rows["retain"]])
    demo.save_model(tmp_path / "original.safetensors", demo.train(case.data, everything, 78, start=ancestor))
    candidates = [demo.train(case.data, case.rows["retain"], 80 + seed, start=ancestor) for seed in range(4)]
    outcomes = [case.audit(candidate).verdict.outcome for candidate in candidates]
    assert outcomes.count(Outcome.FAIL) <= 1
