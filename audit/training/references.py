"""Train what a run lacks: references, shadow models and unlearned pipelines, by the user's recipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from attacks.tasks import loss_of, truth_of
from audit.engine.crew import Order
from audit.errors import CouldNotRun, InputError, UsageError
from audit.inputs.case import LoadedCase, ShadowModels
from audit.inputs.config import TrainingSection
from audit.inputs.data import Arrays
from audit.inputs.models import load_model, set_task
from audit.inputs.sets import Selection
from audit.inputs.targets import Target
from audit.inputs.training_order import TrainingOrder
from audit.record.identical import CoincidingRecord
from audit.record.inputs import ClaimRecord, InputRecord
from audit.record.run_records import TrainingRecord

from .coinciding import coinciding
from .hooks import import_sources
from .independence import check_factory, check_independent
from .jobs import Addresses, Job
from .service import Trained, train_models
from .session import Progress
from .shadows import Design, make_design
from .store import Store

CLASS_SHADOWS = "shadow models tell rows apart and decide nothing about a class: drop --train-shadows/--train-pipelines"


def silent(_progress: Progress) -> None:
    """Ignore progress."""


def wanted_jobs(wanted: TrainingSection, design: Design) -> list[Job]:
    """Everything that is asked for, references first: a budget ends shadows before references."""
    references = wanted.references
    if wanted.max_references is not None:
        references = min(references, wanted.max_references)
    return [
        *(design.reference(i) for i in range(references)),
        *(design.shadow(i) for i in range(wanted.shadows)),
        *(design.pipeline(i) for i in range(wanted.pipelines)),
    ]


def check_order(order: TrainingOrder, kind: str, *, beside_outputs: bool = False) -> None:
    """What training needs and the order lacks.

    Args:
        order: what is to be trained; nothing is checked where that is nothing.
        kind: of the claim.
        beside_outputs: the model to audit is given by its outputs.

    Raises:
        UsageError: with every problem and its remedy.
    """
    if not order.wanted.asked:
        return
    problems, loss = [], loss_of(order.task)
    if not loss:
        problems.append(f"the audit trains no models of the task {order.task}: give honest retrains (--retrained)")
    elif order.recipe.train is None and order.recipe.loss != loss:
        problems.append(f'[recipe] loss = "{order.recipe.loss}" is not that of {order.task}: leave the line out')
    if order.recipe.label_smoothing and truth_of(order.task) != "classes":
        problems.append("[recipe] label_smoothing has a meaning for classes alone: leave the line out")
    if not order.recipe.defined:
        problems.append(
            "training needs to know how: describe it in [recipe] of audit.toml (`audit init` shows the keys)"
        )
    if order.arch is None:
        problems.append("training needs the function that builds the untrained model: name it with --arch")
    if beside_outputs:
        problems.append(
            "networks cannot be trained beside a model that gives outputs alone: give networks (.safetensors, .pt)"
        )
    if order.wanted.pipelines and order.recipe.unlearn is None:
        problems.append('--train-pipelines needs your procedure: set unlearn = "package.module:unlearn" in [recipe]')
    if kind == "class" and (order.wanted.shadows or order.wanted.pipelines):
        problems.append(CLASS_SHADOWS)
    if problems:
        raise UsageError("; ".join(problems) + ".")


def train(
    order: TrainingOrder,
    files: Mapping[str, Arrays],
    selection: Mapping[str, Selection],
    key: bytes,
    claim: ClaimRecord,
    notify: Callable[[Progress], None] = silent,
    *,
    models: Mapping[str, Target] | None = None,
) -> tuple[Design, Trained, CoincidingRecord | None]:
    """Train what is not in the store yet; the last is what is known of references that coincide.

    Args:
        order: what is to be trained; checked.
        files: data by file role.
        selection: rows of each set.
        key: the project key.
        claim: what is declared of the origin of references.
        notify: told of every model.
        models: under audit, which the trained ones must be independent of.

    Raises:
        CouldNotRun: a model could not be trained; those that could are kept.
        UsageError: the user's own function cannot be used.
        InputError: what was trained is not independent, nor made by a recipe without randomness.
    """
    check_factory(order, claim)
    design = make_design(files, selection, order.seed)
    jobs = wanted_jobs(order.wanted, design)
    minutes = order.wanted.max_minutes
    trained = train_models(
        order.recipe,
        order.factory,
        design.pool,
        jobs,
        Store(order.store, key),
        key=key,
        device=order.device,
        order=Order(order.engine.executor, order.engine.workers or order.recipe.workers),
        deadline=None if minutes is None else time.monotonic() + 60 * minutes,
        notify=notify,
    )
    if trained.failed:
        lines = "\n".join(f"  {text}" for text in trained.failed.values())
        kept = f"({len(trained.paths)} are kept)"
        raise CouldNotRun(f"{len(trained.failed)} of {len(jobs)} models could not be trained {kept}:\n{lines}")
    try:
        check_independent(models or {}, trained, claim)
    except InputError:
        found = coinciding(order, files, selection, trained, claim, models or {})
        if found is None:
            raise
        return design, trained, found
    return design, trained, None


def with_trained(
    case: LoadedCase, order: TrainingOrder, notify: Callable[[Progress], None] = silent
) -> tuple[LoadedCase, Trained]:
    """The case with the references and shadow models that are asked for.

    Raises:
        UsageError, CouldNotRun, InputError: see ``train``.
    """
    given = (case.files, case.selection, case.key, case.claim)
    design, trained, coincide = train(order, *given, notify, models=case.models)
    made = {name: path for name, path in trained.paths.items() if name.startswith("reference ")}
    found = dict(list(made.items())[:1]) if coincide else made  # those that coincide are one
    models, digests, inputs = dict(case.models), dict(case.digests), list(case.inputs)
    for i, (job, path) in enumerate(found.items()):
        name = f"retrained/{len(case.references) + i}"
        models[name], digests[name] = load_model(
            path,
            arch=order.arch,
            device=order.device,
            head=case.build.head,
            trust_pickle=False,
            output=case.build.output,
        )
        set_task(models[name], case.build.task)
        if digests[name] != trained.digests[job]:
            raise CouldNotRun(f"{path} changed after it was trained: see who writes there, and run again.")
        inputs.append(
            InputRecord(
                role=name,
                name=f"trained-{i:03}",
                kind="model",
                sha256=digests[name],
                note="trained by this audit",
            )
        )
    shadows = {
        "trained": _shadow_models(design, trained, "shadow"),
        "unlearned": _shadow_models(design, trained, "pipeline"),
    }
    return replace(
        case,
        models=models,
        digests=digests,
        inputs=tuple(inputs),
        shadows={name: found for name, found in shadows.items() if found.paths},
        queries=order.recipe.queries,
        training=_record(order, trained, len(made), shadows),
        coinciding=coincide,
    ), trained


def _record(
    order: TrainingOrder, trained: Trained, references: int, shadows: Mapping[str, ShadowModels]
) -> TrainingRecord:
    return TrainingRecord(
        recipe=order.recipe.model_dump(mode="json", exclude_defaults=True),
        mode="pool" if trained.mode == "executor" else trained.mode,  # the models are the same
        references_asked=order.wanted.references,
        references=references,
        shadows_asked=order.wanted.shadows,
        shadows=len(shadows["trained"].paths),
        pipelines_asked=order.wanted.pipelines,
        pipelines=len(shadows["unlearned"].paths),
    )


def _shadow_models(design: Design, trained: Trained, kind: str) -> ShadowModels:
    index = {name: int(name.split()[1]) for name in trained.paths if name.startswith(f"{kind} ")}
    member = np.array([design.coins(i) for i in index.values()], dtype=bool).reshape(len(index), len(design.units))
    return ShadowModels(
        paths={f"{kind}/{i}": trained.paths[name] for name, i in index.items()},
        keys={f"{kind}/{i}": trained.keys[name] for name, i in index.items()},
        digests={f"{kind}/{i}": trained.digests[name] for name, i in index.items()},
        member=member,
    )


def addresses_of(order: TrainingOrder, design: Design, key: bytes) -> Addresses:
    """Where the store keeps the models of an order."""
    sources = import_sources(order.recipe, order.factory)
    return Addresses(order.recipe, order.factory, sources, design.pool.canonical(), key)


def check_asked(wanted: TrainingSection) -> None:
    """Raises UsageError where nothing is to be trained."""
    if not wanted.asked:
        raise UsageError(
            "nothing to train: say how many with --train-references, --train-shadows or --train-pipelines."
        )
