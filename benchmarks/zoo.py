"""The full verdict on honest digit models and on every unlearning method of ``fixtures/methods``.

A world is a forget request of ``digits.py`` with 5 references for random claims, 8 for class claims. Every model goes
through ``prepare`` and ``run_audit`` with all attacks, as a user's would.

Models of one world share data and references: their verdicts are not independent. The honest row counts against a
binomial bar, so it has many worlds and few models a world. Each verdict is given twice: with the structural finding
(layers that are the original's, bit for bit) and without it, by statistics alone.

Run ``python -m benchmarks.zoo``. Prints a table, writes every audit as JSON and, with ``--page``, the table as
Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from scipy import stats
from torch import nn

from audit import demo
from audit.collect.evidence import read_evidence
from audit.collect.exchangeability import blind_scores
from audit.judge.judge import judge
from audit.policy.primaries import LEVELS
from audit.record.findings import FindingStatus
from audit.record.result import AuditResult, Outcome
from audit.run import Prepared
from fixtures.methods.registry import HONEST, METHODS, methods_for

from .digits import REFERENCES, Request, accuracy, once
from .said import deciding

ALPHA = 0.05  # of the standard policy
BAR = 0.999  # the honest row's bar is this point of a binomial count at alpha
OUTCOMES = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


@dataclass(frozen=True)
class Audited:
    """One audit.

    Attributes:
        claim: ``random`` or ``class``.
        world: seed of the world.
        method: name in the registry.
        verdict: with every finding.
        bare: without the structural finding.
        decided: what decided ``verdict``: the failed findings, or what keeps it from a PASS.
        decided_bare: the same of ``bare``.
        forget: accuracy on the forget set.
        test: accuracy on never-seen rows of the task that is left.
    """

    claim: str
    world: int
    method: str
    verdict: str
    bare: str
    decided: tuple[str, ...]
    decided_bare: tuple[str, ...]
    forget: float
    test: float


class World(Request):
    """A forget request, ready to audit any method."""

    def unlearn(self, method: str, draw: int) -> nn.Module:
        """The method's network; its seed is none of the original's or the references'."""
        return METHODS[method](self.case.original, self.forget, self.retain, 50_000 + 100 * self.seed + draw)

    def judge(self, method: str, draw: int, access: str = "features", policy: str = "standard") -> Audited:
        """Unlearn and audit; the policy by name or file."""
        model = self.unlearn(method, draw)
        path = self.case.folder / f"candidate-{method}-{draw}.safetensors"
        demo.save_model(path, model)
        result, prepared = self.audit(path, access=access, policy=policy)
        bare = without_structure(result, prepared)
        return Audited(
            claim=self.kind,
            world=self.seed,
            method=method,
            verdict=result.verdict.outcome.value,
            bare=bare.verdict.outcome.value,
            decided=deciding(result),
            decided_bare=deciding(bare),
            forget=accuracy(model, self.forget),
            test=accuracy(model, self.test),
        )


def without_structure(result: AuditResult, prepared: Prepared) -> AuditResult:
    """The same evidence judged by statistics alone."""
    if not any(f.kind == "structural" and f.status is FindingStatus.FAIL for f in result.findings):
        return result
    policy = prepared.policy.model_copy(update={"name": "statistics alone", "structural": False})
    return judge(read_evidence(prepared.run), policy, prepared.policy_sha256)


def audits(kind: str, arguments: argparse.Namespace) -> Iterator[Audited]:
    """Every audit of every world of a claim."""
    others = [name for name in methods_for(kind) if name != HONEST and name in arguments.methods]
    for index in range(arguments.worlds):
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder), kind, 1000 * arguments.seed + index)
            for draw in range(arguments.honest):
                yield world.judge(HONEST, draw, arguments.access, arguments.policy)
            if index < arguments.method_worlds:
                for draw, name in enumerate(others, arguments.honest):
                    yield world.judge(name, draw, arguments.access, arguments.policy)


@dataclass(frozen=True)
class Row:
    """All audits of one method under one kind of claim, counted.

    Attributes:
        verdicts, bare: number of each of ``OUTCOMES``, with and without the structural finding.
        bar: most FAIL that chance explains for an honest model; None for the others.
        forget, test: mean accuracies.
        failed: how often each finding decided a FAIL.
        lacking: how often each figure or gate kept an INCONCLUSIVE from a PASS.
    """

    claim: str
    method: str
    audits: int
    worlds: int
    verdicts: tuple[int, ...]
    bare: tuple[int, ...]
    bar: int | None
    forget: float
    test: float
    failed: tuple[tuple[str, int], ...]
    lacking: tuple[tuple[str, int], ...]


def count(found: Sequence[Audited]) -> list[Row]:
    """One row for each claim and method, in the order of their first audits."""
    cells: dict[tuple[str, str], list[Audited]] = {}
    for audited in found:
        cells.setdefault((audited.claim, audited.method), []).append(audited)
    return [_row(claim, method, cell) for (claim, method), cell in cells.items()]


def _row(claim: str, method: str, cell: list[Audited]) -> Row:
    n = len(cell)
    verdicts, bare = Counter(a.verdict for a in cell), Counter(a.bare for a in cell)
    return Row(
        claim=claim,
        method=method,
        audits=n,
        worlds=len({a.world for a in cell}),
        verdicts=tuple(verdicts[outcome] for outcome in OUTCOMES),
        bare=tuple(bare[outcome] for outcome in OUTCOMES),
        bar=int(stats.binom.ppf(BAR, n, ALPHA)) if method == HONEST else None,
        forget=sum(a.forget for a in cell) / n,
        test=sum(a.test for a in cell) / n,
        failed=_decided(cell, Outcome.FAIL),
        lacking=_decided(cell, Outcome.INCONCLUSIVE),
    )


def _decided(cell: list[Audited], outcome: Outcome) -> tuple[tuple[str, int], ...]:
    named = (name for a in cell if a.verdict == outcome for reason in a.decided for name in reason.split(", "))
    return tuple(Counter(named).most_common())


def table(rows: Sequence[Row]) -> str:
    """The rows as text: verdicts, verdicts by statistics alone, mean accuracies, what decided each FAIL."""
    counts = "".join(f"{name:>6}" for name in ("FAIL", "INC", "PASS"))
    head = f"{'claim':8}{'method':23}{'n':>5}{'worlds':>8}{counts}   |{counts}{'bar':>5}{'forget':>8}{'test':>7}"
    lines = [f"{'':44}{'verdict':>18}   |{'statistics alone':>18}", f"{head}  FAIL by"]
    for row in rows:
        numbers = ["".join(f"{value:6d}" for value in part) for part in (row.verdicts, row.bare)]
        bar = "" if row.bar is None else str(row.bar)
        start = f"{row.claim:8}{row.method:23}{row.audits:5d}{row.worlds:8d}{numbers[0]}   |{numbers[1]}{bar:>5}"
        lines.append(f"{start}{row.forget:8.2f}{row.test:7.2f}  {_listed(row.failed)}".rstrip())
    return "\n".join(lines)


def page(rows: Sequence[Row]) -> str:
    """The rows as Markdown, one table a claim."""
    lines = [
        "Verdicts of the standard policy on scikit-learn digits. *Statistics alone*: without the structural finding. "
        f"*Bar*: {BAR:.1%} point of a binomial count at {ALPHA}. *Accuracy*: means over the audited models.",
    ]
    for kind, references in REFERENCES.items():
        chosen = [row for row in rows if row.claim == kind]
        if not chosen:
            continue
        lines += ["", f"### {kind.capitalize()} claims, {references} references", ""]
        lines += [
            "| method | audits / worlds | FAIL | INCONCLUSIVE | PASS | statistics alone: FAIL / INCONCLUSIVE / PASS "
            "| accuracy forget / test | FAIL by | INCONCLUSIVE for |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in chosen:
            fails, unsure, passes = row.verdicts
            shown = f"{fails}" if row.bar is None else f"{fails} (bar {row.bar})"
            alone = " / ".join(map(str, row.bare))
            lines.append(
                f"| {row.method} | {row.audits} / {row.worlds} | {shown} | {unsure} | {passes} | {alone} "
                f"| {row.forget:.2f} / {row.test:.2f} | {_listed(row.failed)} "
                f"| {_listed(row.lacking)} |"
            )
    return "\n".join(lines) + "\n"


def _listed(decided: Sequence[tuple[str, int]], most: int = 5) -> str:
    more = ["..."] if len(decided) > most else []
    return ", ".join([f"{name} {times}" for name, times in decided[:most]] + more)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100, help="worlds for each kind of claim (default 100)")
    parser.add_argument("--honest", type=int, default=1, help="honest models a world (default 1)")
    parser.add_argument("--method-worlds", type=int, default=20, help="worlds with every method (default 20)")
    parser.add_argument("--claims", nargs="+", choices=list(REFERENCES), default=list(REFERENCES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME")
    parser.add_argument("--access", choices=LEVELS, default="features", help="of the claims (default features)")
    parser.add_argument("--policy", default="standard", help="name, or a file with weights to try (default standard)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("zoo.json"))
    parser.add_argument("--page", type=Path, help="write the table as Markdown")
    return parser.parse_args()


def main() -> None:
    """Audit, count, print and write."""
    arguments = parse()
    torch.set_num_threads(1)
    started = time.monotonic()
    found: list[Audited] = []
    with patch("audit.collect.arrays.blind_scores", once(blind_scores)):
        for kind in arguments.claims:
            for audited in audits(kind, arguments):
                if found and audited.world != found[-1].world:
                    seconds = time.monotonic() - started
                    print(f"{kind}: world {audited.world}, {len(found)} audits, {seconds:.0f} s", flush=True)
                found.append(audited)
    rows = count(found)
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}
    document = {
        "settings": settings,
        "seconds": round(time.monotonic() - started),
        "rows": [asdict(row) for row in rows],
        "audits": [asdict(audited) for audited in found],
    }
    arguments.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    if arguments.page is not None:
        arguments.page.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
