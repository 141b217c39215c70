"""``audit demo``: build the example, audit it, and say what came out and what to do next."""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from .ending import human, listing

SHADOWS = 16  # as few as online attacks take: our choice, for the sake of the minute
_PROCESSES = 2  # trainings and audits at a time: our choice


@dataclass(frozen=True)
class Job:
    """One audit of the demo."""

    folder: Path
    case: str
    model: Path
    shadows: bool

    @property
    def name(self) -> str:
        """What the candidate is called."""
        return self.model.stem.removeprefix("candidate-")


@dataclass(frozen=True)
class Answer:
    """What an audit came to, in words."""

    verdict: str
    size: str
    why: str
    next: str
    report: Path
    skipped: tuple[str, ...]


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to build it.")] = Path("demo"),
) -> None:
    """Build a real example from scikit-learn digits, audit it, and print the verdicts.

    Six models: an honest retrain of each of two cases, and four that only pretend. Shadow models are trained for one of
    them.
    """
    from audit.demo import EXPECTED, build

    console, started = human(), time.monotonic()
    out, reports, left_out = listing(), [], dict[str, None]()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context, initializer=_one_thread) as pool:
        cases = build(folder, progress=console.print, mapped=pool.map)
        jobs = [
            Job(folder, case, path, shadows=(case, path.stem) == ("random", "candidate-fine-tuned"))
            for case, candidates in cases.items()
            for path in candidates
        ]
        console.print(f"auditing {len(jobs)} models, {_PROCESSES} at a time; {SHADOWS} shadow models for one of them")
        for job, answer in zip(jobs, pool.map(audited, jobs), strict=True):
            expected = EXPECTED[job.name]
            mark = "" if answer.verdict == expected else "  (not as expected: read the reason)"
            out.print(f"\n{job.name} ({job.case} forget set): expected {expected}, found {answer.verdict}{mark}")
            for head, text in (("size", answer.size), ("why", answer.why), ("next", answer.next)):
                out.print(f"  {head + ':':<8}{text}")
            out.print(f"  report: {answer.report}")
            reports.append(answer)
            left_out |= dict.fromkeys(answer.skipped)
    out.print(f"\nleft out in some of these audits (the reports say why): {', '.join(left_out)}")
    out.print(f"{len(reports)} models audited in {time.monotonic() - started:.0f} s\n")
    shown = next((answer for answer in reports if answer.verdict == "FAIL"), reports[0]).report
    out.print(f"open a report:     {sys.executable} -m webbrowser {shown.resolve().as_uri()}")
    out.print("audit your own:    audit new my-audit")


def _one_thread() -> None:
    """Two processes share the machine, and tiny networks gain nothing from threads."""
    import torch

    torch.set_num_threads(1)


def audited(job: Job) -> Answer:
    """Audit one model, with the attacks that decide."""
    from audit.demo import ARCH, recipe
    from audit.inputs.resolve import resolve
    from audit.run import prepare, run_audit
    from reports.front import front

    flags: dict[str, Any] = {
        "forget": job.folder / job.case / "forget.npz",
        "unlearned": job.model,
        "arch": ARCH,
        "out": job.folder / "runs",
        "attacks": ["gated"],
    }
    if job.case == "random":
        flags["split"] = "attested"  # the demo drew it at random itself
    if job.shadows:
        flags["train_shadows"] = SHADOWS
    settings, _ = resolve(flags, recipe(job.folder) if job.shadows else None, search=False)
    finished = run_audit(prepare(settings))
    first = front(finished.result)
    skipped = tuple(a.name for a in finished.result.attacks if a.status == "skipped")
    return Answer(first.word, first.size, first.why, first.next[0].text, finished.run.report, skipped)
