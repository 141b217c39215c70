"""Every attack alone: how often does it accuse an honest retrain, and which unlearning methods does it see?

A world is a forget request on scikit-learn digits (or MNIST, where the data lie beside the project) with fresh wrong
labels, a fresh split, a freshly trained original, K honest retrains as references and one more as the audited model;
in the first worlds every method of ``fixtures/methods`` unlearns the original, too. Each attack sees every model by
its own ``observe`` and ``score`` and is tested on its own at .05: by permutation of its mean score where it is
symmetric (D2), by the t against the references elsewhere (D1). No policy, no verdict, no structural finding.

Run ``python -m benchmarks.battery``. Prints the tables, writes JSON after every world (the same command goes on where
it was stopped) and, with ``--page``, the block of a Markdown page. The exit code is 1 where an attack accuses honest
retrains more often than its bar (99.9 % binomial point, Bonferroni over the attacks).
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from dataclasses import replace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

import numpy as np
import torch
from torch import nn

from attacks.base import Attack, Case, Ints, NotApplicable, Scores, Signals, discover
from audit import demo
from audit.judge.scored import Scored
from audit.statistics.model_level import crawford_howell
from audit.statistics.permutation import permutation_max_t
from fixtures.cases.module_view import ModuleView
from fixtures.methods.base import Pair
from fixtures.methods.registry import HONEST, METHODS, methods_for

from . import battery_page, kept
from .digits import REFERENCES
from .real_data import SETS
from .stacks import Recipe, first, fit, module_of, net
from .state import code_digest
from .worlds import World

PERMUTATIONS = 999
SIZES = {"forget": 300, "holdout": 600, "retain": 600, "test": 297}  # of random claims on digits: the demo's
SOURCES = ("battery", "stacks", "worlds")


def digits_world(kind: str, seed: int) -> tuple[World, Recipe, tuple[int, ...]]:
    """Rows of the demo's case, its recipe and its widths."""
    data = demo.digits(seed)
    label = seed % 10
    if kind == "random":
        rows = demo.random_rows(data, seed)
    else:
        rows = demo.class_rows(data, seed, label=label)
        own = data.y[rows["test"]] == label
        rows |= {"holdout": rows["test"][own], "test": rows["test"][~own]}
    kept_apart = len(rows["test"]) // 4
    rows |= {"auxiliary": rows["test"][:kept_apart], "test": rows["test"][kept_apart:]}
    classes = (label,) if kind == "class" else ()
    world = World(data.x, data.y, np.arange(len(data.y)), rows, kind, classes)
    epochs = demo.STEPS / (len(rows["retain"]) // demo.BATCH)
    return world, Recipe(epochs, demo.BATCH, demo.LEARNING_RATE), (128, 64)


def mnist_world(kind: str, seed: int) -> tuple[World, Recipe, tuple[int, ...]]:
    """A subset of MNIST; class claims: one digit, which rotates with the seed."""
    data = SETS["mnist"]
    world = data.world(np.random.default_rng([seed, 77]))
    if kind == "class":
        world = _of_class(world, seed % 10)
    return world, Recipe(data.epochs, data.batch, data.rate), (64, 32)


def _of_class(world: World, label: int) -> World:
    """The same rows, of which one class is to be forgotten: its training rows against its never-seen rows."""
    own = world.y == label
    trained, never_seen = world.trained_on(), np.concatenate([world.rows["holdout"], world.rows["test"]])
    rows = {"forget": trained[own[trained]], "retain": trained[~own[trained]]}
    rows |= {"holdout": never_seen[own[never_seen]], "test": never_seen[~own[never_seen]]}
    rows |= {"auxiliary": world.rows["auxiliary"][~own[world.rows["auxiliary"]]]}
    return replace(world, rows=rows, kind="class", classes=(label,))


WORLDS = {"digits": digits_world, "mnist": mnist_world}


def networks(
    world: World, recipe: Recipe, hidden: tuple[int, ...], references: int, rng: np.random.Generator
) -> dict[str, nn.Module]:
    """The original, the references and an honest retrain."""

    def trained(rows: Ints, models: int) -> list[nn.Module]:
        found = fit(world, [rows] * models, first(world, hidden, models, rng), rng, recipe)
        return [module_of(net(found, k)).float() for k in range(models)]

    original = trained(world.trained_on(), 1)[0]
    honest = trained(world.rows["retain"], references + 1)
    return {"original": original, HONEST: honest[0]} | {f"retrained/{k}": m for k, m in enumerate(honest[1:])}


def measured(
    data: str, kind: str, seed: int, names: tuple[str, ...], unlearned: bool, device: str = "cpu"
) -> dict[str, Any]:
    """p-values of every attack alone on the models of one world, and why some say nothing.

    Args:
        data, kind: of the worlds.
        seed: of this one.
        names: of the attacks.
        unlearned: with every method of ``fixtures/methods``.
        device: where the attacks run; networks are trained on the CPU.
    """
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    world, recipe, hidden = WORLDS[data](kind, seed)
    rng = np.random.default_rng([seed, 0xBA77])
    modules = networks(world, recipe, hidden, REFERENCES[kind], rng)
    if unlearned:
        forget, retain = (_pair(world, role) for role in ("forget", "retain"))
        for draw, name in enumerate(n for n in methods_for(kind) if n != HONEST):
            modules[name] = METHODS[name](modules["original"], forget, retain, 50_000 + 100 * seed + draw)
    case = world.case()
    views = {name: ModuleView(module, case.sets, device) for name, module in modules.items()}
    found: dict[str, Any] = {}
    for name in names:
        attack = discover()[name]()
        try:
            found[name] = _tested(attack, _signals(attack, views, case, seed), case, seed)
        except NotApplicable as reason:
            found[name] = {"skipped": str(reason)}
    return found


def _pair(world: World, role: str) -> Pair:
    rows = world.rows[role]
    return Pair(torch.as_tensor(world.x[rows]), torch.as_tensor(world.y[rows]))


def _signals(attack: Attack, views: dict[str, ModuleView], case: Case, seed: int) -> dict[str, Signals]:
    stamp = int.from_bytes(attack.name.encode(), "big") % 2**63
    original = views["original"]
    return {
        name: attack.observe(view, original, case, np.random.default_rng([seed, stamp]))  # type: ignore[arg-type]
        for name, view in views.items()
    }


def _tested(attack: Attack, signals: dict[str, Signals], case: Case, seed: int) -> dict[str, Any]:
    """p of each model that is no reference, and what its score says of its own validity."""
    null = [s for name, s in signals.items() if name.startswith("retrained/")]
    forget = len(case.labels["forget"])
    p: dict[str, float] = {}
    invalid, below = [], []
    for name, own in signals.items():
        if name.startswith("retrained/"):
            continue
        scores = attack.score([own, *null], case)
        p[name], lower = p_value(attack, scores, case.kind, forget, seed)
        invalid += [name] * bool(scores.invalid)
        below += [name] * lower
    by_rows = attack.symmetric and "D2" in attack.families and case.kind != "class"
    return {"family": "D2" if by_rows else "D1", "p": p, "invalid": invalid, "below": below}


def p_value(attack: Attack, scores: Scores, kind: str, forget: int, seed: int) -> tuple[float, bool]:
    """p of the audited model by the family that the claim gives the attack, two-sided; whether it lies below."""
    if attack.symmetric and "D2" in attack.families and kind != "class" and scores.examples is not None:
        rng = np.random.default_rng([seed, 0xD2])
        own = scores.examples[0]
        p = float(permutation_max_t(own[None], forget, PERMUTATIONS, rng).p)
        return p, bool(own[:forget].mean() < own[forget:].mean())
    if kind == "class" and scores.statistic is None:
        raise NotApplicable("no statistic of the class")
    t, p = crawford_howell(*Scored(attack, scores, None, forget).contrast)
    return p, t < 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(WORLDS), default="digits")
    parser.add_argument("--kind", choices=list(REFERENCES), default="random")
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--method-worlds", type=int, default=5, help="worlds with every method (default 5)")
    parser.add_argument("--device", default="cpu", help="where the attacks run (default cpu)")
    parser.add_argument("--attacks", nargs="+", metavar="NAME", help="these alone; default: all that need no shadows")
    parser.add_argument("--skip", nargs="+", metavar="NAME", default=[], help="all but these")
    return kept.arguments(parser, "battery.json")


def main() -> int:
    """Measure what is missing and print it."""
    arguments = parse()
    chosen = arguments.attacks or [name for name, kind in discover().items() if not kind.design]
    chosen = [name for name in chosen if name not in arguments.skip]
    settings = {
        "data": arguments.data,
        "kind": arguments.kind,
        "seed": arguments.seed,
        "attacks": sorted(chosen),
        "device": arguments.device,
        "method worlds": arguments.method_worlds,
        "code": code_digest(SOURCES, "fixtures/methods", "fixtures/cases/module_view.py"),
    }
    found = kept.begun(arguments, settings)
    base = 1000 * arguments.seed
    jobs = [
        (
            f"{i}",
            (arguments.data, arguments.kind, base + i, tuple(chosen), i < arguments.method_worlds, arguments.device),
        )
        for i in range(arguments.worlds)
    ]
    found.measure(jobs, measured, arguments.jobs)
    rows = battery_page.rows(found)
    print(battery_page.table(rows))
    if arguments.page:
        kept.replace_block(arguments.page, battery_page.table(rows))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
