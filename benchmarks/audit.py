"""What a whole audit costs, by part, beside the floor: imports, one forward pass of each model, one matrix product.

Five cases: the demo's random claim with 8 references and with none, its class claim (8 references), adult (original,
audited model, two references) and a ResNet-20 on the CIFAR-10 subset (original and audited model, no reference; 6,102
rows). Each audit runs in a process of its own with one thread, ``prepare`` and ``run_audit`` as a user's, and so does
its floor. Figures are seconds of the processor, the median of ``--repeats`` interleaved runs; a part holds what runs
within it and in no other. *Planned* is what ``--dry-run`` says of the whole.

Run ``python -m benchmarks.audit``; adult and the ResNet-20 need the data beside the project.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from .audit_cases import CASES, TRAINING


def main() -> None:
    """Print a table for each case, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=[], metavar="CASE", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--access", default="features", choices=("labels", "logits", "features", "weights"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="JSON")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        what, _, case = given.child[0].partition(":")
        print(json.dumps(training(case) if case else {"floor": floor, "plan": planned, "audit": audited}[what]()))
        return
    import torch

    torch.set_num_threads(1)
    found = {}
    for name in given.cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            CASES[name](Path(folder), given.access)
            runs = [{what: _child(what, folder) for what in ("floor", "plan", "audit")} for _ in range(given.repeats)]
            found[name] = _summary(runs)
            if name in TRAINING:
                trained = [_child(f"training:{name}", folder)["total"] for _ in range(given.repeats)]
                found[name]["training"] = median(trained)
        print(_table(name, given.access, found[name]), flush=True)
    if given.output:
        given.output.write_text(json.dumps(found, indent=1))


def _child(what: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.audit", "--child", what, folder]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True, cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    floor, plan, total = (median(run[what]["total"] for run in runs) for what in ("floor", "plan", "audit"))
    names = runs[0]["audit"]["parts"]
    parts = {name: median(run["audit"]["parts"].get(name, 0.0) for run in runs) for name in names}
    said = runs[0]["audit"]["said"]
    return {"floor": floor, "plan": plan, "total": total, "ratio": total / floor, "parts": parts, "said": said}


def _table(name: str, access: str, found: dict[str, Any]) -> str:
    cost = f"{found['total']:.1f} s (planned {found['plan']:.1f}), floor {found['floor']:.1f} s"
    head = f"\n{name}, {access}: {cost}, ratio {found['ratio']:.1f}; {found['said']}"
    if training := found.get("training"):
        over = found["total"] - found["floor"]
        head += f"\n  one training of the original {training:.1f} s: audit {found['total'] / training:.2f} of it, "
        head += f"over the floor {over / training:.2f}"
    rows = sorted(found["parts"].items(), key=lambda item: -item[1])
    return "\n".join(
        [
            head,
            *(
                f"  {part:24} {seconds:6.2f}  {seconds / found['total']:5.0%}"
                for part, seconds in rows
                if seconds >= 0.005
            ),
        ]
    )


#: where the time of a part is taken: function by part, what runs within another part counts there alone
PARTS = {
    "read and check inputs": "audit.inputs.case.load_case",
    "forward passes": "audit.collect.collect.observe_all",
    "what stands inside": "audit.collect.collect._structure",
    "shift check": "audit.collect.arrays.blind_scores",
    "scores": "audit.judge.scoring.score_all",
    "statistics": "audit.judge.judge.judge",
    "report": "reports.render.render_bytes",
    "certificate": "audit.certify.issue.issue",
}


def audited() -> dict[str, Any]:
    """One audit of the working directory's ``audit.toml``: processor seconds in all and by part."""
    clock = _Clock()
    from attacks.base import Attack
    from audit.inputs.resolve import resolve
    from audit.run import prepare, run_audit

    with ExitStack() as stack:
        for part, where in PARTS.items():
            module, name = where.rsplit(".", 1)
            inner = getattr(importlib.import_module(module), name)
            stack.enter_context(patch(where, clock.timed(lambda *_a, part=part: part, inner)))
        observe = clock.timed(lambda attack, *_a: f"attack {attack.name}", Attack.observe)
        stack.enter_context(patch.object(Attack, "observe", observe))
        clock.lap("imports")
        finished = run_audit(prepare(resolve({}, Path("audit.toml"))[0]))
    clock.lap("all else")
    return {"total": time.process_time(), "parts": clock.parts, "said": finished.result.verdict.outcome.value}


def planned() -> dict[str, Any]:
    """What ``--dry-run`` says of it."""
    from audit.collect.plan import make_plan
    from audit.inputs.resolve import resolve
    from audit.run import prepare

    prepared = prepare(resolve({}, Path("audit.toml"))[0], train=False)
    return {"total": make_plan(prepared.case, prepared.policy, prepared.suite, prepared.order.wanted).total}


def training(case: str) -> dict[str, Any]:
    """One training of a case's original, without the imports."""
    import torch

    train, times = TRAINING[case]
    torch.set_num_threads(1)
    started = time.process_time()
    train()
    return {"total": times * (time.process_time() - started)}


def floor() -> dict[str, Any]:
    """What no audit can do without: imports, one forward pass of each model over each set, one matrix product."""
    import torch
    from safetensors.torch import load_file

    from audit.inputs.config import DATA_ROLES
    from audit.inputs.resolve import resolve

    settings = resolve({}, Path("audit.toml"))[0]
    module, factory = str(settings.model.arch).split(":")
    network = getattr(importlib.import_module(module), factory)().eval()
    paths = [settings.model.original, settings.model.unlearned, *settings.model.retrained]
    sets = [np.load(path)["x"] for role in DATA_ROLES if (path := getattr(settings.data, role)) is not None]
    with torch.no_grad():
        for path in paths:
            network.load_state_dict(load_file(str(path)))
            outputs = [
                network(torch.as_tensor(part)) for x in sets for part in np.array_split(x, max(1, len(x) // 256))
            ]
            answers = torch.cat(outputs).double()
            _ = answers.T @ answers
    return {"total": time.process_time()}


class _Clock:
    """Processor time by part; a part inside another one counts for itself alone."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.last = 0.0  # imports of the interpreter included
        self.open: list[str] = ["all else"]

    def lap(self, part: str) -> None:
        now = time.process_time()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.last
        self.last = now

    def timed(self, named: Callable[..., str], inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.lap(self.open[-1])
            self.open.append(named(*args))
            try:
                return inner(*args, **kwargs)
            finally:
                self.lap(self.open.pop())

        return call


if __name__ == "__main__":
    main()
