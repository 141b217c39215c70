"""Small digits worlds for the recovery attacks, trained once a session: an original, retrains, shallow methods."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from cases.network_view import case_of, views_of
from cases.networks import cnn, vit
from methods.base import Pair
from methods.relabelling import random_labels
from torch import nn

from attacks.base import Attack, Case, Floats, Scores, Signals
from audit import demo
from audit.collect.observe import ModelView

STEPS = 250
LABEL = 1


@dataclass(frozen=True)
class World:
    """A case, its models, and views of them."""

    case: Case
    models: dict[str, nn.Module]
    views: dict[str, ModelView]

    def observe(self, attack: Attack, name: str) -> Signals:
        return attack.observe(self.views[name], self.views["original"], self.case, np.random.default_rng(5))

    def score(self, attack: Attack, *subjects: str) -> list[Scores]:
        """Scores of several subjects, each beside all references."""
        references = [self.observe(attack, name) for name in self.views if name.startswith("reference")]
        return [attack.score([self.observe(attack, name), *references], self.case) for name in subjects]


def excess(scores: Scores) -> float:
    """How far the audited model lies above the references' mean, in their standard deviations."""
    assert scores.statistic is not None
    others = scores.statistic[1:]
    return float((scores.statistic[0] - others.mean()) / others.std(ddof=1))


def gaps(scores: Scores, case: Case) -> Floats:
    """Mean score of forget rows minus that of holdout rows, (J,)."""
    assert scores.examples is not None
    cut = len(case.labels["forget"])
    return np.asarray(scores.examples[:, :cut].mean(axis=1) - scores.examples[:, cut:].mean(axis=1))


@cache
def digits(kind: str) -> World:
    """The demo's network on digits with 8 % wrong labels (random) or without (class)."""
    data = demo.digits(3, 0.15 if kind == "random" else 0.0)
    if kind == "random":
        rows = demo.random_rows(data, 3, forget=200, holdout=300, retain=500)
    else:
        rows = demo.class_rows(data, 3, LABEL)
        own = data.y[rows["test"]] == LABEL
        rows |= {"holdout": rows["test"][own], "test": rows["test"][~own]}
    rows |= {"test": rows["test"][:300], "auxiliary": rows["test"][300:]}
    everything = np.concatenate([rows["forget"], rows["retain"]])
    original = demo.train(data, everything, 1, steps=STEPS)
    pairs = {r: Pair(torch.from_numpy(data.x[rows[r]]), torch.from_numpy(data.y[rows[r]])) for r in rows}
    models = {
        "original": original,
        **{f"reference{k}": demo.train(data, rows["retain"], 10 + k, steps=STEPS) for k in range(3)},
        "retrain": demo.train(data, rows["retain"], 30, steps=STEPS),
        "relabelled": random_labels(original, pairs["forget"], pairs["retain"], 4, steps=100),
    }
    if kind == "class":
        models["masked"] = demo.mask_head(original, (LABEL,))
    classes = (LABEL,) if kind == "class" else ()
    case = case_of("class" if kind == "class" else "random", data.x, data.y, rows, classes)
    return World(case, models, views_of(case, models, _folder()))


@cache
def pictures(network: Callable[[], nn.Module], kind: str) -> World:
    """A convolutional network or a transformer, hardly trained: for shapes and types, not for power."""
    data = demo.digits(4, 0.0)
    x = data.x.reshape(-1, 1, 8, 8)
    rows = demo.class_rows(data, 4, LABEL, trained=900)
    if kind == "class":
        own = data.y[rows["test"]] == LABEL
        rows |= {"holdout": rows["test"][own], "test": rows["test"][~own][:150]}
    else:
        rows = demo.random_rows(data, 4, forget=60, holdout=60, retain=300)
        rows |= {"test": rows["test"][:100]}
    models = {name: _trained(network, x, data.y, rows, name == "original", seed) for seed, name in enumerate(NAMES)}
    case = case_of("class" if kind == "class" else "random", x, data.y, rows, (LABEL,) if kind == "class" else ())
    return World(case, models, views_of(case, models, _folder()))


NAMES = ("original", "retrain", "reference0", "reference1", "reference2")
NETWORKS = {"cnn": cnn, "vit": vit}


def _trained(
    network: Callable[[], nn.Module], x: Floats, y: Floats, rows: dict[str, Floats], everything: bool, seed: int
) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = copy.deepcopy(network()).train()
        mine = np.concatenate([rows["retain"], rows["forget"]]) if everything else rows["retain"]
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        rng = np.random.default_rng(seed)
        for _ in range(25):
            index = rng.choice(mine, 64)
            loss = nn.functional.cross_entropy(model(torch.from_numpy(x[index])), torch.from_numpy(y[index]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="recovery-worlds-"))
