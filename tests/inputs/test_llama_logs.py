"""Real Llama-2-7B logs of TOFU: what 15 authors and one retrain can show, and a twin that is no further retrain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit
from audit.errors import InputError

LOGS = Path(os.environ.get("UNLEARN_TEST_DATA", "/nowhere")) / "tofu_llama2_eval_logs.npz"
SETS = {"forget": "forget", "retain": "retain", "holdout": "real_author", "test": "world_fact"}
SIGNALS = {"nll": "avg_gt_loss", "truth_ratio": "truth_ratio", "rouge_l": "rougeL_recall"}

pytestmark = pytest.mark.skipif(not LOGS.is_file(), reason=f"no {LOGS.name}: set UNLEARN_TEST_DATA")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def of(archive: Any, model: str, decay: str = "wd0") -> dict[str, np.ndarray[Any, Any]]:
    """Scores of one model."""
    return {
        f"{role}.{signal}": archive[f"llama2-7b/{model}/{decay}/{name}/{key}"]
        for role, name in SETS.items()
        for signal, key in SIGNALS.items()
    }


def audited(by: str, decay: str, twin: bool = False) -> Any:
    """An audit of the fully trained model; original: the same; reference: the one retrain without these authors."""
    with np.load(LOGS) as archive:
        original, unlearned = of(archive, "full"), of(archive, "full", decay)
        retrained = [of(archive, "retain90"), *([of(archive, "retain90", "wd0.01")] if twin else [])]
        index = {role: archive.get(f"llama2-7b/full/wd0/{name}/tofu_idx") for role, name in SETS.items()}
    sets: dict[str, Any] = {}
    for role in SETS:
        rows = len(original[f"{role}.nll"])
        sets[role] = {"ids": np.array([f"{role}:{i}" for i in range(rows)])}
        if by == "author":
            numbers = index[role] // 20 if index[role] is not None else np.arange(rows)
            sets[role]["group"] = np.array([f"{role}-{i}" for i in numbers])
    return audit.run(**sets, original=original, unlearned=unlearned, retrained=retrained, progress="off")


def test_the_original_itself_fails_as_such() -> None:
    found = audited("author", "wd0")
    assert found.verdict == "FAIL"
    assert "nothing was unlearned" in found.result.verdict.sentence


@pytest.mark.parametrize("by", ["author", "row"])
def test_the_fully_trained_model_is_never_cleared_and_the_reason_is_said(by: str) -> None:
    """Claims by author and by row side by side: neither has a test that one retrain could carry."""
    found = audited(by, "wd0.01")
    verdict = found.result.verdict
    assert verdict.outcome == "INCONCLUSIVE"
    told = f"{verdict.sentence} {' '.join(verdict.reasons)}"
    assert "no leak" not in told
    assert "needs 5 retrained references, there are 1" in told
    assert "split is only assumed, which needs 2 references" in told
    assert found.result.claim.kind == ("subject" if by == "author" else "random")


def test_another_weight_decay_is_no_further_retrain() -> None:
    with pytest.raises(InputError, match="no independent retrain beside retrained/0"):
        audited("author", "wd0.01", twin=True)
