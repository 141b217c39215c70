"""A transformer trained on forty TOFU authors: honest, gradient difference, NPO, and a mask that answers nothing."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path
from typing import Any

import pytest

import audit

TEXTS = Path(os.environ.get("UNLEARN_TEST_DATA", "/nowhere")) / "text" / "tofu.json.gz"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TEXTS.is_file(), reason=f"no {TEXTS.name}: set UNLEARN_TEST_DATA"),
]


@pytest.fixture(scope="module")
def case() -> tuple[dict[str, Any], dict[str, Any]]:
    """Sets, and scores by model."""
    from cases import tofu_case as tofu

    data = tofu.corpus(TEXTS)
    forget, retain = data.tokens["forget"], data.tokens["retain"]
    original = tofu.trained(forget + retain, 0)
    models = {"original": original, "honest": tofu.trained(retain, 10)}
    models |= {f"retrained-{k}": tofu.trained(retain, 11 + k) for k in range(8)}
    models["gradient difference"] = tofu.gradient_difference(copy.deepcopy(original), forget, retain)
    models["npo"] = tofu.npo(copy.deepcopy(original), forget, retain)
    found = {name: tofu.scores(model, data) for name, model in models.items()}
    return data.sets(), found | {"mask": tofu.scores(original, data, refuses=True)}


@pytest.fixture
def audited(case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    sets, found = case

    def run(name: str) -> Any:
        retrained = [found[f"retrained-{k}"] for k in range(8)]
        begin = time.monotonic()
        ended = audit.run(
            **sets,
            original=found["original"],
            unlearned=found[name],
            retrained=retrained,
            split="attested",
            progress="off",
        )
        assert time.monotonic() - begin < 300
        return ended

    return run


def test_an_honest_retrain_is_never_failed_and_what_is_too_little_is_said(audited: Any) -> None:
    found = audited("honest")
    assert found.verdict == "INCONCLUSIVE"
    assert any("there are 14 and" in reason for reason in found.result.verdict.reasons)
    (leak,) = [figure for figure in found.result.papers if figure.name.startswith("privleak")]
    assert leak.null is not None
    assert abs(leak.value) < 25


@pytest.mark.parametrize("method", ["gradient difference", "npo"])
def test_shallow_methods_fail(audited: Any, method: str) -> None:
    found = audited(method)
    assert found.verdict == "FAIL"
    (leak,) = [figure for figure in found.result.papers if figure.name.startswith("privleak")]
    assert leak.value > leak.null[1]


def test_a_mask_that_answers_nothing_never_passes(audited: Any) -> None:
    found = audited("mask")
    assert found.verdict != "PASS"
    assert not found.result.utility.ok
    (gate,) = [gate for gate in found.result.gates if gate.name == "scores (nll)"]
    assert "tied" in gate.reason
