"""``audit references``: plan and train the models that an audit compares with."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.inputs.choices import TaskName

from .channel import limit_user_code
from .ending import Timeout, human, listing, told

if TYPE_CHECKING:
    from audit.inputs.config import Config
    from audit.inputs.data import Arrays
    from audit.inputs.sets import Sets
    from audit.inputs.training_order import TrainingOrder
    from audit.policy.policy import Policy
    from audit.training.session import Progress

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Plan and train retrained references and shadow models."
)

Forget = Annotated[Path | None, typer.Option(help="The forget set; the other sets lie beside it, or in audit.toml.")]
Task = Annotated[TaskName | None, typer.Option(help="What outputs mean; the loss is its own. Default: classification.")]
Arch = Annotated[str | None, typer.Option(metavar="MODULE:FACTORY", help="Function that builds the model.")]
References = Annotated[int | None, typer.Option(help="Retrains on the retain set.")]
Shadows = Annotated[int | None, typer.Option(help="Shadow models (LiRA, RMIA, shadow attack): 16 or more.")]
Pipelines = Annotated[int | None, typer.Option(help="Shadow models that your own procedure unlearns (U-LiRA).")]
Minutes = Annotated[float | None, typer.Option(help="Start no model, and then no attack, after this time.")]
Most = Annotated[int | None, typer.Option(help="Never train more references than this.")]
StorePath = Annotated[Path | None, typer.Option(help="Where trained models are kept. Default: .audit/store.")]
Executor = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Run units on a cluster: ray, ray://host:port, dask, tcp://host:port."),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes (of a cluster: units at once). 2 or more run attacks, too.")
]
ConfigPath = Annotated[Path | None, typer.Option(help="audit.toml with the [recipe]. Default: in this folder.")]


@app.command()
def plan(
    forget: Forget = None,
    task: Task = None,
    arch: Arch = None,
    train_references: References = None,
    train_shadows: Shadows = None,
    train_pipelines: Pipelines = None,
    store: StorePath = None,
    timeout: Timeout = None,
    config: ConfigPath = None,
) -> None:
    """Say what training would cost and what it would buy; trains nothing but a few timed steps."""
    from audit.training.outlook import training_lines

    settings = _settings(locals())
    with redirect_stdout(sys.stderr):
        order, files, sets, policy, key = _ordered(settings)
        given = len(settings.model.retrained)
        lines = training_lines(order, files, sets, policy, key=key, given=given)
    out = listing()
    for line in lines:
        out.print(line)


@app.command()
def train(
    forget: Forget = None,
    task: Task = None,
    arch: Arch = None,
    train_references: References = None,
    train_shadows: Shadows = None,
    train_pipelines: Pipelines = None,
    max_minutes: Minutes = None,
    max_references: Most = None,
    store: StorePath = None,
    executor: Executor = None,
    workers: Workers = None,
    timeout: Timeout = None,
    config: ConfigPath = None,
) -> None:
    """Train what is not in the store yet and print the files; `audit run` with the same options reuses them."""
    from audit.training.references import train as train_order

    settings = _settings(locals())
    with redirect_stdout(sys.stderr):
        order, files, sets, _, key = _ordered(settings)
        _, trained, _ = train_order(order, files, sets.selection, key, sets.claim, _line)
    for name, path in trained.paths.items():
        typer.echo(f"{name}\t{path}")
    typer.echo(f"{trained.trained} trained, {trained.reused} reused; {trained.why}", err=True)
    if trained.stopped:
        typer.echo("the budget ended training early: the same command goes on", err=True)


def _ordered(settings: Config) -> tuple[TrainingOrder, dict[str, Arrays], Sets, Policy, bytes]:
    """What is to be trained, on what, without any model to audit."""
    from audit.inputs.case import load_sets, project_key
    from audit.inputs.given import given_of
    from audit.inputs.training_order import training_order
    from audit.policy.policy import load_policy
    from audit.training.references import check_asked, check_order

    policy, given = load_policy(settings.policy)[0], given_of(settings)
    files, sets = load_sets(given, policy.overlap_share)
    order = training_order(settings, given.project)
    check_asked(order.wanted)
    check_order(order, sets.claim.kind, beside_outputs="unlearned" in given.models and not given.unlearned_is_network)
    return order, files, sets, policy, project_key(given.project)


def _settings(given: dict[str, Any]) -> Config:
    from audit.inputs.resolve import OPTIONS, resolve

    limit_user_code(given["timeout"])
    named = {name: value for name, value in given.items() if name in OPTIONS}
    return resolve(named, given["config"], tell=told(human()))[0]


def _line(progress: Progress) -> None:
    """One line a model."""
    end = "failed" if progress.failed else "trained"
    typer.echo(f"{progress.name} {end}: {progress.done} of {progress.total} ({progress.seconds:.0f} s)", err=True)
