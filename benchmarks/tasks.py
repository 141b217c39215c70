"""Error rates and power by task, on fresh small models: scores (forests) and regression (networks).

A world is a fresh draw of rows of California housing (``UNLEARN_TEST_DATA``) with an original, an honest unlearned
model and references trained on them; every audit of a world is a whole one, by stored outputs at ``logits``. *Honest*
is the honest model; *margin* answers a share of the forget rows as the original does, so that its AUC is .6 on average,
the margin of the standard policy: a PASS is the error; *half* does so for half of them; *not unlearned* was trained on
all rows again. Shallow methods: Gaussian-amnesiac and Blindspot (``fixtures/cases/regression_case.py``).

Run ``python -m benchmarks.tasks``. Writes JSON after every world (the same command goes on where it was stopped) and,
with ``--page``, the block of a Markdown page.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

import numpy as np
import torch
from torch import nn

import audit
from audit.collect.exchangeability import blind_scores
from audit.policy.policy import load_policy
from fixtures.cases import regression_case, scores_case

from . import kept
from .bars import count_row, gated_cells
from .digits import once
from .lean import LEFT_OUT
from .said import said
from .state import code_digest

SOURCES = ("tasks", "said", "lean", "digits")
SIZES = {"forget": 200, "retain": 400, "holdout": 500, "test": 380}
REFERENCES, WORLDS = 4, 100
STEPS = 300  # of a network
#: share of the forget rows that the model at the margin answers as the original does: the margin .1 over the excess of
#: the original's AUC over .5, whose mean on 20 worlds of another seed is .839 (scores) and .625 (regression)
SHARE = {"scores": 0.30, "regression": 0.80}
Arrays = dict[str, np.ndarray[Any, Any]]
#: cells of a task: name, event, nominal rate, bound
CELLS: dict[str, tuple[tuple[str, str, float, str], ...]] = {
    "scores": (
        ("honest", "FAIL", 0.05, "at most"),
        ("margin", "PASS", 0.05, "at most"),
        ("half", "FAIL", 0.8, "at least"),
        ("not unlearned", "FAIL", 0.95, "at least"),
        ("honest", "PASS", 0.5, "shown"),
    ),
    "regression": (
        ("honest", "FAIL", 0.05, "at most"),
        ("margin", "PASS", 0.05, "at most"),
        ("not unlearned", "FAIL", 0.95, "at least"),
        ("Gaussian-amnesiac", "FAIL", 0.9, "shown"),
        ("Blindspot", "FAIL", 0.9, "shown"),
        ("honest", "PASS", 0.5, "shown"),
    ),
}


def measure(task: str, seed: int, policy: str) -> dict[str, Any]:
    """What the audits of one world said, by the name of the model; and the original's AUC."""
    torch.set_num_threads(1)
    models, given = (_scores if task == "scores" else _regression)(seed)
    common = {**given, "original": models.pop("original"), "retrained": models.pop("retrained")}
    models |= {"margin": _mixed(models["honest"], common["original"], SHARE[task], seed)}
    if task == "scores":
        models |= {"half": _mixed(models["honest"], common["original"], 0.5, seed)}
    found: dict[str, Any] = {}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as idle:
        idle.callback(os.chdir, before)
        os.chdir(folder)  # the project key and the runs
        for name, nothing in LEFT_OUT.items():
            idle.enter_context(patch(name, return_value=nothing))
        idle.enter_context(patch("audit.collect.arrays.blind_scores", once(blind_scores)))  # of the rows alone
        for name, model in models.items():
            done = audit.run(
                **common, unlearned=model, split="attested", progress="off", policy=policy, access="logits", seed=seed
            )
            figure = next((f for f in done.findings if f.id == "membership.auc"), None)  # none: no family may test
            found[name] = said(done.result) | {"auc": None if figure is None else figure.estimate}
            found["original"] = {"auc": None if figure is None else figure.control}
    return found


def _mixed(honest: Arrays, original: Arrays, share: float, seed: int) -> Arrays:
    """The honest outputs, but for a share of the forget rows, which are the original's."""
    found = dict(honest)
    for key in honest:
        if key.partition(".")[0] == "forget":
            rows = np.random.default_rng([seed, 0x317]).permutation(len(honest[key]))
            rows = rows[: round(share * len(rows))]
            found[key] = honest[key].copy()
            found[key][rows] = original[key][rows]
    return found


def _scores(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Squared errors of forests of whole trees."""
    rows = regression_case.housing(seed, SIZES)
    everything = regression_case.joined(rows, "forget", "retain")

    def errors(data: Any, k: int) -> Arrays:
        return scores_case.scores_of(scores_case.forest(*data, seed=[seed, k]), rows)

    models: dict[str, Any] = {"original": errors(everything, 1), "not unlearned": errors(everything, 2)}
    models |= {"honest": errors(rows["retain"], 10)}
    models["retrained"] = [errors(rows["retain"], 11 + k) for k in range(REFERENCES)]
    return models, {role: {"ids": np.arange(len(y)) + 10_000 * at} for at, (role, (_, y)) in enumerate(rows.items())}


def _regression(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predictions of networks."""
    rows = regression_case.housing(seed, SIZES)
    everything = regression_case.joined(rows, "forget", "retain")
    data = [everything, everything, *[rows["retain"]] * (REFERENCES + 1)]
    original, again, honest, *retrained = together(data, seed)
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


def together(data: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], seed: int) -> list[nn.Module]:
    """The networks of ``regression_case``, each on rows of its own, trained in one program: the same recipe."""
    from torch.func import functional_call, stack_module_state, vmap

    networks = []
    for k in range(len(data)):
        torch.manual_seed(1000 * seed + k)
        networks.append(regression_case.housing_network())
    state, _ = stack_module_state(networks)
    optimiser = torch.optim.Adam(state.values(), regression_case.RATE)
    rngs = [np.random.default_rng([seed, 1, k]) for k in range(len(data))]
    inputs, targets = ([torch.tensor(part[i]) for part in data] for i in (0, 1))
    call = vmap(lambda one, x: functional_call(networks[0], one, (x,)))
    orders: list[np.ndarray[Any, Any]] = [np.empty(0, dtype=int) for _ in data]
    for _ in range(STEPS):
        for k, rng in enumerate(rngs):
            if len(orders[k]) < regression_case.BATCH:
                orders[k] = rng.permutation(len(targets[k]))
        rows = [order[: regression_case.BATCH] for order in orders]
        orders = [order[regression_case.BATCH :] for order in orders]
        x = torch.stack([part[index] for part, index in zip(inputs, rows, strict=True)])
        y = torch.stack([part[index] for part, index in zip(targets, rows, strict=True)])
        optimiser.zero_grad()
        (call(state, x)[..., 0] - y).square().mean(dim=1).sum().backward()
        optimiser.step()
    for k, network in enumerate(networks):
        network.load_state_dict({name: values[k].detach() for name, values in state.items()})
    return [network.eval() for network in networks]


def cells(worlds: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every measured cell with its bar."""
    gated = gated_cells((task, bound) for task, each in CELLS.items() for _, _, _, bound in each)
    found = []
    for task, each in CELLS.items():
        mine = [world for name, world in worlds.items() if name.startswith(f"{task}/")]
        for name, event, nominal, bound in each if mine else ():
            said_so = sum(world[name]["verdict"] == event for world in mine)
            auc = float(
                np.mean([world[name]["auc"] for world in mine if world[name]["auc"] is not None] or [float("nan")])
            )
            row = count_row(len(mine), said_so, nominal, bound, gated[task])
            found.append({"task": task, "model": name, "event": event, "auc": auc, "bound": bound, **row})
    return found


def markdown(record: kept.Kept) -> str:
    """The table."""
    lines = ["| task | model | counted | mean AUC | worlds | count | 95 % interval | bar | |", f"|{'---|' * 9}"]
    for c in cells(record.worlds):
        bar = "shown" if c["bar"] is None else f"{c['bound']} {c['bar']}"
        state = "" if c["bar"] is None else "holds" if c["ok"] else "**does not hold**"
        interval = f"{c['low']:.2f} to {c['high']:.2f}"
        parts = (c["task"], c["model"], c["event"], f"{c['auc']:.3f}", c["n"], c["count"], interval, bar, state)
        lines.append(f"| {' | '.join(map(str, parts))} |")
    missing = [task for task in CELLS if not any(name.startswith(f"{task}/") for name in record.worlds)]
    lines += ["", f"Not measured yet: {', '.join(missing)}. The same command goes on."] if missing else []
    return "\n".join(lines)


def main() -> int:
    """Measure, count, print and write; 1 where a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=WORLDS, help=f"worlds a task (default {WORLDS})")
    parser.add_argument("--tasks", nargs="+", choices=list(CELLS), default=list(CELLS))
    arguments = kept.arguments(parser, "tasks.json")
    if not regression_case.HOUSING.is_file():
        print("UNLEARN_TEST_DATA names no folder with california_housing.npz", file=sys.stderr)
        return 2
    settings = {"seed": arguments.seed, "policy": load_policy(arguments.policy)[1]}
    settings |= {"code": code_digest(SOURCES, "fixtures")}
    record = kept.begun(arguments, settings)
    seeds = range(1000 * arguments.seed, 1000 * arguments.seed + arguments.worlds)
    jobs = [(f"{task}/{seed}", (task, seed, arguments.policy)) for task in arguments.tasks for seed in seeds]
    record.measure(jobs, measure, arguments.jobs)
    text = markdown(record)
    print(text)
    if arguments.page is not None:
        kept.replace_block(arguments.page, text)
    return 0 if record.worlds and all(cell["ok"] for cell in cells(record.worlds)) else 1


if __name__ == "__main__":
    sys.exit(main())
