"""Transplant: exact where the layers are the original's own, garbage where two networks share nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attacks.recovery.stitch import continued, entry_of, groups, spaced, swapped
from attacks.recovery.transplant import Transplant
from fixtures.cases.digits_world import digits, excess, gaps


def test_the_original_on_itself_says_what_it_says() -> None:
    world = digits("class")
    view = world.view("original")
    (layer,) = view.layers()
    place = entry_of(view, view.network(), world.case, layer)
    logits = continued(view, view.network(), world.case, "test", layer, place, view.activations("test", layer))
    np.testing.assert_allclose(logits, view.logits("test"), rtol=1e-3, atol=1e-3)


def test_a_masked_head_hides_nothing_from_any_transplant() -> None:
    world = digits("class")
    masked, original = (world.observe(Transplant(), name) for name in ("head_mask", "original"))
    np.testing.assert_allclose(masked["holdout"], original["holdout"], rtol=1e-3, atol=1e-3)


def test_the_last_modules_come_from_the_other_network() -> None:
    world = digits("random")
    front, back = (world.view(name).network() for name in ("retrain", "original"))
    state = swapped(front, back, 1)
    assert len(groups(state)) == 3
    for name, value in state.items():
        source = back if name.startswith("4.") else front
        assert torch.equal(value, source.module.state_dict()[name])


def test_depths_are_spaced_and_keep_both_ends() -> None:
    assert list(spaced(3, 8)) == [1, 2, 3]
    found = list(spaced(50, 8))
    assert (found[0], found[-1], len(set(found))) == (1, 50, 8)


def test_every_depth_is_in_the_profile() -> None:
    world = digits("class")
    (scores,) = world.score(Transplant(), "head_mask")
    assert scores.plots["depth"].ticks == ("stitch 1", "plain 1", "plain 2")
    assert scores.statistic is not None
    np.testing.assert_allclose(scores.plots["depth"].values.mean(axis=1), scores.statistic)


def test_digits() -> None:
    masked, relabelled, retrain = digits("class").score(Transplant(), "head_mask", "random_labels", "retrain")
    assert excess(masked) > 5
    assert excess(relabelled) > 3
    assert excess(retrain) < 3
    world = digits("random")
    original, retrain = world.score(Transplant(), "original", "retrain")
    assert gaps(original, world.case)[0] > 0.2
    assert abs(gaps(retrain, world.case)[0]) < 0.2


def test_parameters() -> None:
    with pytest.raises(ValueError, match="transplant"):
        Transplant(max_rows=3)


def test_maps_with_few_rows_for_their_units_are_named() -> None:
    world = digits("random")
    for attack, named in ((Transplant(max_rows=100), True), (Transplant(), True)):
        (scores,) = world.score(attack, "retrain")
        assert any(line.startswith("under-determined: 1 of the maps") for line in scores.details) is named
    (scores,) = digits("class").score(Transplant(), "head_mask")  # their penalty is fixed
    assert not any("under-determined" in line for line in scores.details)
