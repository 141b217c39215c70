"""Fresh small worlds of tasks: an original, an honest model, references and shallow ones, as ``audit.run`` takes them.

Rows are those of California housing (``UNLEARN_TEST_DATA``), and scikit-learn's digits with noise for several labels
a row. Networks of a world are trained together, each on rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from fixtures.cases import regression_case, scores_case

REFERENCES = 4
SIZES = {"forget": 200, "retain": 400, "holdout": 500, "test": 380}
STEPS = 300  # of a network
NOISE = 0.5  # on pixels in [0, 1], so that rows have to be remembered
Floats = np.ndarray[Any, Any]
Arrays = dict[str, Floats]
#: models by name, with ``original`` and the list ``retrained``; and the sets with what else ``audit.run`` is given
World = tuple[dict[str, Any], dict[str, Any]]


def scores(seed: int) -> World:
    """Squared errors of forests of whole trees."""
    rows = regression_case.housing(seed, SIZES)
    everything = regression_case.joined(rows, "forget", "retain")

    def errors(data: Any, k: int) -> Arrays:
        return scores_case.scores_of(scores_case.forest(*data, seed=[seed, k]), rows)

    models: dict[str, Any] = {"original": errors(everything, 1), "not unlearned": errors(everything, 2)}
    models |= {"honest": errors(rows["retain"], 10)}
    models["retrained"] = [errors(rows["retain"], 11 + k) for k in range(REFERENCES)]
    return models, {role: {"ids": np.arange(len(y)) + 10_000 * at} for at, (role, (_, y)) in enumerate(rows.items())}


def regression(seed: int) -> World:
    """Predictions of networks."""
    rows = regression_case.housing(seed, SIZES)
    everything = regression_case.joined(rows, "forget", "retain")
    data = [everything, everything, *[rows["retain"]] * (REFERENCES + 1)]
    original, again, honest, *retrained = together(data, seed, regression_case.housing_network, _squared)
    case = regression_case.RegressionCase(rows, original, honest, tuple(retrained), STEPS)
    named = {
        "original": case.original,
        "honest": case.unlearned,
        "not unlearned": again,
        "Gaussian-amnesiac": regression_case.amnesiac(case, seed),
        "Blindspot": regression_case.blindspot(case, seed),
    }
    models: dict[str, Any] = {name: case.outputs(network) for name, network in named.items()}
    models["retrained"] = [case.outputs(network) for network in case.retrained]
    return models, {**rows, "task": "regression"}


def _squared(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (outputs[..., 0] - y).square().mean(dim=1)


def multilabel(seed: int) -> World:
    """Logits of the four bits of each digit."""
    data = load_digits()
    rng = np.random.default_rng([seed, 0x4C])
    x = (data.data / 16 + rng.normal(size=data.data.shape) * NOISE).astype(np.float32)
    y = ((data.target[:, None] >> np.arange(4)) & 1).astype(np.float32)
    parts = np.split(rng.permutation(len(x)), np.cumsum(list(SIZES.values())))[:-1]
    rows = {role: (x[index], y[index]) for role, index in zip(SIZES, parts, strict=True)}
    everything = regression_case.joined(rows, "forget", "retain")
    trained = together([everything, everything, *[rows["retain"]] * (REFERENCES + 1)], seed, bits_network, _bits)
    with torch.no_grad():
        told = [{role: network(torch.tensor(x)).numpy() for role, (x, _) in rows.items()} for network in trained]
    models = {"original": told[0], "not unlearned": told[1], "honest": told[2], "retrained": told[3:]}
    return models, {**rows, "task": "multilabel"}


def bits_network() -> nn.Module:
    """Of the 64 pixels, with one logit a bit."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))


def _bits(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    losses = nn.functional.binary_cross_entropy_with_logits(outputs, y, reduction="none")
    return losses.mean(dim=(1, 2))


def together(
    data: Sequence[tuple[Floats, Floats]],
    seed: int,
    build: Callable[[], nn.Module],
    losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> list[nn.Module]:
    """Networks, each on rows of its own, trained in one program by the recipe of ``regression_case``.

    Args:
        data: rows and truth of each network.
        seed: of the world.
        build: makes a network.
        losses: mean loss of each network, (k,), from outputs (k, b, C) and truth (k, b) or (k, b, C).
    """
    networks = []
    for k in range(len(data)):
        torch.manual_seed(1000 * seed + k)
        networks.append(build())
    state, _ = stack_module_state(networks)
    optimiser = torch.optim.Adam(state.values(), regression_case.RATE)
    rngs = [np.random.default_rng([seed, 1, k]) for k in range(len(data))]
    inputs, targets = ([torch.tensor(part[i]) for part in data] for i in (0, 1))
    call = vmap(lambda one, x: functional_call(networks[0], one, (x,)))
    orders: list[Floats] = [np.empty(0, dtype=int) for _ in data]
    for _ in range(STEPS):
        for k, rng in enumerate(rngs):
            if len(orders[k]) < regression_case.BATCH:
                orders[k] = rng.permutation(len(targets[k]))
        rows = [order[: regression_case.BATCH] for order in orders]
        orders = [order[regression_case.BATCH :] for order in orders]
        x = torch.stack([part[index] for part, index in zip(inputs, rows, strict=True)])
        y = torch.stack([part[index] for part, index in zip(targets, rows, strict=True)])
        optimiser.zero_grad()
        losses(call(state, x), y).sum().backward()
        optimiser.step()
    for k, network in enumerate(networks):
        network.load_state_dict({name: values[k].detach() for name, values in state.items()})
    return [network.eval() for network in networks]
