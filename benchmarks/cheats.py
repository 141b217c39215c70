"""Cheats against the whole audit: lookups, hidden copies, disguised answers, partial unlearning; by access.

A world is a forget request of ``digits.py``: a random forget set with 5 references, or with ``--claims class`` a class
with 8. Every network of ``fixtures/cheats/registry.py`` is audited once at ``weights``; the same evidence is judged
again as if weaker levels had been claimed, which gives the verdict and the reasons of an audit that claimed
them (a test compares). An audit that refuses its inputs counts as ``REFUSED`` at the levels that refuse them.

Run ``python -m benchmarks.cheats``. Prints a table, writes JSON after every world (the same command goes on where it
was stopped) and, with ``--page``, the block of a Markdown page. Five minutes of one core for a world.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny networks gain nothing from threads

import torch
from torch import nn

from audit import demo
from audit.collect.evidence import read_evidence
from audit.collect.exchangeability import blind_scores
from audit.errors import InputError
from audit.judge.judge import judge
from audit.policy.policy import load_policy
from fixtures.cheats.registry import CHEATS, HONEST, Scene

from . import cheats_page, kept
from .digits import REFERENCES, Request, accuracy, once
from .said import said
from .state import code_digest

ACCESS = ("labels", "logits", "features", "weights")  #: weakest first; the last one is audited
REFUSED = "REFUSED"
SOURCES = ("digits", "said", "cheats")
WORLDS = 6  #: our choice: five at least


def scene(request: Request) -> Scene:
    """What the owner of a request has to cheat with."""
    leaked = demo.train(request.case.data, request.case.rows["retain"], seed=20_000 + 100 * request.seed)
    return Scene(
        original=request.case.original,
        leaked=leaked,  # the same weights as those of the first reference
        forget=request.forget,
        retain=request.retain,
        start=demo.initialised(10_000 + request.seed),
        seed=60_000 + 100 * request.seed,
    )


def measure(kind: str, seed: int, names: Sequence[str], policy: str, attacks: str = "gated") -> dict[str, Any]:
    """One world: for each cheat its accuracies, its seconds, and for each access the verdict and what decided it."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, patch("audit.collect.arrays.blind_scores", once(blind_scores)):
        started = time.process_time()
        request = Request(Path(folder), kind, seed)
        owner = scene(request)
        found["seconds"] = {"training": round(time.process_time() - started, 1)}
        found["cheats"] = {}
        for name in names:
            started = time.process_time()
            model = CHEATS[name](owner)
            verdicts = judged(request, model, policy=policy, attacks=attacks)
            forget, test = accuracy(model, request.forget), accuracy(model, request.test)
            found["cheats"][name] = {"forget": round(forget, 4), "test": round(test, 4), "access": verdicts}
            found["seconds"][name] = round(time.process_time() - started, 1)
    return found


def judged(request: Request, model: nn.Module, **flags: str) -> dict[str, Any]:
    """Verdict and deciding findings at each access, of one audit where that is possible; flags of the command line."""
    levels: dict[str, Any] = {}
    for claimed in reversed(ACCESS):
        try:
            result, prepared = request.audit(model, access=claimed, **flags)
        except InputError as error:
            levels[claimed] = {"verdict": REFUSED, "by": [problem.partition(": ")[0] for problem in error.problems]}
            continue
        evidence = read_evidence(prepared.run)
        for level in ACCESS[: ACCESS.index(claimed)]:
            levels[level] = said(judge(evidence.claimed_at(level), prepared.policy, prepared.policy_sha256))
        levels[claimed] = said(result)
        break
    return {level: levels[level] for level in ACCESS}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=WORLDS, help=f"worlds for each kind of claim (default {WORLDS})")
    parser.add_argument("--claims", nargs="+", choices=list(REFERENCES), default=["random"])
    parser.add_argument("--only", nargs="+", choices=list(CHEATS), default=list(CHEATS), metavar="CHEAT")
    parser.add_argument("--attacks", default="gated", help="as for audit run (default: gated)")
    return kept.arguments(parser, "cheats.json")


def main() -> int:
    """Audit, count, print and write."""
    arguments = parse()
    names = list(dict.fromkeys([HONEST, *arguments.only]))
    settings = {"seed": arguments.seed, "policy": load_policy(arguments.policy)[1], "cheats": names}
    settings |= {"attacks": arguments.attacks, "code": code_digest(SOURCES, "fixtures")}
    record = kept.begun(arguments, settings)
    seeds = range(1000 * arguments.seed, 1000 * arguments.seed + arguments.worlds)
    chosen = (names, arguments.policy, arguments.attacks)
    jobs = [(f"{kind}/{seed}", (kind, seed, *chosen)) for kind in arguments.claims for seed in seeds]
    record.measure(jobs, measure, arguments.jobs)
    text = cheats_page.markdown(record)
    print(text)
    if arguments.page is not None:
        kept.replace_block(arguments.page, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
