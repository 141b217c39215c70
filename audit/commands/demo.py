"""``audit demo``: build the example and audit it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .ending import human, listing


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to build it.")] = Path("demo"),
) -> None:
    """Build a real example from scikit-learn digits, audit it, and print the verdicts."""
    from audit.demo import ARCH, build
    from audit.inputs.resolve import resolve
    from audit.run import prepare, run_audit

    console = human()
    cases = build(folder, progress=console.print)
    table = Table("forget set", "unlearned model", "verdict", "report", title="demo verdicts")
    for case, candidates in cases.items():
        for path in candidates:
            flags: dict[str, Any] = {
                "forget": folder / case / "forget.npz",
                "unlearned": path,
                "arch": ARCH,
                "out": folder / "runs",
            }
            if case == "random":
                flags["split"] = "attested"  # the demo drew it at random itself
            settings, _ = resolve(flags, search=False)
            console.print(f"auditing {path.stem} on the {case} forget set")
            finished = run_audit(prepare(settings))
            name, verdict = path.stem.removeprefix("candidate-"), finished.result.verdict
            table.add_row(case, name, verdict.outcome.value, str(finished.run.report))
    listing(140).print(table)
