"""Measured error rates of the verdict: many small worlds, one audit of each model in each.

A world is a fresh 10-class problem with 8 % wrong labels, a fresh random split and freshly trained 20-48-10 networks:
the original, K honest retrains as references, and the models to audit. Each audit goes through the attacks' own
``observe`` and ``score`` and through ``judge`` with a built-in policy; only files, plan and report are left out.

Audited models (``FAIL`` is an error for the first two and right for the last two):
    honest      a retrain with a seed of its own, exchangeable with the references
    other       a retrain by another recipe (half the steps, twice the rate): honest, not exchangeable
    copy        the original with 1e-6 relative noise on every weight
    fine-tune   the original after one epoch on the retain set
    planted     honest, with the membership scores of the forget rows moved to an AUC of .5 + margin: PASS is the error

Run ``python benchmarks/calibration.py --worlds 200``. Prints the rates with the 99.9 % point of a binomial count at
alpha (the bar for honest models) and writes the same as JSON.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import optimize, stats

from attacks.base import Access, Attack, Case, Floats, Ints, Signals, discover
from attacks.calibration import calibrated, leave_one_out
from audit.evidence import AttackRun, Evidence, Facts
from audit.policy import Policy, load_policy
from audit.result import AuditResult, ClaimRecord
from audit.scoring import judge
from audit.structure import Structure

CLASSES, WIDTH, HIDDEN = 10, 20, 48
WRONG_LABELS, SEPARATION = 0.08, 0.7
BATCH, STEPS, RATE = 50, 800, 4e-3
ATTACKS = ("feature_mapping", "membership", "probe")
DESIGNS = ["random:0", "random:2", "random:5", "random:8", "random:19", "random:39", "class:8"]
CHUNK = 20  # worlds trained at once
FIGURES = ("membership.auc", "membership.share", "probe.auc", "feature_mapping.share")
#: the parts of the evidence that no statistic reads; no structural finding: the statistics stand alone
BARE: dict[str, Any] = {"run_id": "benchmark", "tool_version": "benchmark", "environment": {}, "n_classes": CLASSES}
BARE |= {"structure": Structure()} | dict.fromkeys(("inputs", "assumptions", "overlaps", "signal_files"), ())

Weights = list[torch.Tensor]  # (M, in, hidden), (M, 1, hidden), (M, hidden, out), (M, 1, out)
Net = tuple[Floats, Floats, Floats, Floats]


@dataclass(frozen=True)
class World:
    """One problem: x (n, 20), labels (n,) and the rows of each set."""

    x: Floats
    y: Ints
    rows: dict[str, Ints]
    kind: str
    classes: tuple[int, ...]

    def case(self) -> Case:
        """The case as the attacks see it."""
        labels = {role: self.y[rows] for role, rows in self.rows.items()}
        return Case(self.kind, self.classes, {}, labels, CLASSES)  # type: ignore[arg-type]


def draw_world(kind: str, n_forget: int, rng: np.random.Generator) -> World:
    """A random forget set of ``n_forget`` rows with 2 n_F holdout rows, or one class of 1,200 training rows."""
    sizes = (n_forget, 2 * n_forget, 600, 400, 100) if kind == "random" else (1200, 1300, 100)
    n = sum(sizes)
    truth = rng.integers(0, CLASSES, n)
    centres = rng.normal(0, SEPARATION, (CLASSES, WIDTH))
    x = centres[truth] + rng.normal(size=(n, WIDTH))
    wrong = rng.random(n) < WRONG_LABELS
    y = np.where(wrong, (truth + rng.integers(1, CLASSES, n)) % CLASSES, truth)
    parts = np.split(np.arange(n), np.cumsum(sizes)[:-1])
    if kind == "random":
        rows = dict(zip(("forget", "holdout", "retain", "test", "auxiliary"), parts, strict=True))
        return World(x, y, rows, kind, ())
    train, test, auxiliary = parts
    rows = {"forget": train[y[train] == 0], "retain": train[y[train] != 0], "holdout": test[y[test] == 0]}
    rows |= {"test": test[y[test] != 0], "auxiliary": auxiliary[y[auxiliary] != 0]}
    return World(x, y, rows, kind, (0,))


def initial(models: int, rng: np.random.Generator) -> Weights:
    """Fresh weights, uniform within 1/sqrt(fan-in)."""
    shapes = [(WIDTH, HIDDEN, WIDTH), (1, HIDDEN, WIDTH), (HIDDEN, CLASSES, HIDDEN), (1, CLASSES, HIDDEN)]
    drawn = [rng.uniform(-1, 1, (models, a, b)) * fan**-0.5 for a, b, fan in shapes]
    return [torch.tensor(w, dtype=torch.float32) for w in drawn]


def fit(
    worlds: list[World],
    jobs: list[tuple[int, Ints]],
    start: Weights,
    rng: np.random.Generator,
    steps: int | None = STEPS,
    rate: float = RATE,
) -> Weights:
    """Train one network per job (world index, rows) with Adam, all at once; ``steps`` None = one epoch each."""
    x = torch.tensor(np.stack([w.x for w in worlds]), dtype=torch.float32)
    y = torch.tensor(np.stack([w.y for w in worlds]))
    count = min(len(rows) for _, rows in jobs) // BATCH if steps is None else steps
    orders = torch.tensor(np.stack([_order(rows, count, rng) for _, rows in jobs]))
    place = torch.tensor([w for w, _ in jobs])[:, None]
    weights = [w.clone().requires_grad_(True) for w in start]
    optimiser = torch.optim.Adam(weights, lr=rate)
    for step in range(count):
        rows = orders[:, step]
        a, b, c, d = weights
        logits = torch.relu(x[place, rows] @ a + b) @ c + d
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[place, rows].flatten(), reduction="sum")
        (loss / BATCH).backward()
        optimiser.step()
    return [w.detach() for w in weights]


def _order(rows: Ints, steps: int, rng: np.random.Generator) -> Ints:
    epochs = -(-steps * BATCH // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(epochs)])[: steps * BATCH].reshape(steps, BATCH)


class ArrayView:
    """A small network as an attack sees it (implements ``attacks.base.View``)."""

    access = Access.FEATURES

    def __init__(self, world: World, net: Net) -> None:
        self.net = net
        hidden = np.maximum(world.x @ net[0] + net[1], 0)
        self._features = {role: hidden[rows] for role, rows in world.rows.items()}

    def features(self, role: str) -> Floats:
        return self._features[role]

    def logits(self, role: str) -> Floats:
        return self._features[role] @ self.net[2] + self.net[3]

    def head(self) -> tuple[Floats, Floats]:
        return self.net[2].T, self.net[3][0]

    def forward(self, x: Any) -> Any:  # noqa: ARG002
        raise ValueError("attacks on the network itself (UMA) are not part of this benchmark")

    tensor = forward


@dataclass(frozen=True)
class Observed:
    """Signals and correctness of every model of one world, ready to be judged with any number of references."""

    case: Case
    signals: dict[tuple[str, str], Signals]
    correct: dict[str, Floats]
    attacks: tuple[Attack, ...]
    seed: int

    def judge(self, audited: str, references: int, policy: Policy) -> AuditResult:
        """The audit of one model against the first K references."""
        names = {"unlearned": audited, "original": "original"}
        names |= {f"retrained/{k}": f"retrained/{k}" for k in range(references)}
        signals = {(a.name, name): self.signals[a.name, of] for a in self.attacks for name, of in names.items()}
        arrays = {f"labels/{role}": labels for role, labels in self.case.labels.items()}
        arrays |= {f"correct/{name}": self.correct[of] for name, of in names.items()}
        claim = ClaimRecord(kind=self.case.kind, split="attested", access="features", classes=self.case.classes)
        ran = tuple(AttackRun(name=a.name, parameters=a.parameters, status="ok") for a in self.attacks)
        facts = Facts(**BARE, seed=self.seed, claim=claim, models=tuple(names), attacks=ran)
        return judge(Evidence(facts, arrays, signals), policy, "0" * 64)


def observe(world: World, nets: dict[str, Net], seed: int, margin: float, planted: int | None) -> Observed:
    """Run every attack on every model of a world, seeded as the engine does."""
    case, views = world.case(), {name: ArrayView(world, net) for name, net in nets.items()}
    attacks = tuple(discover()[name]() for name in ATTACKS)
    signals: dict[tuple[str, str], Signals] = {}
    for attack in attacks:
        for name, view in views.items():
            rng = np.random.default_rng([seed, int.from_bytes(attack.name.encode(), "big") % 2**63])
            signals[attack.name, name] = attack.observe(view, views["original"], case, rng)
    roles = ("test",) if world.kind == "class" else ("test", "holdout")
    correct = {
        name: np.concatenate([view.logits(r).argmax(axis=1) == case.labels[r] for r in roles])
        for name, view in views.items()
    }
    if planted is not None:
        for attack in attacks:
            signals[attack.name, "planted"] = signals[attack.name, "honest"]
        names = ["honest", *(f"retrained/{k}" for k in range(planted))]
        shifted = _planted([signals["membership", name] for name in names], case, 0.5 + margin)
        signals["membership", "planted"] = shifted
        correct["planted"] = correct["honest"]
    return Observed(case, signals, correct, attacks, seed)


def _planted(signals: list[Signals], case: Case, auc: float) -> Signals:
    """The first model's signals with a constant added to the forget rows' calibrated scores: population AUC ``auc``."""
    rows = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
    raised = rows.copy()
    raised[0] += 1
    scale = leave_one_out(raised)[0][0] - leave_one_out(rows)[0][0]  # calibrated units per unit of signal
    scores = calibrated(rows, np.concatenate([case.labels["forget"], case.labels["holdout"]]))[0]
    differences = np.sort((scores[:, None] - scores[None]).ravel())  # symmetric: AUC .5 at no shift

    def excess(shift: float) -> float:
        return 1 - float(np.searchsorted(differences, -shift)) / len(differences) - auc

    shift = float(optimize.brentq(excess, 0, float(differences[-1]), xtol=1e-6))
    forget = signals[0]["forget"]
    return {**signals[0], "forget": forget + shift / scale[: len(forget)]}


def train_worlds(
    kind: str, n_forget: int, references: int, worlds: int, seed: int
) -> Iterator[tuple[World, dict[str, Net]]]:
    """Worlds with all their networks."""
    for start in range(0, worlds, CHUNK):
        rng = np.random.default_rng([seed, references, n_forget, start, len(kind)])
        batch = [draw_world(kind, n_forget, rng) for _ in range(min(CHUNK, worlds - start))]
        names = ["original", "honest", *(f"retrained/{k}" for k in range(references))]
        everything = [np.concatenate([w.rows["forget"], w.rows["retain"]]) for w in batch]
        retain = [(i, w.rows["retain"]) for i, w in enumerate(batch)]
        jobs = [(i, everything[i] if name == "original" else rows) for i, rows in retain for name in names]
        trained = fit(batch, jobs, initial(len(jobs), rng), rng)
        other = fit(batch, retain, initial(len(batch), rng), rng, steps=STEPS // 2, rate=2 * RATE)
        tuned = fit(batch, retain, [w[:: len(names)] for w in trained], rng, steps=None, rate=1e-3)
        for i, world in enumerate(batch):
            nets = {name: _net(trained, i * len(names) + j) for j, name in enumerate(names)}
            nets |= {"other": _net(other, i), "fine-tune": _net(tuned, i)}
            copy = [w * (1 + 1e-6 * rng.standard_normal(w.shape)) for w in nets["original"]]
            yield world, nets | {"copy": (copy[0], copy[1], copy[2], copy[3])}


def _net(weights: Weights, index: int) -> Net:
    a, b, c, d = (w[index].double().numpy() for w in weights)
    return a, b, c, d


def measure(
    kind: str, n_forget: int, counts: list[int], worlds: int, policy: Policy, seed: int
) -> list[dict[str, Any]]:
    """Audit every model of ``worlds`` fresh worlds with each number of references in ``counts``."""
    audited = ["honest", "other", "copy", "fine-tune"]
    plants = counts[0] if kind == "random" and len(counts) == 1 else None
    outcomes: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    started = time.monotonic()
    for done, (world, nets) in enumerate(train_worlds(kind, n_forget, max(counts), worlds, seed), 1):
        seen = observe(world, nets, seed + done, policy.auc_margin, plants)
        for k in counts:
            for name in [*audited, *(["planted"] if plants is not None else [])]:
                tally = outcomes[k, name]
                result = seen.judge(name, k, policy)
                tally[result.verdict.outcome.value] += 1
                tally.update(f"{family.name} rejects" for family in result.families if family.rejected)
                tally.update(f"{f.id} {f.status.value}" for f in result.findings if f.id in FIGURES)
        if done % 50 == 0 or done == worlds:
            print(f"{kind} K={counts} n_F={n_forget}: {done} worlds, {time.monotonic() - started:.0f} s")
    design = {"claim": kind, "n_forget": n_forget, "worlds": worlds}
    return [{**design, "references": k, "model": name, **tally} for (k, name), tally in sorted(outcomes.items())]


def table(rows: list[dict[str, Any]], alpha: float) -> str:
    """The verdicts as text; the bar is the 99.9 % point of a binomial count at ``alpha``."""
    head = "".join(f"{name:>6}" for name in ("FAIL", "INC", "PASS", "D2", "D1", "n", "bar"))
    lines = [f"{'claim':8}{'n_F':>5}{'K':>4}  {'model':10}{head}"]
    for row in rows:
        bar = int(stats.binom.ppf(0.999, row["worlds"], alpha))
        counts = [row.get(key, 0) for key in ("FAIL", "INCONCLUSIVE", "PASS", "D2 rejects", "D1 rejects")]
        numbers = "".join(f"{value:6d}" for value in [*counts, row["worlds"], bar])
        lines.append(f"{row['claim']:8}{row['n_forget']:5d}{row['references']:4d}  {row['model']:10}{numbers}")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200, help="worlds per design (default 200)")
    parser.add_argument("--designs", nargs="+", default=DESIGNS, help="claim:K; random:0,2,5 share their worlds")
    parser.add_argument("--forget", type=int, default=200, help="forget rows of random claims (default 200)")
    parser.add_argument("--policy", default="standard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("calibration.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    policy, _ = load_policy(arguments.policy)
    rows: list[dict[str, Any]] = []
    for design in arguments.designs:
        kind, _, listed = design.partition(":")
        counts = [int(k) for k in listed.split(",")]
        rows += measure(kind, arguments.forget, counts, arguments.worlds, policy, arguments.seed)
        arguments.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows, policy.alpha))


if __name__ == "__main__":
    main()
