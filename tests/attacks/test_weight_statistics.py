"""Statistics of the weights: exact on edits that are known, silent on what they cannot compare."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from attacks.base import Attack, NotApplicable, Scores
from attacks.weights.connectivity import Connectivity
from attacks.weights.head_rows import HeadRows
from attacks.weights.heavy_tails import HeavyTails, tail_index
from attacks.weights.layer_profile import LayerProfile
from attacks.weights.matrices import Between, layers_of
from attacks.weights.shallowness import Shallowness
from fixtures.cases.digits_world import digits, scored, small_case
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

ROWS = np.arange(40)
AGAINST_THE_ORIGINAL = (LayerProfile(), Shallowness(), HeavyTails(), Connectivity())


def score(attack: Attack, models: list[nn.Module], original: nn.Module) -> Scores:
    case = small_case()
    views = [ModuleView(m, case.sets) for m in models]
    first = ModuleView(original, case.sets)
    return attack.score([attack.observe(v, first, case, np.random.default_rng(0)) for v in views], case)


def statistic(scores: Scores) -> np.ndarray:  # type: ignore[type-arg]
    assert scores.statistic is not None
    return scores.statistic


@pytest.mark.parametrize("network", [cnn, vit])
@pytest.mark.parametrize("attack", AGAINST_THE_ORIGINAL, ids=lambda a: a.name)
def test_the_original_is_nearest_to_itself(attack: Attack, network: type) -> None:
    found = statistic(score(attack, [network(0), network(1), network(2)], network(0)))
    assert found[0] == pytest.approx({"heavy_tails": 0, "connectivity": 0}.get(attack.name, 1), abs=0.02)


@pytest.mark.parametrize("attack", AGAINST_THE_ORIGINAL, ids=lambda a: a.name)
def test_retrains_are_farther_than_a_new_last_layer(attack: Attack) -> None:
    scores = scored(attack, "random", "last_layer")
    found = statistic(scores)
    if attack.name != "heavy_tails":  # a new last layer has another spectrum than the trained one
        assert found[0] > found[1:].max()
    assert any("shares an ancestor" in text for text in scores.details)
    assert not any("original's" in text and "are the" in text for text in scores.details)


@pytest.mark.parametrize("attack", AGAINST_THE_ORIGINAL, ids=lambda a: a.name)
def test_another_architecture_is_a_reason(attack: Attack) -> None:
    case = small_case()
    with pytest.raises(NotApplicable, match="same names and shapes"):
        attack.observe(ModuleView(cnn(), case.sets), ModuleView(vit(), case.sets), case, np.random.default_rng(0))


def test_an_edited_head_is_named() -> None:
    text = " ".join(scored(LayerProfile(), "random", "last_layer").details)
    assert "100% of the change lies in the last layer" in text
    assert "the weight matrices are the original's" in scored(LayerProfile(), "random", "original").details[0]


def test_the_scale_before_a_batch_norm_is_free() -> None:
    original, rescaled = cnn(), cnn()
    with torch.no_grad():
        rescaled.body[0].weight.mul_(3.0)
        rescaled.head.weight.mul_(3.0)
    case = small_case()
    layers = layers_of(ModuleView(rescaled, case.sets), ModuleView(original, case.sets))
    change = [np.linalg.norm(m.after - m.before) / np.linalg.norm(m.before) for m in layers]
    np.testing.assert_allclose(change, [0, 0, 2], atol=1e-6)


def test_layers_between_are_those_of_both_networks() -> None:
    case = small_case()
    mine, theirs = (ModuleView(cnn(seed), case.sets) for seed in (0, 1))
    between = Between(mine, theirs, case)
    blocks = between.blocks()
    assert [name for block in blocks for name in block] == list(between.mine)
    assert [block[0] for block in blocks] == ["body.0.weight", "body.4.weight", "head.weight"]
    np.testing.assert_allclose(between.logits({}, "forget", ROWS), mine.logits("forget"), atol=1e-5)
    head = between.logits(dict.fromkeys(blocks[-1], 1.0), "forget", ROWS)
    assert np.abs(head - mine.logits("forget")).max() > 0.1
    np.testing.assert_allclose(between.logits({}, "forget", ROWS), mine.logits("forget"), atol=1e-5)  # nothing sticks


def test_batch_norm_statistics_are_estimated_anew() -> None:
    """The original with its own weights and foreign statistics answers by those of the retain rows."""
    case = small_case()
    original, other = cnn(0), cnn(0)
    with torch.no_grad():
        other.body[1].running_mean.add_(50.0)
    between = Between(ModuleView(other, case.sets), ModuleView(original, case.sets), case)
    mixed = between.logits(dict.fromkeys(between.blocks()[-1], 1.0), "forget", ROWS)
    assert np.abs(mixed).max() < 10
    assert np.abs(mixed - ModuleView(other, case.sets).logits("forget")).max() > 0.1


def test_a_masked_class_comes_back_with_the_last_layer() -> None:
    scores = scored(Shallowness(), "class", "head_mask")
    assert "from the top 1 (references 3 to 3)" in scores.details[0]
    found = statistic(scores)
    assert found[0] > 0.6 > found[1:].max()


def test_tail_index_of_a_known_spectrum() -> None:
    """Eigenvalues of a Pareto law with density exponent 3 give alpha 3; windows pool what a matrix repeats."""
    rng = np.random.default_rng(0)
    values = (1 - rng.random(400)) ** (-1 / 2)
    left, right = (np.linalg.qr(rng.normal(size=(400, 400)))[0] for _ in range(2))
    matrix = left * np.sqrt(values) @ right
    assert tail_index(matrix, 1, 16) == pytest.approx(3, abs=0.3)
    assert tail_index(np.hstack([matrix] * 3), 1, 3) == pytest.approx(tail_index(matrix, 1, 16), rel=0.05)
    assert tail_index(matrix.T, 1, 16) == pytest.approx(tail_index(matrix, 1, 16))
    assert tail_index(np.zeros((20, 20)), 1, 16) == 1


def test_tail_index_does_not_depend_on_the_shape() -> None:
    rng = np.random.default_rng(1)
    found = [tail_index(rng.normal(size=(64, 64 * k)), 1, 64) for k in (1, 2, 8)]
    assert np.ptp(found) < 0.15
    kernels = rng.normal(size=(32, 32, 9)).reshape(32, -1)
    assert tail_index(kernels, 9, 16) == pytest.approx(found[0], abs=0.2)


def test_a_small_network_has_no_tail() -> None:
    case = small_case()
    tiny = ModuleView(nn.Sequential(nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10)), case.sets)
    with pytest.raises(NotApplicable, match="8 x 8"):
        HeavyTails().observe(tiny, tiny, case, np.random.default_rng(0))


def test_a_class_that_was_trained_on_is_set_apart() -> None:
    scores = scored(HeadRows(), "class", "head_mask")
    found = statistic(scores)
    assert found[0] > found[1:].max()
    row = next(text for text in scores.details if text.startswith("head row of class"))
    assert float(row.split("bias minus theirs ")[1].split(" ")[0]) < -40  # the mask
    assert HeadRows().applicable(small_case())


def test_scale_and_rotation_of_the_features_cancel() -> None:
    case = digits("class").case
    view = copy.copy(digits("class").view("original"))
    before = HeadRows().observe(view, None, case, np.random.default_rng(0))
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    view.held = {role: (z, 3 * f @ rotation, h) for role, (z, f, h) in view.held.items()}
    after = HeadRows().observe(view, None, case, np.random.default_rng(0))
    np.testing.assert_allclose(before["separation"], after["separation"], rtol=1e-6)


def test_a_line_without_a_barrier() -> None:
    scores = scored(Connectivity(), "random", "last_layer")
    assert scores.plots["loss"].values.shape == (4, 6)
    assert statistic(scores)[0] > -0.3
    assert statistic(scores)[1:].max() < -0.3
