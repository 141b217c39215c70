"""Membership: direction, calibration, and what the class statistic must not react to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from cases.stub import StubView, gaussian_case

from attacks.base import Floats, Scores
from attacks.membership.lira import Membership

CLASS = gaussian_case("class", (2,))
RANDOM = gaussian_case("random")


def view(seed: int, *, leak: float = 0.0, kind: str = "random") -> StubView:
    case = RANDOM if kind == "random" else CLASS
    rng = np.random.default_rng(seed)
    logits = {}
    for role in ("forget", "holdout", "test"):
        labels = case.labels[role]
        z = np.eye(3)[labels] * 2 + rng.normal(size=(len(labels), 3))
        z[np.arange(len(labels)), labels] += leak if role == "forget" else 0.0
        logits[role] = z
    return StubView(logits)


def score(first: StubView, kind: str = "random", references: int = 4) -> Scores:
    case = RANDOM if kind == "random" else CLASS
    attack = Membership()
    views = [first, *(view(100 + k, kind=kind) for k in range(references))]
    rng = np.random.default_rng(0)
    return attack.score([attack.observe(v, None, case, rng) for v in views], case)


def contrast(examples: Floats) -> float:
    cut = len(RANDOM.labels["forget"])
    return float(examples[0, :cut].mean() - examples[0, cut:].mean())


def test_higher_is_more_like_a_member_with_and_without_references() -> None:
    for references in (0, 1, 4):
        leak, none = (score(view(1, leak=by), references=references).examples for by in (2.0, 0.0))
        assert leak is not None
        assert none is not None
        assert contrast(leak) > contrast(none) + 0.5


def test_score_rises_strictly_with_the_confidence_of_one_example() -> None:
    """One-sided: never a density (T13)."""
    values = []
    for step in np.linspace(-3, 3, 7):
        model = view(1)
        model.logit_sets["forget"][0, RANDOM.labels["forget"][0]] = step
        examples = score(model).examples
        assert examples is not None
        values.append(examples[0, 0])
    assert (np.diff(values) > 0).all()


def test_class_statistic_ignores_a_masked_head_and_a_more_confident_model() -> None:
    plain = view(1, kind="class")
    masked, sharper, shifted = (replace(plain, logit_sets=dict(plain.logit_sets)) for _ in range(3))
    for role, z in plain.logit_sets.items():
        masked.logit_sets[role] = z - 50 * np.eye(3)[2]
        sharper.logit_sets[role] = 3 * z
        shifted.logit_sets[role] = z + 7
    expected = score(plain, "class").statistic
    assert expected is not None
    for other in (masked, sharper, shifted):
        found = score(other, "class").statistic
        assert found is not None
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)


def test_class_statistic_sees_a_class_logit_that_fires_on_its_class() -> None:
    knows = view(1, kind="class")
    ignorant = view(2, kind="class")
    knows.logit_sets["holdout"] = knows.logit_sets["holdout"] + 4 * np.eye(3)[2]
    ignorant.logit_sets["holdout"] = ignorant.logit_sets["holdout"] - 2 * np.eye(3)[2]
    a, b = score(knows, "class").statistic, score(ignorant, "class").statistic
    assert a is not None
    assert b is not None
    assert a[0] > a[1:].max() > b[0]
