"""What the command line tells a person before a run: the resolved inputs and the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ending import listing

if TYPE_CHECKING:
    from rich.console import Console

    from audit.inputs.config import Config
    from audit.run import Prepared

PERSONAL = (
    "personal data: --include-samples keeps pictures of deleted rows in run.json and report.html. Only you may read "
    "those files, and audit purge does not take the pictures out"
)


def print_inputs(console: Console, settings: Config, origin: dict[str, str], prepared: Prepared) -> None:
    """Every resolved input with where it came from, the claim, and what was assumed."""
    from audit.collect.suite import SAMPLES
    from audit.inputs.config import DATA_ROLES

    data, model = settings.data, settings.model
    retrained = ", ".join(path.name for path in model.retrained)
    values = {
        **{role: getattr(data, role) for role in DATA_ROLES},
        **({"data": data.data} if data.data else {}),
        **{f"{role}_index": path for role, path in data.indices.items()},
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
    if any(attack.parameters.get(SAMPLES) for attack in prepared.suite.chosen):
        console.print(PERSONAL, soft_wrap=True)
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
    _print_advice(out, prepared)
    console.print("dry run: nothing was run")


def _print_advice(out: Console, prepared: Prepared) -> None:
    """What is missing, what can still be said without it, and the cheapest thing to add."""
    from audit.inputs.advice import Having, shortfalls
    from audit.inputs.targets import TorchTarget

    case, order = prepared.case, prepared.order
    having = Having(
        holdout="holdout" in case.files,
        test="test" in case.files,
        original="original" in case.models,
        references=len(case.references) + order.wanted.references,
        recipe=order.recipe.defined,
        kind=case.claim.kind,
        networks=isinstance(case.models["unlearned"], TorchTarget),
    )
    lines = shortfalls(having, prepared.policy)
    if lines:
        out.print("what is missing, what can still be said, and the cheapest thing to add:")
    for line in lines:
        out.print(f"  {line}")
