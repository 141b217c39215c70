"""Deletion that falls mostly on one group of pictures: honest, reweighted, relabelled, and a network that is ruined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import skewed_case
from cases.mnist import MNIST
from cases.skewed_case import SkewedCase
from methods.ascent import gradient_ascent, neg_grad_plus
from methods.base import Pair
from methods.relabelling import random_labels

import audit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MNIST.is_file(), reason="UNLEARN_TEST_DATA names no folder with mnist.npz"),
]


@pytest.fixture(scope="module")
def case() -> SkewedCase:
    return skewed_case.build()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def method_of(case: SkewedCase, name: str) -> Any:
    forget, retain = (Pair(case.rows[role].x, case.rows[role].y) for role in ("forget", "retain"))
    return {
        "reweighted": lambda: skewed_case.reweighted(case, 0),
        "NegGrad+": lambda: neg_grad_plus(case.original, forget, retain, 0),
        "random labels": lambda: random_labels(case.original, forget, retain, 0),
        "ruined": lambda: gradient_ascent(case.original, forget, retain, 0, target=5.0),
    }[name]()


def test_the_forget_set_and_its_companion_are_of_one_mixture(case: SkewedCase) -> None:
    shares = {role: float(np.mean(rows.group == "heavy")) for role, rows in case.rows.items()}
    assert shares == {"forget": 0.8, "holdout": 0.8, "retain": pytest.approx(1 / 6), "test": 0.5}


def test_an_honest_retrain_is_not_failed_and_groups_are_judged(case: SkewedCase) -> None:
    found = audit.run(**case.given())
    assert found.verdict != "FAIL"
    assert found.result.claim.kind == "random"  # groups of never-seen rows make no data subjects
    assert found.result.utility is not None
    assert "worst group" in {figure.name for figure in found.result.utility.figures}


@pytest.mark.parametrize("group", [None, "heavy"])
def test_what_is_reweighted_is_not_forgotten_by_group_either(case: SkewedCase, group: str | None) -> None:
    assert audit.run(**case.given(group, unlearned=method_of(case, "reweighted"))).verdict == "FAIL"


@pytest.mark.parametrize("name", ["NegGrad+", "random labels", "ruined"])
def test_the_others_never_pass(case: SkewedCase, name: str) -> None:
    found = audit.run(**case.given(unlearned=method_of(case, name)))
    assert found.verdict != "PASS"
    assert found.result.utility is not None
    assert name == "NegGrad+" or not found.result.utility.ok
