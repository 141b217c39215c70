"""Error rates and power by task, on fresh small models (``task_worlds.py``, ``text_worlds.py``).

A world is a fresh draw of rows with an original, an honest unlearned model and references trained on them; every audit
of a world is a whole one, by stored outputs at ``logits`` but for *texts, weights*. *Honest* is the honest model;
*margin* answers a share of the forget rows as the original does, so that its AUC is .6 on average, the margin of the
standard policy: a PASS is the error; *half* does so for half of them; *not unlearned* was trained on all rows again.
Shallow methods: Gaussian-amnesiac and Blindspot (``fixtures/cases/regression_case.py``), gradient difference and NPO
(``fixtures/cases/tofu_case.py``).

Run ``python -m benchmarks.tasks``. Writes JSON after every world (the same command goes on where it was stopped) and,
with ``--page``, the block of a Markdown page.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

import numpy as np
import torch

import audit
from audit.collect.exchangeability import blind_scores
from audit.policy.policy import load_policy
from fixtures.cases import regression_case

from . import kept, task_worlds, text_worlds
from .bars import count_row, gated_cells
from .digits import once
from .lean import LEFT_OUT
from .said import said
from .state import code_digest

SOURCES = ("tasks", "task_worlds", "text_worlds", "said", "lean", "digits")
WORLDS = 100
#: worlds of a seed
MADE: dict[str, Callable[[int], task_worlds.World]] = {
    "scores": task_worlds.scores,
    "regression": task_worlds.regression,
    "multilabel": task_worlds.multilabel,
    "texts": text_worlds.texts,
    "texts by author": partial(text_worlds.texts, by_author=True),
    "texts, weights": text_worlds.on_weights,
}
#: share of the forget rows that the model at the margin answers as the original does: the margin .1 over the excess of
#: the original's AUC over .5, whose mean on worlds of another seed is .839 (scores), .625 (regression) and .788
#: (multilabel), 20 worlds each, and .925 (texts, four); of authors half alone is asked
SHARE = {"scores": 0.30, "regression": 0.80, "multilabel": 0.35, "texts": 0.24, "texts by author": 0.20}
_TEXTS = (
    ("honest", "FAIL", 0.05, "at most"),
    ("margin", "PASS", 0.05, "at most"),
    ("half", "FAIL", 0.8, "at least"),
    ("not unlearned", "FAIL", 0.95, "at least"),
    ("gradient difference", "FAIL", 0.9, "shown"),
    ("NPO", "FAIL", 0.9, "shown"),
    ("honest", "PASS", 0.5, "shown"),
)
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
    "multilabel": (
        ("honest", "FAIL", 0.05, "at most"),
        ("margin", "PASS", 0.05, "at most"),
        ("not unlearned", "FAIL", 0.95, "at least"),
        ("honest", "PASS", 0.5, "shown"),
    ),
    "texts": _TEXTS,
    "texts by author": tuple(cell for cell in _TEXTS if "margin" not in cell and "PASS" not in cell),
    "texts, weights": (
        ("honest", "FAIL", 0.05, "at most"),
        ("not unlearned", "FAIL", 0.95, "at least"),
        ("gradient difference", "FAIL", 0.9, "shown"),
    ),
}


def measure(task: str, seed: int, policy: str) -> dict[str, Any]:
    """What the audits of one world said, by the name of the model; and the original's AUC."""
    torch.set_num_threads(1)
    models, given = MADE[task](seed)
    common = {**given, "original": models.pop("original"), "retrained": models.pop("retrained")}
    if task in SHARE:
        groups = given["forget"].get("group") if isinstance(given["forget"], dict) else None
        mixed = partial(_mixed, models["honest"], common["original"], seed=seed, groups=groups)
        models |= {"margin": mixed(SHARE[task]), "half": mixed(0.5)}
    asked = {name for name, *_ in CELLS[task]}
    access = "weights" if "weights" in task else "logits"
    found: dict[str, Any] = {}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as idle:
        idle.callback(os.chdir, before)
        os.chdir(folder)  # the project key and the runs
        for name, nothing in LEFT_OUT.items():
            idle.enter_context(patch(name, return_value=nothing))
        idle.enter_context(patch("audit.collect.arrays.blind_scores", once(blind_scores)))  # of the rows alone
        for name in sorted(asked & models.keys()):
            done = audit.run(
                **common,
                unlearned=models[name],
                split="attested",
                progress="off",
                policy=policy,
                access=access,
                seed=seed,
            )
            figure = next((f for f in done.findings if f.id == "membership.auc"), None)  # none: no family may test
            found[name] = said(done.result) | {"auc": None if figure is None else figure.estimate}
            found["original"] = {"auc": None if figure is None else figure.control}
    return found


def _mixed(
    honest: task_worlds.Arrays,
    original: task_worlds.Arrays,
    share: float,
    seed: int,
    groups: np.ndarray[Any, Any] | None = None,
) -> task_worlds.Arrays:
    """The honest outputs, but for a share of the forget rows, or groups of them, which are the original's."""
    found = dict(honest)
    for key in honest:
        if key.partition(".")[0] == "forget":
            of_row = np.arange(len(honest[key])) if groups is None else np.unique(groups, return_inverse=True)[1]
            units = np.random.default_rng([seed, 0x317]).permutation(of_row.max() + 1)
            rows = np.isin(of_row, units[: round(share * len(units))])
            found[key] = honest[key].copy()
            found[key][rows] = original[key][rows]
    return found


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
    missing = [path.name for path in (regression_case.HOUSING, text_worlds.TEXTS) if not path.is_file()]
    if missing:
        print(f"UNLEARN_TEST_DATA names no folder with {', '.join(missing)}", file=sys.stderr)
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
