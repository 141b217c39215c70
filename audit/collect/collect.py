"""Run every attack on every model, one resumable work unit at a time, and gather the evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from attacks.tasks import Task
from audit.engine.crew import Crew
from audit.errors import InputError
from audit.inputs.case import LoadedCase
from audit.inputs.device import full_precision
from audit.inputs.provenance import copies, twins
from audit.record.run_records import LookRecord, TaskRecord
from audit.record.rundir import RunDir
from audit.record.version import VERSION

from .arrays import evidence_arrays, shadow_arrays
from .away import Away
from .environment import environment
from .events import Notify
from .evidence import AttackRun, Evidence, Facts
from .guard import Guard
from .inside import look_inside
from .meaning import refuse_meaningless
from .observe import Layers, Observations
from .sealed import SealedArrays
from .structure import Structure, compare, excused_names
from .suite import Suite
from .units import Units, unit_context
from .views import Views, all_views, observe_all, shadow_views

ENOUGH = 30  # our choice: rows of one set on which equal answers are no chance, however coarse they are


@full_precision()
def collect(
    case: LoadedCase,
    suite: Suite,
    run: RunDir,
    *,
    seed: int,
    batch_size: int,
    notify: Notify,
    count_look: Callable[[], LookRecord | None] = lambda: None,
    crew: Crew | None = None,
    minutes: float | None = None,
) -> Evidence:
    """Observe all models once, run all attacks on all models, and gather the evidence.

    Finished work units found in the run directory are reused. The audited models are never modified: their digests
    before and after are compared.

    Args:
        case: what is audited.
        suite: the attacks that run, and those that are left out.
        run: the run's directory; its name is the run's.
        seed: of the run.
        batch_size: rows per forward pass.
        notify: told of every work unit.
        count_look: counts this look at the forget set, where a ledger counts them: called once, when nothing is left
            that refuses the inputs and before anything is scored.
        crew: runs the units in other processes; None = in this one.
        minutes: after which no unit of an attack is started; None = no limit.

    Raises:
        InputError: references that are copies, outputs without meaning, or a model that fails on the data.
        UsageError, CouldNotRun: of ``count_look``.
    """
    guard = Guard(case.models)
    layers = Layers(any(attack.reads_layers for attack in suite.chosen), case.build.layers)
    arrays_of_run = SealedArrays(case.key)
    observations = Observations(run.observations, case.files, case.fingerprints, batch_size, arrays_of_run, layers)
    shadows = shadow_views(case.shadows, observations, case.selection, case.build)
    away = None if crew is None else Away(crew, case, observations, seed, notify)
    views = all_views(case.models, observations, case.selection, case.build)
    if away is not None:
        away.observe({**views, **{name: view for found in shadows.values() for name, view in found.items()}})
    observe_all(views, observations, notify)
    guard.after_forward()
    _refuse_copies(case, views)
    unchecked = refuse_meaningless(case, views)
    look = count_look()
    structure = _structure(case)
    attack_case = replace(case.attack_case(), batch=batch_size)
    context = unit_context(case, seed)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    units = Units(
        suite.chosen, views, shadows, attack_case, context, run, case.key, seed, notify, case.build.layers, deadline
    )
    if away is not None:
        away.attack(units, suite.chosen)
    runs = [units.run(attack) for attack in suite.chosen]
    guard.after_attacks()
    sides = tuple(
        case.files[case.selection[role].source].take(case.selection[role].rows) for role in ("forget", "holdout")
    )
    arrays = evidence_arrays(attack_case, (sides[0], sides[1]), case.selection["holdout"], views, seed)
    for design, found in shadows.items():
        arrays |= shadow_arrays(design, case.shadows[design].member, found, attack_case, case.selection["holdout"])
    facts = _facts(case, run, seed, structure, _all(suite, runs), units, shadows, look)
    facts = facts.model_copy(update={"assumptions": (*facts.assumptions, *unchecked)})
    return Evidence(facts, arrays, units.signals)


def _all(suite: Suite, runs: Sequence[AttackRun]) -> list[AttackRun]:
    """How every attack went, those that were left out included, by name."""
    skipped = [AttackRun(name=n, parameters={}, status="skipped", reason=why) for n, why in suite.left_out.items()]
    return sorted([*runs, *skipped], key=lambda run: run.name)


def _refuse_copies(case: LoadedCase, views: Views) -> None:
    """Models that must be independent and compute the same function; labels alone may well agree on every row."""
    if case.claim.access == "labels" or case.coinciding is not None:  # a recipe without randomness makes equals
        return
    files = {record.role: record.name for record in case.inputs}
    task, centred = case.task, case.task.class_logits
    roles = ("forget", "holdout")
    logits = {name: [task.compared(v.stored(role)) for role in roles] for name, v in views.items()}
    problems = copies(logits, files, centred=centred)
    if not problems and len(case.selection["forget"].rows) >= ENOUGH:  # answers borrowed for these rows alone
        problems = copies(
            {name: [forget] for name, (forget, _) in logits.items()}, files, " on the forget set", centred=centred
        )
    if not problems and task.declared:
        rest = ("retain", "holdout", "test")
        scores = {
            name: {role: task.compared(view.logits(role))[:, 0] for role in rest if role in case.selection}
            for name, view in views.items()
        }
        problems = twins(scores, files)
    if problems:
        raise InputError(problems)


def _structure(case: LoadedCase) -> Structure:
    unlearned, original = case.models["unlearned"], case.models.get("original")
    references = [case.models[name] for name in case.references]
    public = case.claim.public_layers
    found = compare(unlearned, original, references, public)
    if found.identical:
        return found
    sets = {role: case.rows_of(role) for role in ("forget", "holdout", "retain", "test")}
    names = excused_names(original, references, public)
    return found.model_copy(update={"inside": look_inside(unlearned, original, references, names, sets)})


def _task_record(task: Task) -> TaskRecord | None:
    return None if task.name == "classification" else TaskRecord(name=task.name, signals=task.declared)


def _facts(
    case: LoadedCase,
    run: RunDir,
    seed: int,
    structure: Structure,
    runs: Sequence[AttackRun],
    units: Units,
    shadows: Mapping[str, Views],
    look: LookRecord | None,
) -> Facts:
    return Facts(
        run_id=run.path.name,
        seed=seed,
        tool_version=VERSION,
        environment=environment(case.build.device),
        claim=case.claim,
        inputs=case.inputs,
        assumptions=case.assumptions,
        overlaps=tuple((o.role, o.other, o.dropped, o.total) for o in case.overlaps),
        models=tuple(case.models),
        n_classes=case.n_classes,
        structure=structure,
        attacks=tuple(runs),
        signal_files=tuple((a, m, *file) for (a, m), file in units.files.items()),
        look=look,
        training=case.training,
        coinciding=case.coinciding,
        shadows={design: tuple(found) for design, found in shadows.items()},
        task=_task_record(case.task),
    )
