"""Measured error rates of the verdict on real data: location30, adult and MNIST, small networks, fresh worlds.

A world is a fresh random choice of rows with a fresh split and freshly trained networks: honest retrains as
references, an honest model, one honest model of another recipe (eight in turn), and for each size of the forget set an
original and two models that unlearned too little. Sizes of the forget set and numbers of references are nested: every
network is observed once. Each audit goes through the attacks' own ``observe`` and ``score`` and through ``judge``, as
in ``calibration.py``; the structural finding is off.

Run ``python -m benchmarks.real``; the data lie beside the project (``UNLEARN_TEST_DATA`` names the folder). Prints
the tables, writes JSON after every world (the same command goes on where it was stopped) and, with ``--page``, the
block of a Markdown page. The exit code is 1 where honest models FAIL more often than the bar.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

import numpy as np
import torch

from attacks.base import Ints
from audit.judge.judge import judge
from audit.judge.scoring import score_all
from audit.policy.policy import Policy, load_policy

from . import kept, real_page
from .audits import Audit, Observed, instances, observe
from .lean import lean
from .real_data import SETS, DataSet
from .said import said
from .stacks import VARIATIONS, Recipe, first, fit, net
from .state import code_digest
from .worlds import Net, Weights, World

ACCESS = ("labels", "logits", "features", "weights")
EARLIER = "@2"  #: of the policy, judged beside it on the same evidence, where nothing of it is an attack's own
GATED = (
    *("contraction", "feature_mapping", "label_only", "layer_probe", "membership", "memory_jog", "probe", "quantile"),
    *("relearning", "rmia"),
)
#: attacks whose signals of a row do not depend on which other forget rows there are, but for their common scale
NESTED = frozenset({"label_only", "membership", "quantile", "rmia"})
LEAKS = ("original", "fine-tuned", "random labels")
TUNED = 3  #: epochs of fine-tuning and of random labels, at the rate of training: our choice
SOURCES = ("worlds", "audits", "stacks", "real_data", "said", "lean", "real")
PERMUTATIONS = 499  #: of D2; its level is exact at any number


def train(data: DataSet, world: World, variation: str, rng: np.random.Generator) -> dict[str, Net]:
    """All networks of a world: ``retrained/k``, ``honest``, ``varied``, and ``<leak>/<n>`` for each forget set."""
    recipe, retain = Recipe(data.epochs, data.batch, data.rate), world.rows["retain"]

    def fresh(rows: Ints, models: int, how: Recipe = recipe) -> Weights:
        return fit(world, [rows] * models, first(world, data.hidden, models, rng, how.scale), rng, how)

    count = max(data.references)
    honest = fresh(retain, count + 1)
    nets = {f"retrained/{k}": net(honest, k) for k in range(count)} | {"honest": net(honest, count)}
    nets["varied"] = net(fresh(retain, 1, VARIATIONS[variation](recipe)), 0)
    short = replace(recipe, epochs=TUNED)
    for n in data.forget:
        forget = world.rows["forget"][:n]
        both = np.concatenate([forget, retain])
        original = fresh(both, 1)
        wrong = world.y.copy()
        wrong[forget] = (wrong[forget] + rng.integers(1, world.n_classes, n)) % world.n_classes
        nets[f"original/{n}"] = net(original, 0)
        nets[f"fine-tuned/{n}"] = net(fit(world, [retain], original, rng, short), 0)
        nets[f"random labels/{n}"] = net(fit(world, [both], original, rng, short, wrong), 0)
    return nets


def views(
    data: DataSet, world: World, nets: Mapping[str, Net], attacks: Sequence[str], seed: int
) -> dict[int, Observed]:
    """What the attacks saw, for each size of the forget set."""
    shared = [attack for attack in instances(attacks) if attack.name in NESTED]
    others = [attack for attack in instances(attacks) if attack.name not in NESTED]
    once = observe(world, nets, shared, seed)
    found = {}
    for n in data.forget:
        mine = {name: w for name, w in nets.items() if "/" not in name or name.startswith("retrained/")}
        mine |= {leak: nets[f"{leak}/{n}"] for leak in LEAKS}
        smaller = replace(world, rows=world.rows | {"forget": world.rows["forget"][:n]})
        seen = observe(smaller, mine, others, seed)
        for (attack, model), signals in once.signals.items():
            name, _, size = model.partition("/")
            if name in LEAKS and int(size) != n:
                continue
            cut = {key: part[:n] if key == "forget" else part for key, part in signals.items()}
            seen.signals[attack, name if name in LEAKS else model] = cut
        found[n] = seen
    return found


def measure(name: str, index: int, attacks: Sequence[str], policies: Mapping[str, Policy], seed: int) -> dict[str, Any]:
    """One world. The data set, the index and the seed decide every random number."""
    torch.set_num_threads(1)
    data = SETS[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
    variation = list(VARIATIONS)[index % len(VARIATIONS)]
    clock = [time.process_time()]
    world = data.world(rng)
    nets = train(data, world, variation, rng)
    clock.append(time.process_time())
    seen = views(data, world, nets, attacks, int(rng.integers(0, 2**31)))
    clock.append(time.process_time())
    audits = {}
    for n, observed in seen.items():
        for audit in planned(data, attacks):
            for access, verdict in judged(observed, audit, policies).items():
                audits[f"{audit.model}, n={n}, K={audit.references}, {access}"] = verdict
    clock.append(time.process_time())
    seconds = dict(zip(("training", "attacks", "verdicts"), np.diff(clock).round(2).tolist(), strict=True))
    return {"variation": variation, "seconds": seconds, "accuracy": accuracies(seen[data.forget[-1]]), "audits": audits}


def planned(data: DataSet, attacks: Sequence[str]) -> list[Audit]:
    """The audits of each world and size: the honest model with every K, the others with the middle one."""
    middle = data.references[len(data.references) // 2]
    chosen = [("honest", k) for k in data.references] + [(name, middle) for name in ("varied", *LEAKS)]
    return [Audit(name, references, attacks=tuple(attacks)) for name, references in chosen]


def judged(seen: Observed, audit: Audit, policies: Mapping[str, Policy]) -> dict[str, Any]:
    """Verdict, what decided it, and the p-values of both families, at each access and under each policy.

    ``policies`` by what is added to the access in the name of the cell.
    """
    evidence = seen.evidence(audit)
    scoring = score_all(evidence)  # scores are the same whatever is claimed
    found = {}
    for suffix, policy in policies.items():
        with lean():
            for access in ACCESS:
                result = judge(evidence.claimed_at(access), policy, "0" * 64, scoring)
                p = {family.name: round(family.p, 5) for family in result.families if family.p is not None}
                found[access + suffix] = {**said(result), "p": p}
    return found


def accuracies(seen: Observed) -> dict[str, list[float]]:
    """Share of correct rows of retain and test set, of the original and an honest model."""
    rows = len(seen.case.labels["test"])
    return {
        name: [
            round(float(seen.arrays[f"correct_retain/{name}"].mean()), 4),
            round(float(seen.arrays[f"correct/{name}"][:rows].mean()), 4),
        ]
        for name in ("original", "honest")
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, help="worlds for each data set")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), metavar="DATA")
    parser.add_argument("--attacks", nargs="+", default=list(GATED), metavar="NAME")
    parser.add_argument("--earlier", action="store_true", help="judge under the policy's version 2 as well")
    return kept.arguments(parser, "real.json")


def main() -> int:
    """Measure, print, write."""
    arguments = parse()
    policy, digest = load_policy(arguments.policy)
    policies = {"": policy, EARLIER: load_policy(f"{policy.name}{EARLIER}")[0]} if arguments.earlier else {"": policy}
    policies = {key: each.model_copy(update={"permutations": PERMUTATIONS}) for key, each in policies.items()}
    there = [name for name in arguments.only if SETS[name].path.exists()]
    for name in sorted(set(arguments.only) - set(there)):
        print(f"{name} is left out: there is no {SETS[name].path} (UNLEARN_TEST_DATA names the folder)")
    settings = {"seed": arguments.seed, "policy": f"{policy.name}, {digest[:16]}", "permutations": PERMUTATIONS}
    settings |= {"policies": sorted(policies), "attacks": sorted(arguments.attacks), "code": code_digest(SOURCES)}
    record = kept.begun(arguments, settings)
    sizes = {name: SETS[name].worlds if arguments.worlds is None else arguments.worlds for name in there}
    jobs = [
        (f"{name}/{index}", (name, index, settings["attacks"], policies, arguments.seed))
        for name, worlds in sizes.items()
        for index in range(worlds)
    ]
    record.measure(jobs, measure, arguments.jobs)
    rows = real_page.count(record)
    text = real_page.markdown(record, rows)
    print(text)
    if arguments.page is not None:
        kept.replace_block(arguments.page, text)
    return 1 if any(not row.ok for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
