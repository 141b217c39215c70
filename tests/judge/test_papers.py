"""What papers would print: beside the references' figures, in record and report, and no part of the verdict."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import audit
from audit.judge.papers import _klom

SIZES = {"forget": 60, "retain": 80, "holdout": 120, "test": 60}


def scores(seed: int, *, saw: bool, shift: float = 0.0) -> dict[str, Any]:
    """Losses with a difficulty of each row, whether the answer is right, and truth ratios."""
    found = {}
    for role, rows in SIZES.items():
        hard = np.random.default_rng([rows, 1]).gamma(3.0, size=rows)
        noise = np.exp(np.random.default_rng([seed, rows]).normal(0, 0.2, size=rows))
        known = role == "retain" or (saw and role == "forget")
        loss = hard * noise * (0.2 if known else 1.0) + (shift if role == "forget" else 0.0)
        found |= {f"{role}.nll": loss, f"{role}.correct": (loss < 3).astype(float), f"{role}.truth_ratio": loss / 5}
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("papers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sets: dict[str, Any] = {r: {"ids": np.array([f"{r}{i}" for i in range(n)])} for r, n in SIZES.items()}
        run = audit.run(
            **sets,
            original=scores(0, saw=True),
            unlearned=scores(1, saw=False, shift=9.0),
            retrained=[scores(10 + k, saw=False) for k in range(5)],
            split="attested",
            progress="off",
        )
        return run.result, run.report("html")


def test_every_figure_stands_beside_that_of_the_references(found: Any) -> None:
    result, _ = found
    figures = {figure.name.partition(" ")[0]: figure for figure in result.papers}
    assert set(figures) == {"UA", "RA", "TA", "Average", "ToW", "AUS", "Forget", "privleak", "perplexity"}
    assert all(figure.null is not None for figure in result.papers)
    unlearned = scores(1, saw=False, shift=9.0)
    assert figures["UA"].value == pytest.approx(1 - unlearned["forget.correct"].mean())
    perplexity = {f.name.partition(" on ")[2]: f for f in result.papers if f.name.startswith("perplexity (exp of the")}
    assert set(perplexity) == {"forget rows", "retain rows", "never-seen rows"}
    for rows, role in (("forget rows", "forget"), ("retain rows", "retain")):
        assert perplexity[rows].value == pytest.approx(np.exp(unlearned[f"{role}.nll"].mean()))
        references = [np.exp(scores(10 + k, saw=False)[f"{role}.nll"].mean()) for k in range(5)]
        assert perplexity[rows].null == pytest.approx((min(references), max(references)))
    assert figures["UA"].value == 1.0  # over-unlearned: no retrain answers like this
    assert figures["UA"].null[1] < 0.8
    assert figures["ToW"].null[0] > figures["ToW"].value
    assert figures["privleak"].value < -90
    assert "sees a shift of .2 standard deviations in" in figures["Forget"].note
    assert figures["Forget"].value < 1e-6 < figures["Forget"].null[0]


def test_they_are_in_record_and_report_and_in_no_gate(found: Any) -> None:
    result, report = found
    assert result.schema_version == "1.5"
    page = report if isinstance(report, str) else Path(report).read_text(encoding="utf-8")
    assert "What papers would print" in page
    assert "privleak (two-sided, bounded)" in page
    said = " ".join([g.name for g in result.gates] + [f.id for f in result.findings] + list(result.verdict.reasons))
    assert not any(word in said for word in ("privleak", "ToW", "AUS", "Average gap", "Forget quality"))


def test_klom_says_how_many_models_it_needs_and_has_a_null() -> None:
    rng = np.random.default_rng(0)

    def evidence(models: int) -> Any:
        runs = tuple(f"unlearned/{i}" for i in range(models - 1))
        references = tuple(f"retrained/{i}" for i in range(2 * models))
        names = ("unlearned", *runs, *references)
        signals = {("membership", name): {"forget": rng.normal(size=40)} for name in names}
        return SimpleNamespace(facts=SimpleNamespace(runs=runs, references=references), signals=signals)

    (few,) = _klom(evidence(3))
    assert few.value is None
    assert few.note == "needs 20 runs and 40 references, there are 3 and 6"
    (many,) = _klom(evidence(20))
    assert many.null[0] == pytest.approx(many.value, abs=0.8)
