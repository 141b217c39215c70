"""Attacks on a CNN with BatchNorm and dropout and on a transformer: recovery, probes, training on, the head's rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from attacks.base import Attack, NotApplicable, discover
from attacks.recovery.clones import REACHED
from fixtures.cases.digits_world import pictures
from fixtures.cases.networks import NETWORKS

SMALL: dict[str, dict[str, int]] = {
    "uma": {"steps": 2, "restarts": 0, "max_rows": 8},
    "uma_label": {"steps": 2},
    "prototypes": {"draws": 10},
    "head_recovery": {},
    "transplant": {},
    "residual_knowledge": {"draws": 2},
    "flatness": {"draws": 2},
    "release_changes": {},
    "interpolation": {"steps": 2},
    "feature_mapping": {},
    "probe": {},
    "layer_probe": {},
    "head_rows": {},
    "relearning": {"steps": 3, "copies": 2, "batch": 8},
    "memory_jog": {"steps": 2, "halvings": 1, "batch": 8},
    "anamnesis": {"steps": 10, "batch": 8, "shots": 5},
    "relearning_unrelated": {"steps": 3, "copies": 2, "batch": 8},
}
#: attacks whose training reaches every number of the network, whatever it is made of
TRAINED = ("relearning", "memory_jog", "anamnesis", "relearning_unrelated")
COSTLY = ("anamnesis", "relearning_unrelated")


def made(name: str) -> Attack:
    attack: type = discover()[name]
    return attack(**SMALL[name])  # type: ignore[no-any-return]


def marked(names: Iterable[str]) -> list[object]:
    """The costly ones among the slow tests."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in COSTLY else []) for name in names]


@pytest.mark.parametrize("name", marked(SMALL))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", ["random", "class"])
def test_runs_on(name: str, network: str, kind: str) -> None:
    world, attack = pictures(NETWORKS[network], kind), made(name)
    if reason := attack.applicable(world.case):
        pytest.skip(reason)
    before = {key: value.clone() for key, value in world.model("retrain").state_dict().items()}
    (scores,) = world.score(attack, "retrain")
    assert scores.statistic is not None or scores.examples is not None
    for key, value in world.model("retrain").state_dict().items():
        np.testing.assert_array_equal(before[key].numpy(), value.numpy(), err_msg=key)


@pytest.mark.parametrize("name", marked(TRAINED))
@pytest.mark.parametrize("network", NETWORKS)
def test_training_on_reaches_the_whole_network_and_keeps_its_statistics(name: str, network: str) -> None:
    """BatchNorm stays in eval mode and dropout is off, so that copies of one order are one network."""
    world, attack = pictures(NETWORKS[network], "random"), made(name)
    one, two = (
        attack.observe(world.view("retrain"), world.view("original"), world.case, np.random.default_rng(1))
        for _ in range(2)
    )
    assert one["trained"][0] >= REACHED
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key], err_msg=key)
        assert np.isfinite(value).all()


def test_batchnorm_is_taken_anew_inside_the_path() -> None:
    signals = pictures(NETWORKS["cnn"], "random").observe(made("interpolation"), "retrain")
    assert signals["normalised"][0] == 1
    assert pictures(NETWORKS["vit"], "random").observe(made("interpolation"), "retrain")["normalised"][0] == 0


def test_layers_with_positions_are_left_out_of_the_stitching() -> None:
    for network in NETWORKS.values():
        fit = pictures(network, "random").observe(made("transplant"), "retrain")["fit"]
        assert fit[1] > 0


def test_another_architecture_is_a_reason() -> None:
    one, other = (pictures(NETWORKS[network], "random") for network in NETWORKS)
    for name in ("transplant", "interpolation"):
        with pytest.raises(NotApplicable, match="architecture"):
            made(name).observe(one.view("retrain"), other.view("original"), one.case, np.random.default_rng(0))
