"""A transformer trained on forty TOFU authors, audited on its weights: honest, gradient difference, NPO, and a mask."""

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
SECONDS = 300  # of processor, on one core: two cores have as many for each other


@pytest.fixture(scope="module")
def case() -> dict[str, Any]:
    """Corpus and models by name."""
    from cases import tofu_case as tofu

    data = tofu.corpus(TEXTS)
    forget, retain = data.tokens["forget"], data.tokens["retain"]
    original = tofu.trained(forget + retain, 1)
    found = {"rows": data.rows(), "scores": tofu.scores, "data": data, "original": original}
    found |= {"honest": tofu.trained(retain, 10), "retrained": [tofu.trained(retain, 11 + k) for k in range(3)]}
    found["gradient difference"] = tofu.gradient_difference(copy.deepcopy(original), forget, retain)
    found["npo"] = tofu.npo(copy.deepcopy(original), forget, retain)
    found["mask"] = tofu.masked(original)
    return found


def audited(case: dict[str, Any], name: str, **options: Any) -> Any:
    named = {role: case[role].eval() for role in ("original",)} | {"unlearned": case[name].eval()}
    retrained = [model.eval() for model in case["retrained"]]
    more = {"task": "causal-lm", "split": "attested", "progress": "off"} | options
    return audit.run(**case["rows"], **named, retrained=retrained, **more)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_at_logits_it_is_the_audit_of_the_scores(case: dict[str, Any]) -> None:
    begin = time.process_time()
    found = audited(case, "npo", access="logits")
    assert time.process_time() - begin < SECONDS
    assert found.verdict == "FAIL"
    models = {"original": case["original"], "unlearned": case["npo"]}
    scores = {name: case["scores"](model, case["data"]) for name, model in models.items()}
    kept = {name: {k: v for k, v in one.items() if not k.endswith("zlib_nll")} for name, one in scores.items()}
    retrained = [
        {k: v for k, v in case["scores"](model, case["data"]).items() if not k.endswith("zlib_nll")}
        for model in case["retrained"]
    ]
    other = audit.run(**case["data"].sets(), **kept, retrained=retrained, split="attested", progress="off")
    mine, theirs = ({f.id: f.estimate for f in one.findings} for one in (found, other))
    assert mine["membership.auc"] == pytest.approx(theirs["membership.auc"], abs=0.01)


@pytest.mark.parametrize("name", ["honest", "gradient difference", "npo", "mask"])
def test_on_weights(case: dict[str, Any], name: str) -> None:
    begin = time.process_time()
    found = audited(case, name, access="weights", effort="quick")
    assert time.process_time() - begin < SECONDS
    done = {attack.name: attack.status for attack in found.result.attacks}
    assert {done[attack] for attack in ("membership", "relearning", "memory_jog")} == {"ok"}
    if name == "honest":
        assert found.verdict == "INCONCLUSIVE"  # 14 authors
    elif name == "mask":
        assert found.verdict != "PASS"
        assert not found.result.utility.ok
    else:
        assert found.verdict == "FAIL"
        known = {f.id: f for f in found.findings}
        assert known["relearning.auc"].status == "FAIL"
