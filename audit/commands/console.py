"""What the command line tells a person before a run: the resolved inputs and the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ending import listing

if TYPE_CHECKING:
    from rich.console import Console

    from audit.inputs.config import Config
    from audit.run import Prepared


def print_inputs(console: Console, settings: Config, origin: dict[str, str], prepared: Prepared) -> None:
    """Every resolved input with where it came from, the claim, and what was assumed."""
    data, model = settings.data, settings.model
    retrained = ", ".join(path.name for path in model.retrained)
    values = {
        **{name: getattr(data, name) for name in ("forget", "retain", "holdout", "test", "auxiliary", "concepts")},
        "original": model.original,
        "unlearned": model.unlearned,
        "retrained": f"{len(model.retrained)}: {retrained}" if retrained else None,
        "arch": model.arch,
        "policy": settings.policy,
        "seed": settings.seed,
    }
    console.print("inputs:")
    for name, value in values.items():
        source = origin.get(name, "default" if name in ("policy", "seed") else "not given")
        shown = "-" if value is None else value
        console.print(f"  {name:<10} {shown} ({source})", soft_wrap=True)
    console.print(f"  {'run':<10} {prepared.run.path} (named by configuration and inputs)", soft_wrap=True)
    trained = prepared.trained
    if trained is not None:
        text = f"{trained.trained} models trained, {trained.reused} reused ({trained.why})"
        console.print(f"  {'training':<10} {text}", soft_wrap=True)
    claim = prepared.case.claim
    classes = f", classes {list(claim.classes)}" if claim.classes else ""
    console.print(f"claim: {claim.kind}{classes}, split {claim.split}, access {claim.access}")
    for line in (*claim.inferred, *prepared.case.assumptions):
        console.print(f"  assumed: {line}", soft_wrap=True)
    for overlap in prepared.case.overlaps:
        what = "repeat another" if overlap.role == overlap.other else f"also stand in {overlap.other}"
        console.print(f"  left out: {overlap.dropped} {overlap.role} rows that {what}", soft_wrap=True)


def print_ruled_out(console: Console, prepared: Prepared) -> None:
    """What keeps this run from a PASS whatever the attacks find, before any of them runs."""
    from audit.collect.plan import ruled_out

    reasons = ruled_out(prepared.case, prepared.policy)
    if reasons:
        console.print("a PASS is already ruled out (a FAIL is not):")
    for reason in reasons:
        console.print(f"  {reason}", soft_wrap=True)


def print_plan(console: Console, prepared: Prepared) -> None:
    """The plan on standard output: cost, the smallest visible leak, and what already rules out a PASS."""
    from audit.collect.plan import make_plan
    from audit.training.outlook import training_lines

    case, order = prepared.case, prepared.order
    plan = make_plan(case, prepared.policy, prepared.suite, order.wanted)
    out = listing()
    if order.wanted.asked:
        given = len(case.references)
        for line in training_lines(order, case.files, case.sets, prepared.policy, key=case.key, given=given):
            out.print(line)
    for line in plan.lines():
        out.print(line)
    console.print("dry run: nothing was run")
