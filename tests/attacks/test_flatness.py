"""Flatness: exact on a parabola, blind to a common temperature, and what it sees on digits."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.base import Floats, NotApplicable
from attacks.recovery.flatness import FLOOR, Flatness
from attacks.recovery.noise import SIZES
from fixtures.cases.digits_world import digits, gaps
from tests.attacks import stubs


class Valley(stubs.StubView):
    """The label's loss is that of the plain logits plus size squared times ``bend``, plus a slope with the sign."""

    bend, slope = 3.0, 0.5

    def augmented(self, role: str, query: str) -> Floats:
        size = float(query.split(":")[1])
        logits = self.logit_sets[role].copy()
        y = stubs.RANDOM.labels[role]
        logits[np.arange(len(y)), y] -= self.bend * size**2 + self.slope * size
        return logits


def valley() -> Valley:
    rng = np.random.default_rng(1)
    sets = {}
    for role in stubs.ROLES:
        y = stubs.RANDOM.labels[role]
        sets[role] = rng.normal(size=(len(y), 3)) * 0.1
        sets[role][np.arange(len(y)), y] -= 30.0  # far from saturation the loss is linear in the label's logit
    return Valley(sets)


def test_curvature_and_spread_of_a_parabola() -> None:
    view = valley()
    found = stubs.observe(Flatness(draws=2), view)["forget"]
    everything = np.concatenate([view.logits(role) for role in ("forget", "holdout")])
    factor = 3.0 / np.median(np.abs(everything - everything.mean(axis=1, keepdims=True)))
    for i, size in enumerate(SIZES):
        spread = view.slope * size * factor
        np.testing.assert_allclose(found[:, i, 1], -spread, rtol=0.05)
        np.testing.assert_allclose(found[:, i, 0], 2 * view.bend * size**2 * factor / (spread + FLOOR), rtol=0.05)


def test_a_rescaled_model_scores_the_same() -> None:
    one = valley()
    two = Valley({role: z * 10 for role, z in one.logit_sets.items()})
    two.bend, two.slope = one.bend * 10, one.slope * 10
    for role in ("forget", "holdout"):
        a, b = (stubs.observe(Flatness(draws=2), view)[role] for view in (one, two))
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_a_class_is_no_row() -> None:
    with pytest.raises(NotApplicable, match="compares rows"):
        stubs.observe(Flatness(), stubs.view(1, case=stubs.CLASS), stubs.CLASS)


def test_digits() -> None:
    world = digits("random")
    original, retrain = world.score(Flatness(), "original", "retrain")
    assert gaps(original, world.case)[0] > 0.1
    assert abs(gaps(retrain, world.case)[0]) < 0.15
