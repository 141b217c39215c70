"""Train, observe and judge the worlds of one pool, a chunk at a time, and count what the audits said."""

from __future__ import annotations

import time
import zlib
from collections import Counter, defaultdict
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from audit.policy.policy import Policy
from audit.record.result import AuditResult

from .audits import Observed, instances, observe
from .cells import Pool
from .lean import LEFT_OUT
from .methods import train
from .worlds import draw_world

#: parts of the record that decide nothing under the built-in policies, and cost half of the time
IDLE: dict[str, Any] = {**LEFT_OUT, "audit.judge.figures.remainder": []}
CHUNK = 20  #: worlds trained at once
Tally = dict[str, Any]


def chunks(worlds: int) -> list[int]:
    """Sizes of the chunks that make up ``worlds``."""
    return [min(CHUNK, worlds - start) for start in range(0, worlds, CHUNK)]


def run_chunk(pool: Pool, index: int, size: int, policy: Policy, seed: int) -> Tally:
    """One chunk of fresh worlds. The pool's name, the chunk and the seed decide every random number."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, zlib.crc32(pool.name.encode()), index])
    tally: Tally = {"worlds": size, "seconds": defaultdict(float), "audits": {}, "measured": defaultdict(float)}
    clock = _Clock(tally["seconds"])
    worlds = [draw_world(pool.setting, rng) for _ in range(size)]
    shape = (size, pool.shadows, len(worlds[0].candidates()))
    coins = rng.random(shape) < 0.5 if pool.shadows else np.zeros(shape, dtype=bool)
    trained = train(worlds, pool.setting.hidden, pool.models(), rng, coins)
    clock.lap("training")
    attacks, seeds = instances(pool.attacks()), rng.integers(0, 2**31, size)
    for world, nets, member, own in zip(worlds, trained, coins, seeds, strict=True):
        seen = observe(world, nets, attacks, int(own), member)
        clock.lap("attacks")
        _describe(seen, tally["measured"])
        with ExitStack() as idle:
            for name, nothing in IDLE.items():
                idle.enter_context(patch(name, return_value=nothing))
            for key, audit in pool.audits().items():
                _count(seen.judge(audit, policy), tally["audits"].setdefault(key, {"events": Counter(), "p": {}}))
        clock.lap("verdicts")
    return tally


def merge(total: Tally, more: Tally) -> Tally:
    """The sum of two tallies."""
    if not total:
        return more
    for key in ("seconds", "measured"):
        total[key] = {name: total[key].get(name, 0) + value for name, value in more[key].items()}
    for key, audit in more["audits"].items():
        mine = total["audits"][key]
        mine["events"] = dict(Counter(mine["events"]) + Counter(audit["events"]))
        mine["p"] = {name: sorted([*mine["p"].get(name, []), *values]) for name, values in audit["p"].items()}
    total["worlds"] += more["worlds"]
    return total


def _count(result: AuditResult, into: dict[str, Any]) -> None:
    events = into["events"]
    events[result.verdict.outcome.value] += 1
    for family in result.families:
        events[f"{family.name} admitted"] += family.admitted
        events[f"{family.name} rejects"] += family.rejected
        if family.p is not None:
            into["p"].setdefault(family.name, []).append(round(family.p, 6))
    events.update(f"{f.id} {f.status.value}" for f in result.findings if f.kind == "equivalence")


def _describe(seen: Observed, into: defaultdict[str, float]) -> None:
    """What the worlds are like: accuracies, and how much harder the forget rows are for a model without them."""
    test = seen.case.labels["test"]
    for name in ("original", "retrained/0"):
        if f"correct/{name}" in seen.arrays:
            into[f"test accuracy, {name}"] += float(seen.arrays[f"correct/{name}"][: len(test)].mean())
            into[f"retain accuracy, {name}"] += float(seen.arrays[f"correct_retain/{name}"].mean())
    if ("membership", "retrained/0") in seen.signals:
        signal = seen.signals["membership", "retrained/0"]
        gap = signal["holdout"].mean() - signal["forget"].mean()
        into["forget rows harder by (sd)"] += float(gap / signal["holdout"].std())


class _Clock:
    """Processor time, so that a busy machine does not count."""

    def __init__(self, into: defaultdict[str, float]) -> None:
        self.into, self.last = into, time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.into[name] += now - self.last
        self.last = now
