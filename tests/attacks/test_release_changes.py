"""Release changes: exact rounding and pruning, changes that break a model left out, both sides alike."""

from __future__ import annotations

import numpy as np
import torch

from attacks.recovery.release import CHANGES, cast, pruned, rounded
from attacks.recovery.release_changes import ReleaseChanges
from fixtures.cases.digits_world import digits, excess, gaps

WEIGHT = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0))


def test_rounding_has_its_levels_and_its_error() -> None:
    for bits, levels in ((8, 255), (4, 15)):
        found = rounded(WEIGHT, bits)
        scale = WEIGHT.flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)
        assert (found.flatten(1) - WEIGHT.flatten(1)).abs().amax(1).le(scale / 2 + 1e-6).all()
        assert all(len(np.unique(row.round(decimals=5))) <= levels for row in found.flatten(1).numpy())
        torch.testing.assert_close(rounded(found, bits), found)  # a second time changes nothing
    assert torch.equal(rounded(torch.zeros(2, 3), 8), torch.zeros(2, 3))


def test_rounding_is_per_channel() -> None:
    weight = torch.stack([WEIGHT[0] * 1000, WEIGHT[1]])
    torch.testing.assert_close(rounded(weight, 4)[1], rounded(WEIGHT[1:2], 4)[0])


def test_pruning_drops_the_smallest() -> None:
    found = pruned(WEIGHT, 0.3)
    assert (found == 0).sum() == 27
    assert WEIGHT[found == 0].abs().max() < WEIGHT[found != 0].abs().min()
    assert torch.equal(found[found != 0], WEIGHT[found != 0])


def test_the_cast_keeps_the_type_and_biases_are_cast_alone() -> None:
    assert cast(WEIGHT).dtype is WEIGHT.dtype
    assert not torch.equal(cast(WEIGHT), WEIGHT)
    state = {"weight": WEIGHT, "bias": WEIGHT[:, 0, 0], "count": torch.tensor(3)}
    for name, change in CHANGES.items():
        after = change(state)
        assert torch.equal(after["bias"], state["bias"]) is (name != "bf16")
        assert torch.equal(after["count"], state["count"])


def test_a_change_that_breaks_a_model_is_left_out_and_named() -> None:
    world, attack = digits("random"), ReleaseChanges()
    signals = [dict(world.observe(attack, name)) for name in ("retrain", *world.references)]
    plain = attack.score(signals, world.case)
    lost = np.zeros(len(CHANGES))
    lost[1] = -0.2
    broken = [{**signals[0], "kept": lost}, *({**s, "kept": np.zeros(len(CHANGES))} for s in signals[1:])]
    for s in broken:
        for side in ("forget", "holdout"):
            s[side] = s[side].copy()
            s[side][:, 2] = np.random.default_rng(0).normal(size=len(s[side])) * 1e3
    scores = attack.score(broken, world.case)
    assert any("left out" in line and "int4 (0.200)" in line for line in scores.details)
    assert scores.examples is not None
    assert np.abs(scores.examples).max() < 50
    assert plain.examples is not None
    all_lost = [{**s, "kept": np.full(len(CHANGES), -0.2)} for s in signals]
    assert "every change" in attack.score(all_lost, world.case).invalid


def test_digits() -> None:
    world = digits("random")
    original, retrain = world.score(ReleaseChanges(), "original", "retrain")
    assert gaps(original, world.case)[0] > 0.2
    assert abs(gaps(retrain, world.case)[0]) < 0.2
    masked, retrain = digits("class").score(ReleaseChanges(), "random_labels", "retrain")
    assert excess(masked) > 3
    assert abs(excess(retrain)) < 5
