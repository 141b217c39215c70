"""UMA on the true label: exact distances, both sides alike, and what it sees on digits."""

from __future__ import annotations

import numpy as np
from cases.stub import gaussian_case, linear_view

from attacks.base import Case
from attacks.recovery.sweep import RADII
from attacks.recovery.uma_label import TrueLabelMapping
from attacks.signals import label_margin
from audit.inputs.data import Arrays
from fixtures.cases.digits_world import digits, excess, gaps

RANDOM = gaussian_case("random")
VIEW = linear_view(RANDOM, np.eye(3), np.zeros(3))


def test_the_first_radius_of_a_linear_model_is_known() -> None:
    """Margin -m and two opposite unit weights: the label is said from a change of m / 2 in each entry."""
    signals = TrueLabelMapping(steps=20).observe(VIEW, None, RANDOM, np.random.default_rng(0))
    x = RANDOM.sets["retain"].batch(np.arange(120))
    span = float(np.max(x) - np.min(x))
    for role in ("forget", "holdout"):
        margin = label_margin(VIEW.logits(role), RANDOM.labels[role])
        inside = ((RANDOM.sets[role].batch(np.arange(120)) > np.min(x) + 0.1 * span).all(axis=1)) & (
            (RANDOM.sets[role].batch(np.arange(120)) < np.max(x) - 0.1 * span).all(axis=1)
        )  # the box cuts nothing
        needed = np.where(margin > 0, 0, 1 + np.searchsorted(np.array(RADII) * span, -margin / 2))
        clear = np.abs(np.array(RADII)[:, None] * span + margin / 2).min(axis=0) > 1e-6
        np.testing.assert_array_equal(signals[f"{role}_first"][inside & clear], needed[inside & clear])


def test_no_radius_is_needed_where_the_label_is_said() -> None:
    signals = TrueLabelMapping(steps=1).observe(VIEW, None, RANDOM, np.random.default_rng(0))
    right = VIEW.logits("forget").argmax(axis=1) == RANDOM.labels["forget"]
    assert (signals["forget_first"][right] == 0).all()
    assert (signals["forget_first"][~right] > 0).all()


def test_it_needs_no_original_and_tells_no_side_from_the_other() -> None:
    swapped = {**RANDOM.sets, "forget": RANDOM.sets["holdout"], "holdout": RANDOM.sets["forget"]}
    other = Case("random", (), swapped, {role: data.y for role, data in swapped.items()}, 3)
    attack = TrueLabelMapping(steps=3, restarts=1)
    one = attack.observe(VIEW, None, RANDOM, np.random.default_rng(0))
    two = attack.observe(linear_view(other, np.eye(3), np.zeros(3)), None, other, np.random.default_rng(0))
    np.testing.assert_allclose(one["forget"], two["holdout"], atol=1e-9)
    np.testing.assert_allclose(one["holdout"], two["forget"], atol=1e-9)


def test_cost_is_exact() -> None:
    attack = TrueLabelMapping(steps=3, restarts=2)
    assert attack.gradient_rows(RANDOM) == 240 * len(RADII) * 4 * 3


def test_named_inputs_are_refused() -> None:
    sets = {role: Arrays({"a": np.zeros((120, 3))}, data.y) for role, data in RANDOM.sets.items()}
    import pytest

    from attacks.base import NotApplicable

    with pytest.raises(NotApplicable, match="continuous"):
        TrueLabelMapping().observe(VIEW, None, Case("random", (), sets, RANDOM.labels, 3), np.random.default_rng(0))


def test_digits() -> None:
    world = digits("random")
    original, retrain = world.score(TrueLabelMapping(steps=5), "original", "retrain")
    assert gaps(original, world.case)[0] > 0.15
    assert abs(gaps(retrain, world.case)[0]) < 0.15
    shallow, masked, honest = digits("class").score(TrueLabelMapping(steps=5), "random_labels", "head_mask", "retrain")
    assert excess(shallow) > 4
    assert excess(masked) < -4  # a masked class is far from the data: over-unlearned, and told
    assert abs(excess(honest)) < 4
