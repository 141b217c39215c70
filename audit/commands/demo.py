"""``audit demo``: build the example, audit it, and say what came out and what to do next."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .ending import human, listing

if TYPE_CHECKING:
    from rich.console import Console

    from audit.run import Finished

SHADOWS = 16  # as few as online attacks take: our choice, for the sake of the minute
_WIDTH = 100


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to build it.")] = Path("demo"),
) -> None:
    """Build a real example from scikit-learn digits, audit it, and print the verdicts.

    Six models: an honest retrain of each of two cases, and four that only pretend. Shadow models are trained for one of
    them. About a minute.
    """
    from audit.demo import ARCH, EXPECTED, build, recipe
    from audit.inputs.resolve import resolve
    from audit.run import prepare, run_audit

    console, started = human(), time.monotonic()
    cases = build(folder, progress=console.print)
    reports: list[tuple[str, Path]] = []
    left_out: dict[str, None] = {}
    for case, candidates in cases.items():
        for path in candidates:
            name = path.stem.removeprefix("candidate-")
            flags: dict[str, Any] = {
                "forget": folder / case / "forget.npz",
                "unlearned": path,
                "arch": ARCH,
                "out": folder / "runs",
            }
            if case == "random":
                flags["split"] = "attested"  # the demo drew it at random itself
            with_shadows = (case, name) == ("random", "fine-tuned")
            if with_shadows:
                flags |= {"train_shadows": SHADOWS, "config": recipe(folder)}
            settings, _ = resolve(flags, search=False)
            console.print(
                f"auditing {name} on the {case} forget set" + (", with shadow models" if with_shadows else "")
            )
            finished = run_audit(prepare(settings))
            left_out |= dict.fromkeys(a.name for a in finished.result.attacks if a.status == "skipped")
            _say(listing(), f"{name} ({case} forget set)", EXPECTED[name], finished)
            reports.append((finished.result.verdict.outcome.value, finished.run.report))
    out = listing()
    out.print(f"left out in some of these audits, each with its reason in the report: {', '.join(left_out)}")
    out.print(f"{len(reports)} models audited in {time.monotonic() - started:.0f} s\n")
    shown = next((path for verdict, path in reports if verdict == "FAIL"), reports[0][1])
    out.print(f"open a report:     {sys.executable} -m webbrowser {shown.resolve().as_uri()}")
    out.print("audit your own:    audit new my-audit")


def _say(out: Console, title: str, expected: str, finished: Finished) -> None:
    """One model: what was to be expected, what was found, why, what next, and where the report is."""
    from reports.effects import size
    from reports.front import front

    first = front(finished.result)
    mark = "" if first.word == expected else "  (not as expected: read the reason)"
    out.print(f"\n{title}: expected {expected}, found {first.word}{mark}")
    for head, text in (("size", size(finished.result)), ("why", first.why), ("next", first.next[0].text)):
        out.print(f"  {head + ':':<8}{text}")
    out.print(f"  report: {finished.run.report}\n")
