"""``audit run``: audit a model and end with a verdict."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audit.inputs.choices import AccessLevel, Channels, Effort, Kind, Provenance, Release, Split, Strata, TaskName

from . import references
from .channel import limit_user_code
from .ending import SignKey, Timeout, finish, human, told


def run(
    forget: Annotated[
        Path | None,
        typer.Option(help="What had to be forgotten: a file, a folder, or package.module:function that returns it."),
    ] = None,
    retain: Annotated[Path | None, typer.Option(help="What the model may still know.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Never seen, same pool as the forget set.")] = None,
    test: Annotated[Path | None, typer.Option(help="Never seen.")] = None,
    auxiliary: Annotated[
        Path | None, typer.Option(help="Never seen; checks fits. Default: a quarter of the test set.")
    ] = None,
    concepts: Annotated[
        Path | None, typer.Option(help="Examples of concepts; y = concept number from 1, 0 = random counterexamples.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="One set of which index lists name rows; what none names is the retain set.")
    ] = None,
    forget_index: Annotated[
        Path | None, typer.Option(help="Rows of --data to be forgotten (.npy, .json, .txt, .csv; a mask will do).")
    ] = None,
    retain_index: Annotated[Path | None, typer.Option(help="Rows of --data that are kept. Default: the rest.")] = None,
    holdout_index: Annotated[Path | None, typer.Option(help="Rows of --data that no model ever saw.")] = None,
    test_index: Annotated[Path | None, typer.Option(help="Rows of --data for the test set, never seen.")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of a table with the labels.")] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Labels in the order of the outputs; commas between them.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="Inputs are divided by it (255: bytes of pictures).")] = None,
    channels: Annotated[Channels | None, typer.Option(help="last: pictures are height, width, channels.")] = None,
    preprocess: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Your function from inputs to those of the network.")
    ] = None,
    original: Annotated[Path | None, typer.Option(help="The model before unlearning: the positive control.")] = None,
    unlearned: Annotated[Path | None, typer.Option(help="The model to audit.")] = None,
    retrained: Annotated[
        list[Path] | None, typer.Option(help="An honest retrain; repeat. The null distribution.")
    ] = None,
    provenance: Annotated[
        Provenance | None, typer.Option(help="Of the retrains: from scratch, from a clean checkpoint, or surrogates.")
    ] = None,
    runs: Annotated[
        list[Path] | None, typer.Option(help="A further run of the same unlearning procedure; repeat.")
    ] = None,
    train_references: references.References = None,
    train_shadows: references.Shadows = None,
    train_pipelines: references.Pipelines = None,
    max_minutes: references.Minutes = None,
    max_references: references.Most = None,
    store: references.StorePath = None,
    attacks: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="gated (the default: what can change the verdict), all, or names; repeat."),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="NAMES", help="Attacks to leave out.")] = None,
    effort: Annotated[
        Effort | None,
        typer.Option(help="Budget of the attacks; --dry-run prints what it costs. quick supports no PASS."),
    ] = None,
    include_samples: Annotated[
        bool,
        typer.Option(
            "--include-samples",
            help="Show pictures of the forget set beside their reconstructions in the HTML report: such a report is "
            "personal data.",
        ),
    ] = False,
    claim: Annotated[Kind | None, typer.Option(help="What was forgotten; inferred and printed where silent.")] = None,
    split: Annotated[Split | None, typer.Option(help="attested: holdout is a random companion of forget.")] = None,
    access: Annotated[AccessLevel | None, typer.Option(help="What the adversary may have.")] = None,
    strata: Annotated[Strata | None, typer.Option(help="label: forget and holdout were drawn class by class.")] = None,
    release: Annotated[
        Release | None,
        typer.Option(help="Who gets the model holds this (internal: nobody); a weaker --access cannot PASS then."),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Count every look at this forget set; alpha is shared among them.")
    ] = None,
    task: Annotated[
        TaskName | None,
        typer.Option(help="What outputs mean. Default: scores where files hold scores, else classification."),
    ] = None,
    arch: Annotated[str | None, typer.Option(metavar="MODULE:FACTORY", help="Function that builds the model.")] = None,
    unlearned_arch: Annotated[
        str | None, typer.Option(metavar="MODULE:FACTORY", help="The same for unlearned models of another network.")
    ] = None,
    state_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Where a checkpoint of several state dicts holds the model's.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Logits among several outputs, by name or position.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Final linear layer, where it cannot be found.")] = None,
    predict: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="(model path, inputs) -> outputs, for any other kind of model."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Models give probabilities; logits are not to be had.")
    ] = False,
    layers: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Modules read as hidden layers. Default: found.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="screening, standard, strict, or a policy file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the audit.")] = None,
    executor: references.Executor = None,
    workers: references.Workers = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:0, ...")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows per forward pass at most, those of attacks as well.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run directories. Default: runs.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="audit.toml. Default: the one in this folder; never one beside the data.")
    ] = None,
    sign_key: SignKey = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not continue an earlier run of the same case.")] = False,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Unpickle model files: runs code from them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, its cost and the smallest visible leak.")
    ] = False,
    timeout: Timeout = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Audit a model and end with a verdict, a run directory and an exit code.

    `audit run --forget forget.npz` finds the rest by its standard name beside the forget set: original.*, unlearned.*,
    retrained*.*, retain.npz, holdout.npz, test.npz, auxiliary.npz, concepts.npz. An interrupted run is continued by the
    same command.
    """
    from audit.inputs.resolve import OPTIONS, resolve
    from audit.interface.progress import progress, training_progress
    from audit.run import prepare, run_audit

    from .console import print_inputs, print_plan, print_ruled_out

    given = {k: _plain(v) for k, v in locals().items() if k in OPTIONS}
    console = human()
    limit_user_code(timeout)
    settings, origin = resolve(given, config, tell=told(console))
    with training_progress(console, quiet) as trained, redirect_stdout(sys.stderr):  # the user's own code may print
        prepared = prepare(settings, train=not dry_run, notify=trained)
    print_inputs(console, settings, origin, prepared)
    if not dry_run:
        print_ruled_out(console, prepared)
    if dry_run:
        print_plan(console, prepared)
        return
    with progress(console, quiet) as notify, redirect_stdout(sys.stderr):
        finished = run_audit(prepared, fresh=fresh, notify=notify)
    finish(console, finished)


def _plain(value: object) -> object:
    return value.value if isinstance(value, StrEnum) else value
