"""Every recovery attack of this package on a CNN with BatchNorm and dropout and on a transformer."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.base import Attack, NotApplicable, discover
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
}


def made(name: str) -> Attack:
    attack: type = discover()[name]
    return attack(**SMALL[name])  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", SMALL)
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
