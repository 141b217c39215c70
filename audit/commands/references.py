"""``audit references``: plan and train the models that an audit compares with."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from audit.inputs.config import Config
    from audit.training.session import Progress

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Plan and train retrained references and shadow models."
)

Forget = Annotated[Path | None, typer.Option(help="The forget set; the other sets lie beside it, or in audit.toml.")]
Arch = Annotated[str | None, typer.Option(metavar="MODULE:FACTORY", help="Function that builds the model.")]
References = Annotated[int | None, typer.Option(help="Retrains on the retain set.")]
Shadows = Annotated[int | None, typer.Option(help="Shadow models (LiRA, RMIA, shadow attack): 16 or more.")]
Pipelines = Annotated[int | None, typer.Option(help="Shadow models that your own procedure unlearns (U-LiRA).")]
Minutes = Annotated[float | None, typer.Option(help="Start no further model after this time.")]
Most = Annotated[int | None, typer.Option(help="Never train more references than this.")]
StorePath = Annotated[Path | None, typer.Option(help="Where trained models are kept. Default: .audit/store.")]
ConfigPath = Annotated[Path | None, typer.Option(help="audit.toml with the [recipe].")]


@app.command()
def plan(
    forget: Forget = None,
    arch: Arch = None,
    train_references: References = None,
    train_shadows: Shadows = None,
    train_pipelines: Pipelines = None,
    store: StorePath = None,
    config: ConfigPath = None,
) -> None:
    """Say what training would cost and what it would buy; trains nothing but a few timed steps."""
    from audit.training.references import training_plan

    settings = _settings(locals())
    with redirect_stdout(sys.stderr):
        lines = training_plan(settings)
    out = Console(highlight=False, soft_wrap=True)
    for line in lines:
        out.print(line, markup=False)


@app.command()
def train(
    forget: Forget = None,
    arch: Arch = None,
    train_references: References = None,
    train_shadows: Shadows = None,
    train_pipelines: Pipelines = None,
    max_minutes: Minutes = None,
    max_references: Most = None,
    store: StorePath = None,
    config: ConfigPath = None,
) -> None:
    """Train what is not in the store yet and print the files; `audit run` with the same options reuses them."""
    from audit.training.references import train_for

    settings = _settings(locals())
    with redirect_stdout(sys.stderr):
        trained = train_for(settings, _line)
    for name, path in trained.paths.items():
        typer.echo(f"{name}\t{path}")
    typer.echo(f"{trained.trained} trained, {trained.reused} reused; {trained.why}", err=True)
    if trained.stopped:
        typer.echo("the budget ended training early: the same command goes on", err=True)


def _settings(given: dict[str, Any]) -> Config:
    from audit.inputs.config import OPTIONS, resolve

    return resolve({name: value for name, value in given.items() if name in OPTIONS}, given["config"])[0]


def _line(progress: Progress) -> None:
    """One line a model."""
    end = "failed" if progress.failed else "trained"
    typer.echo(f"{progress.name} {end}: {progress.done} of {progress.total} ({progress.seconds:.0f} s)", err=True)
