"""What papers would print: beside the references' figures, in record and report, and no part of the verdict."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import audit
from audit.collect.evidence import read_evidence
from audit.judge.papers import _klom
from audit.record.digest import state_digest
from audit.statistics import published
from tests.conftest import ARCH

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


def test_klom_of_twenty_runs_of_a_procedure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that forget nothing, against one half of the references; the null is the other half against the same."""
    monkeypatch.chdir(tmp_path)
    sets: dict[str, Any] = {r: {"ids": np.array([f"{r}{i}" for i in range(n)])} for r, n in SIZES.items()}
    runs = [{k: v for k, v in scores(50 + i, saw=True).items() if k.endswith("nll")} for i in range(20)]
    retrained = [{k: v for k, v in scores(100 + i, saw=False).items() if k.endswith("nll")} for i in range(40)]
    models = {"unlearned": runs[0], "runs": runs[1:], "retrained": retrained}
    result = audit.run(**sets, **models, split="attested", progress="off", attacks=["membership"]).result
    (figure,) = (figure for figure in result.papers if figure.name == "KLoM")
    numbered = sorted(retrained, key=state_digest)  # as an audit does, so that nobody chooses the halves
    groups = (runs, numbered[:20], numbered[20:])
    mine, first, second = (-np.stack([model["forget.nll"] for model in group]) for group in groups)
    assert figure.value == pytest.approx(published.klom(mine, second))
    assert figure.null == pytest.approx([published.klom(first, second)] * 2)
    assert figure.value > 2 * figure.null[0]
    assert figure.note == "null: 20 references against 20 others; the figure: 20 runs against these"


def digits(folder: Path, *attacks: str) -> Any:
    """What is printed of an audit of digits with two retrains, by the figures' first words; and the audit."""
    found = audit.run(forget=folder / "forget.npz", arch=ARCH, attacks=["membership", *attacks], progress="off")
    return {figure.name.partition(" (")[0]: figure for figure in found.result.papers}, found


def test_residual_knowledge_stands_beside_that_of_each_reference_against_the_other(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed, found = digits(built, "residual_knowledge")
    figure = printed["Residual knowledge"]
    run = next(attack for attack in found.result.attacks if attack.name == "residual_knowledge")
    assert run.status == "ok"
    said = next(line for line in run.details if line.startswith("forget: geometric mean"))
    assert f"references' rate {figure.value:.3f}" in said  # the attack's own ratio
    assert figure.null[0] < 1 < figure.null[1]
    assert figure.null[0] * figure.null[1] == pytest.approx(1, rel=1e-6)  # two references: a ratio and its inverse
    assert 0.8 < figure.value < 1.25
    assert figure.alike == "1"


def test_aus_of_a_class_claim_is_that_of_a_removed_class(
    built_class: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here accuracy on forgotten rows counts by itself; beside that on other rows, 0 would be worse than theirs."""
    monkeypatch.chdir(tmp_path)
    printed, found = digits(built_class)
    assert found.result.claim.kind == "class"
    right = read_evidence(found.directory).arrays
    before = right["correct/original"].mean()

    def expected(name: str) -> float:
        return float((1 - (before - right[f"correct/{name}"].mean())) / (1 + right[f"correct_forget/{name}"].mean()))

    assert printed["AUS"].note == "form for a removed class"
    assert printed["AUS"].value == pytest.approx(expected("unlearned"))
    assert printed["AUS"].null == pytest.approx(sorted(expected(f"retrained/{k}") for k in (0, 1)))
    assert expected("original") < 0.6 < printed["AUS"].value
    assert "privleak" not in printed  # a figure of rows
    assert "Residual knowledge" not in printed  # nobody asked under noise
    assert "KLoM" not in printed  # a figure of a procedure, and there is one run of it
