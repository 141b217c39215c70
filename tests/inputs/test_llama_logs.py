"""Real Llama-2-7B logs of TOFU: what one retrain shows of 15 authors and two of 5; and a twin that is no retrain."""

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


ALL, SHARED = (3600, 3900), (3800, 3900)  # rows of TOFU: those that retain90 lacks, and those that retain95 lacks, too


def of(archive: Any, model: str, decay: str = "wd0", rows: tuple[int, int] = ALL) -> dict[str, np.ndarray[Any, Any]]:
    """Scores of one model; of the forget rows those whose number in TOFU lies in ``rows``."""
    at = archive[f"llama2-7b/{model}/{decay}/forget/tofu_idx"]
    kept = {"forget": (at >= rows[0]) & (at < rows[1])}
    return {
        f"{role}.{signal}": archive[f"llama2-7b/{model}/{decay}/{name}/{key}"][kept.get(role, slice(None))]
        for role, name in SETS.items()
        for signal, key in SIGNALS.items()
    }


def audited(by: str, decay: str, *more: tuple[str, str], rows: tuple[int, int] = ALL) -> Any:
    """An audit of the fully trained model beside itself and retrain90, and ``more``: further retrains and decays."""
    with np.load(LOGS) as archive:
        original, unlearned = of(archive, "full", rows=rows), of(archive, "full", decay, rows)
        retrained = [of(archive, *model, rows) for model in (("retain90", "wd0"), *more)]
        numbers = {"forget": np.arange(*rows), "retain": archive["llama2-7b/full/wd0/retain/tofu_idx"]}
    sets: dict[str, Any] = {}
    for role in SETS:
        count = len(original[f"{role}.nll"])
        sets[role] = {"ids": np.array([f"{role}:{i}" for i in range(count)])}
        if by == "author":
            authors = numbers[role] // 20 if role in numbers else np.arange(count)
            sets[role]["group"] = np.array([f"{role}-{i}" for i in authors])
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


def test_two_retrains_on_the_five_authors_that_neither_saw_are_still_too_few() -> None:
    """They are retrains of two forget sets, each beside the rest; the rows that both lack are all that can be asked."""
    found = audited("author", "wd0.01", ("retain95", "wd0"), rows=SHARED)
    verdict = found.result.verdict
    assert verdict.outcome == "INCONCLUSIVE"
    told = f"{verdict.sentence} {' '.join(verdict.reasons)}"
    assert "nothing could be tested" in verdict.sentence
    assert "no leak" not in told + str(found.report("markdown"))
    assert "needs 5 retrained references, there are 2" in told
    assert "split is only assumed and the shift check could not run" in told
    assert next(item.rows for item in found.result.inputs if item.role == "forget") == 100
    (closer,) = (f for f in found.findings if f.id == "outputs.closer")  # decides nothing, and is not silent
    assert "closer to the original than to the retrains" in closer.reason
    assert closer.estimate > 1


def test_which_rows_the_logs_of_the_retrains_share() -> None:
    """retain99 lacks authors 198 and 199 alone, and the logs of the full model end before them: no audit has it."""
    with np.load(LOGS) as archive:
        rows, tokens = (
            {m: archive[f"llama2-7b/{m}/wd0/forget/{key}"] for m in ("full", "retain90", "retain95", "retain99")}
            for key in ("tofu_idx", "num_token_gt")
        )
    assert rows["full"].tolist() == rows["retain90"].tolist() == list(range(*ALL))
    assert set(range(*SHARED)) == set(rows["full"]) & set(rows["retain95"])
    assert tokens["full"][200:].tolist() == tokens["retain95"][:100].tolist()  # the same rows, in the same order
    assert set(range(3960, 4000)) == set(rows["retain99"]) <= set(rows["retain95"])
    assert not set(rows["retain99"]) & set(rows["full"])


def test_another_weight_decay_is_no_further_retrain() -> None:
    with pytest.raises(InputError, match="no independent retrain beside retrained/0"):
        audited("author", "wd0.01", ("retain90", "wd0.01"))
