"""Outputs of the original with another model's answers on the forget set: a PASS that a stranger once bought."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import audit
from audit.errors import InputError
from audit.judge.gates import borrowed
from audit.record.findings import Gate

SIZES = {"forget": 300, "holdout": 600, "retain": 300, "test": 600}
CLASSES = 5


def answers(labels: dict[str, np.ndarray], seed: int, knows: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Logits of one training: right on most rows, surer of rows that it was trained on."""
    rng = np.random.default_rng(seed)
    return {
        role: (rng.normal(size=(len(y), CLASSES)) + (3 + 2 * (role in knows)) * np.eye(CLASSES)[y]).astype(np.float32)
        for role, y in labels.items()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("outputs")
    rng = np.random.default_rng(0)
    labels = {role: rng.integers(0, CLASSES, n) for role, n in SIZES.items()}
    for role, y in labels.items():
        np.savez(place / f"{role}.npz", y=y, x=rng.normal(size=(len(y), 3)).astype(np.float32))
    original = answers(labels, 1, ("retain", "forget"))
    np.savez(place / "original.npz", **original)
    for k in range(3):
        np.savez(place / f"retrained-{k}.npz", **answers(labels, 10 + k, ("retain",)))
    np.savez(place / "honest.npz", **answers(labels, 20, ("retain",)))
    np.savez(place / "fresh.npz", **original | {"forget": answers(labels, 21, ("retain",))["forget"]})
    with np.load(place / "retrained-0.npz") as reference:
        np.savez(place / "leaked.npz", **original | {"forget": reference["forget"]})
    return place


def run(folder: Path, name: str, **options: Any) -> audit.AuditRun:
    return audit.run(
        forget=folder / "forget.npz",
        unlearned=folder / f"{name}.npz",
        split="attested",
        out=folder / "runs",
        **options,
    )


def gate_of(found: audit.AuditRun) -> Gate | None:
    return next((gate for gate in found.result.gates if gate.name == "answers of its own"), None)


def test_an_honest_retrain_has_answers_of_its_own(folder: Path) -> None:
    found = run(folder, "honest")
    assert found.verdict == "PASS"
    assert "answers of its own" not in {gate.name for gate in found.result.gates}


def test_the_original_with_other_answers_for_the_forget_set_does_not_pass(folder: Path) -> None:
    found = run(folder, "fresh")
    assert found.verdict == "INCONCLUSIVE"
    (gate,) = (gate for gate in found.result.gates if gate.name == "answers of its own")
    assert (gate.ok, gate.effect) == (False, "blocks PASS")
    assert re.match(r"(\d+) of \1 retain and test rows have the original's outputs, to rounding", gate.reason)


def test_probabilities_are_compared_with_those_of_the_references(folder: Path, tmp_path: Path) -> None:
    """Votes in steps of .1 coincide by chance: on far more rows than the references' they do not."""
    for path in folder.glob("*.npz"):
        with np.load(path) as stored:
            plain = dict(stored.items())
        outputs = "x" not in plain
        np.savez(tmp_path / path.name, **{k: softmax(v, axis=1).round(1) if outputs else v for k, v in plain.items()})
    honest, fresh = (run(tmp_path, name, probabilities=True, attacks="membership") for name in ("honest", "fresh"))
    assert gate_of(honest) is None
    gate = gate_of(fresh)
    assert gate is not None
    assert re.match(r"(\d+) of \1 retain and test rows .*, of a reference's at most \d+: ", gate.reason)


@pytest.mark.parametrize(
    ("same", "references", "expected"),
    [(0.0, [], False), (0.49, [], False), (0.51, [], True), (1.0, [0.9], True), (0.7, [0.6, 0.65], False),
     (0.85, [0.6], True), (1.0, [1.0], False)],
)  # fmt: skip
def test_answers_are_borrowed_beside_references_that_have_their_own(
    same: float, references: list[float], expected: bool
) -> None:
    assert borrowed(same, references) is expected


def test_answers_of_a_reference_on_the_forget_set_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"retrained/\d .* computes the same function as unlearned .* on the forget"):
        run(folder, "leaked")
