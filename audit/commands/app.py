"""The command line: parse, call one function, exit code. ``run``, ``score`` and ``demo``; all others are added here.

Torch and the renderers are imported where they are needed: ``audit --help``, ``verify`` and ``report`` never import
torch.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audit import __version__
from audit.inputs.choices import AccessLevel, Kind, Provenance, Split, Strata

from . import certificate as certificate_cli
from . import references as references_cli
from . import report as reports_cli
from . import upkeep as upkeep_cli

if TYPE_CHECKING:
    from audit.inputs.config import CertificateSection
    from audit.record.result import AuditResult
    from audit.record.rundir import RunDir

app = typer.Typer(
    name="audit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Audit a model that is said to have unlearned data: attack it as an adversary would, and issue a verdict "
    "with a known error rate.\n\nExit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 could not run, 130 "
    "interrupted.",
)
app.add_typer(references_cli.app, name="references")
app.add_typer(certificate_cli.commit, name="commit")


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory (runs/<id>).")]
SignKey = Annotated[Path | None, typer.Option(help="Ed25519 private key that signs the certificate.")]


def _human() -> Console:
    """Human output goes to standard error; standard output is for machines."""
    return Console(stderr=True, highlight=False)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"unlearn-audit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Audit machine unlearning."""


@app.command()
def run(
    forget: Annotated[
        Path | None, typer.Option(help="What had to be forgotten (.npz: x, y, ids, group, request).")
    ] = None,
    retain: Annotated[Path | None, typer.Option(help="What the model may still know.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Never seen, same pool as the forget set.")] = None,
    test: Annotated[Path | None, typer.Option(help="Never seen.")] = None,
    auxiliary: Annotated[
        Path | None, typer.Option(help="Never seen; checks fits. Default: a quarter of the test set.")
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
    train_references: references_cli.References = None,
    train_shadows: references_cli.Shadows = None,
    train_pipelines: references_cli.Pipelines = None,
    max_minutes: references_cli.Minutes = None,
    max_references: references_cli.Most = None,
    store: references_cli.StorePath = None,
    claim: Annotated[Kind | None, typer.Option(help="What was forgotten; inferred and printed where silent.")] = None,
    split: Annotated[Split | None, typer.Option(help="attested: holdout is a random companion of forget.")] = None,
    access: Annotated[AccessLevel | None, typer.Option(help="What the adversary may have.")] = None,
    strata: Annotated[Strata | None, typer.Option(help="label: forget and holdout were drawn class by class.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Count every look at this forget set; alpha is shared among them.")
    ] = None,
    arch: Annotated[str | None, typer.Option(metavar="MODULE:FACTORY", help="Function that builds the model.")] = None,
    head: Annotated[str | None, typer.Option(help="Final linear layer, where it cannot be found.")] = None,
    policy: Annotated[str | None, typer.Option(help="screening, standard, strict, or a policy file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the audit.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:0, ...")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows per forward pass.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run directories. Default: runs.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="audit.toml. Default: in this folder or beside the forget set.")
    ] = None,
    sign_key: SignKey = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not continue an earlier run of the same case.")] = False,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Unpickle model files: runs code from them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, its cost and the smallest visible leak.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Audit a model and end with a verdict, a run directory and an exit code.

    `audit run --forget forget.npz` finds the rest by its standard name beside the forget set: original.*, unlearned.*,
    retrained*.*, retain.npz, holdout.npz, test.npz, auxiliary.npz. An interrupted run is continued by the same command.
    """
    from audit.certify.issue import commit_data, issue, signing_key
    from audit.inputs.config import OPTIONS, resolve
    from audit.run import prepare, run_audit

    from .console import print_inputs, print_plan
    from .progress import progress, training_progress

    given = {k: _plain(v) for k, v in locals().items() if k in OPTIONS}
    settings, origin = resolve(given, config)
    console = _human()
    with training_progress(console, quiet) as trained, redirect_stdout(sys.stderr):  # the user's own code may print
        prepared = prepare(settings, train=not dry_run, notify=trained)
    print_inputs(console, settings, origin, prepared)
    if dry_run:
        print_plan(console, prepared)
        return
    signer = settings.certificate
    signing_key(signer)
    with progress(console, quiet) as notify, redirect_stdout(sys.stderr):
        result = run_audit(prepared, fresh=fresh, notify=notify)
    _write_report(prepared.run, result)
    commit_data(prepared.run, prepared.case)
    certificate = issue(prepared.run, result, signer)
    _finish(console, prepared.run, result, certificate)


app.command()(upkeep_cli.init)
app.command()(upkeep_cli.attacks)


@app.command()
def score(
    run_dir: RunArgument,
    policy: Annotated[str, typer.Option(help="screening, standard, strict, or a policy file.")],
    sign_key: SignKey = None,
    ledger: Annotated[Path | None, typer.Option(help="The run's ledger, where it was moved.")] = None,
) -> None:
    """Judge a finished run again under another policy, without touching a model.

    Another policy is another look: it is counted where the run declares a ledger. The earlier record, report and
    certificate are kept in the run, in earlier/.
    """
    from audit.certify.issue import issue, signing_key
    from audit.record.rundir import open_run
    from audit.run import score_run

    run_ = open_run(run_dir)
    signer = _signer(run_, sign_key)
    signing_key(signer)
    console = _human()
    before = set(run_.earlier.glob("*"))
    result = score_run(run_, policy, ledger)
    for kept in set(run_.earlier.glob("*")) - before:
        console.print(f"earlier record, report and certificate: {kept}", markup=False, soft_wrap=True)
    if signer.sign_key is not None:
        whose = "the run's own key" if sign_key is None else "the given key"
        console.print(f"signing the new certificate with {whose}: {signer.sign_key}", markup=False, soft_wrap=True)
    _write_report(run_, result)
    certificate = issue(run_, result, signer)
    _finish(console, run_, result, certificate)


app.command()(reports_cli.report)
app.command()(reports_cli.compare)
app.command()(upkeep_cli.schema)
app.command()(certificate_cli.keygen)
app.command()(certificate_cli.verify)
app.command()(certificate_cli.gate)
app.command()(upkeep_cli.ledger)
app.command()(upkeep_cli.selftest)
app.command()(upkeep_cli.purge)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to build it.")] = Path("demo"),
) -> None:
    """Build a real example from scikit-learn digits, audit it, and print the verdicts."""
    from audit.certify.issue import commit_data, issue
    from audit.demo import ARCH, build
    from audit.inputs.config import resolve
    from audit.run import prepare, run_audit

    console = _human()
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
            settings, _ = resolve(flags, config_file=None)
            console.print(f"auditing {path.stem} on the {case} forget set")
            prepared = prepare(settings)
            result = run_audit(prepared)
            _write_report(prepared.run, result)
            commit_data(prepared.run, prepared.case)
            issue(prepared.run, result, settings.certificate)
            name = path.stem.removeprefix("candidate-")
            table.add_row(case, name, result.verdict.outcome.value, escape(str(prepared.run.report)))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _plain(value: object) -> object:
    return value.value if isinstance(value, StrEnum) else value


def _signer(run_: RunDir, sign_key: Path | None) -> CertificateSection:
    """The signer of the run's own configuration, with another key where one is given."""
    import tomllib

    from audit.inputs.config import CertificateSection

    try:
        section = tomllib.loads(run_.config.read_text(encoding="utf-8")).get("certificate", {})
    except (OSError, tomllib.TOMLDecodeError):
        section = {}
    found = CertificateSection.model_validate(section)
    return found if sign_key is None else found.model_copy(update={"sign_key": sign_key})


def _write_report(run_: RunDir, result: AuditResult) -> None:
    from audit.record.rundir import write_bytes

    write_bytes(run_.report, reports_cli.html(result, run_).encode("utf-8"))


def _finish(console: Console, run_: RunDir, result: AuditResult, certificate: Path) -> None:
    from reports.formats.terminal import render_terminal

    render_terminal(result, console)
    signed = certificate == run_.certificate
    console.print(f"report: {run_.report}", markup=False, soft_wrap=True)
    note = "" if signed else " (unsigned: make a key with `audit keygen` and pass --sign-key)"
    console.print(f"certificate: {certificate}{note}", markup=False, soft_wrap=True)
    outcome = result.verdict.outcome.value
    typer.echo(
        json.dumps(
            {
                "verdict": outcome,
                "qualifier": result.verdict.qualifier,
                "exit_code": int(certificate_cli.VERDICT_EXIT[outcome]),
                "run": os.fspath(run_.path),
                "report": os.fspath(run_.report),
                "certificate": os.fspath(certificate),
            },
            sort_keys=True,
        )
    )
    raise typer.Exit(int(certificate_cli.VERDICT_EXIT[outcome]))
