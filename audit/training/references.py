"""Train what a run lacks: references, shadow models and unlearned pipelines, by the user's recipe."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audit.errors import CouldNotRun, UsageError
from audit.inputs.case import LoadedCase, ShadowModels, load_sets, project_key
from audit.inputs.config import Config
from audit.inputs.data import Arrays
from audit.inputs.models import OUTPUT_SUFFIXES, load_model
from audit.inputs.sets import Selection, Sets
from audit.policy.policy import Policy, load_policy
from audit.record.result import InputRecord
from audit.record.run_records import TrainingRecord
from audit.record.rundir import RunDir, write_bytes
from audit.statistics.sample_size import detectable_shift

from .hooks import import_sources
from .jobs import MODES, Addresses, Job
from .service import Trained, estimate, train_models
from .session import Progress
from .shadows import Design, make_design
from .store import Store

STORE = Path(".audit") / "store"
SHADOW_LIST = "shadows.json"
MIN_SHADOWS = 16  # what the attacks on shadow models need
CLASS_SHADOWS = "shadow models tell rows apart and decide nothing about a class: drop --train-shadows/--train-pipelines"


def silent(_progress: Progress) -> None:
    """Ignore progress."""


def open_store(config: Config) -> Store:
    """The store of trained models: ``--store``, else ``.audit/store`` beside the forget set."""
    assert config.data.forget is not None
    return Store(config.training.store or config.data.forget.parent / STORE)


def wanted_jobs(config: Config, design: Design) -> list[Job]:
    """Everything that the configuration asks for, references first: a budget ends shadows before references."""
    training = config.training
    references = training.references
    if training.max_references is not None:
        references = min(references, training.max_references)
    return [
        *(design.reference(i) for i in range(references)),
        *(design.shadow(i) for i in range(training.shadows)),
        *(design.pipeline(i) for i in range(training.pipelines)),
    ]


def check_training(config: Config, kind: str) -> None:
    """What training needs and the configuration lacks.

    Raises:
        UsageError: with every problem and its remedy.
    """
    training, recipe = config.training, config.recipe
    if not training.asked:
        return
    problems = []
    if not recipe.defined:
        problems.append(
            "training needs to know how: describe it in [recipe] of audit.toml (`audit init` shows the keys)"
        )
    if config.model.arch is None:
        problems.append("training needs the function that builds the untrained model: name it with --arch")
    if config.model.unlearned is not None and config.model.unlearned.suffix in OUTPUT_SUFFIXES:
        problems.append("models cannot be trained beside precomputed outputs: give networks (.safetensors, .pt)")
    if training.pipelines and recipe.unlearn is None:
        problems.append('--train-pipelines needs your procedure: set unlearn = "package.module:unlearn" in [recipe]')
    if kind == "class" and (training.shadows or training.pipelines):
        problems.append(CLASS_SHADOWS)
    if problems:
        raise UsageError("; ".join(problems) + ".")


def train(
    config: Config,
    files: Mapping[str, Arrays],
    selection: Mapping[str, Selection],
    notify: Callable[[Progress], None] = silent,
) -> tuple[Design, Sequence[Job], Trained]:
    """Train what is not in the store yet.

    Raises:
        CouldNotRun: a model could not be trained; those that could are kept.
        UsageError: the user's own function cannot be used.
    """
    assert config.model.arch is not None
    design = make_design(files, selection, config.seed)
    jobs = wanted_jobs(config, design)
    minutes = config.training.max_minutes
    trained = train_models(
        config.recipe,
        config.model.arch,
        design.pool,
        jobs,
        open_store(config),
        key=project_key(config),
        device=config.device,
        deadline=None if minutes is None else time.monotonic() + 60 * minutes,
        notify=notify,
    )
    if trained.failed:
        lines = "\n".join(f"  {text}" for text in trained.failed.values())
        kept = f"({len(trained.paths)} are kept)"
        raise CouldNotRun(f"{len(trained.failed)} of {len(jobs)} models could not be trained {kept}:\n{lines}")
    return design, jobs, trained


def with_trained(
    config: Config, case: LoadedCase, notify: Callable[[Progress], None] = silent
) -> tuple[LoadedCase, Trained]:
    """The case with the references and shadow models that the configuration asks for.

    Raises:
        UsageError, CouldNotRun: see ``train``.
    """
    design, _, trained = train(config, case.files, case.selection, notify)
    first = len(case.references)
    models, digests, inputs = dict(case.models), dict(case.digests), list(case.inputs)
    found = [path for name, path in trained.paths.items() if name.startswith("reference ")]
    section = config.model
    for i, path in enumerate(found, first):
        name = f"retrained/{i}"
        models[name], digests[name] = load_model(
            path, arch=section.arch, device=config.device, head=section.head, trust_pickle=False
        )
        inputs.append(
            InputRecord(
                role=name,
                name=f"trained-{i - first:03}",
                kind="model",
                sha256=digests[name],
                note="trained by this audit",
            )
        )
    shadows = {
        "trained": _shadow_models(design, trained, "shadow"),
        "unlearned": _shadow_models(design, trained, "pipeline"),
    }
    record = TrainingRecord(
        recipe=config.recipe.model_dump(mode="json", exclude_defaults=True),
        mode=trained.mode,
        references_asked=config.training.references,
        references=len(found),
        shadows_asked=config.training.shadows,
        shadows=len(shadows["trained"].paths),
        pipelines_asked=config.training.pipelines,
        pipelines=len(shadows["unlearned"].paths),
    )
    return replace(
        case,
        models=models,
        digests=digests,
        inputs=tuple(inputs),
        shadows={name: found for name, found in shadows.items() if found.paths},
        queries=config.recipe.queries,
        training=record,
    ), trained


def _shadow_models(design: Design, trained: Trained, kind: str) -> ShadowModels:
    index = {name: int(name.split()[1]) for name in trained.paths if name.startswith(f"{kind} ")}
    member = np.array([design.coins(i) for i in index.values()], dtype=bool).reshape(len(index), len(design.units))
    return ShadowModels(
        paths={f"{kind}/{i}": trained.paths[name] for name, i in index.items()},
        keys={f"{kind}/{i}": trained.keys[name] for name, i in index.items()},
        member=member,
    )


def train_for(config: Config, notify: Callable[[Progress], None] = silent) -> Trained:
    """Train what the configuration asks for, without any model to audit.

    Raises:
        InputError, UsageError, CouldNotRun: see their messages.
    """
    files, sets = load_sets(config, load_policy(config.policy)[0])
    check_asked(config)
    check_training(config, sets.claim.kind)
    return train(config, files, sets.selection, notify)[2]


def training_plan(config: Config) -> list[str]:
    """``training_lines`` without any model to audit."""
    policy = load_policy(config.policy)[0]
    files, sets = load_sets(config, policy)
    check_asked(config)
    check_training(config, sets.claim.kind)
    return training_lines(config, files, sets, policy)


def check_asked(config: Config) -> None:
    """Raises UsageError where nothing is to be trained."""
    if not config.training.asked:
        raise UsageError(
            "nothing to train: say how many with --train-references, --train-shadows or --train-pipelines."
        )


def training_lines(config: Config, files: Mapping[str, Arrays], sets: Sets, policy: Policy) -> list[str]:
    """How many models, what they cost and what they buy, in lines."""
    assert config.model.arch is not None
    design = make_design(files, sets.selection, config.seed)
    jobs = wanted_jobs(config, design)
    cost = estimate(config.recipe, config.model.arch, design.pool, jobs, device=config.device)
    held = _held(config, design, jobs)
    seconds = cost.seconds.get(cost.mode)
    price = (
        "not known before the first model is trained"
        if seconds is None
        else f"about {seconds * (len(jobs) - held):.0f} s"
    )
    training = config.training
    counts = {"references": training.references, "shadow models": training.shadows, "pipelines": training.pipelines}
    asked = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return [
        f"training: {asked}; {held} of {len(jobs)} are in the store",
        f"  cost: {price} ({cost.why})",
        *(f"  {line}" for line in _bought(config, sets, policy)),
    ]


def _held(config: Config, design: Design, jobs: Sequence[Job]) -> int:
    """How many of the models are there already, in the mode that has most."""
    addresses = _addresses(config, design)
    store = open_store(config)
    return max(sum(store.has(addresses.of(job, mode)) for job in jobs) for mode in MODES)


def _addresses(config: Config, design: Design) -> Addresses:
    assert config.model.arch is not None
    sources = import_sources(config.recipe, config.model.arch)
    return Addresses(config.recipe, config.model.arch, sources, design.pool.canonical(), project_key(config))


def _bought(config: Config, sets: Sets, policy: Policy) -> list[str]:
    kind = sets.claim.kind
    have = len(config.model.retrained)
    total = have + config.training.references
    needed = policy.references_t_class if kind == "class" else policy.references_t
    lines = []
    for count in sorted({total, policy.references_assumed_split, needed, policy.references_rank}):
        mark = " <- with this plan" if count == total else ""
        lines.append(f"{count:>3} references: {_power(count, kind, policy)}{mark}")
    if config.training.shadows:
        lines.append(_shadow_line(config.training.shadows, "online LiRA, online RMIA and the shadow-model attacks"))
    if config.training.pipelines:
        lines.append(_shadow_line(config.training.pipelines, "U-LiRA against your own procedure"))
    return lines


def _power(references: int, kind: str, policy: Policy) -> str:
    parts = []
    if kind != "class" and references >= policy.references_assumed_split:
        parts.append("rows can be compared on an assumed split (D2)")
    if references >= (policy.references_t_class if kind == "class" else policy.references_t):
        size = detectable_shift(references, policy.alpha)
        test = "exact rank test" if references >= policy.references_rank else "t"
        parts.append(f"models can be compared (D1, {test}): a shift of {size:.1f} seed sd shows with power .8")
    return "; ".join(parts) or "no comparison of models"


def _shadow_line(count: int, what: str) -> str:
    """Half of the shadow models hold a row, half do not."""
    if count < MIN_SHADOWS:
        return f"{count:>3} shadow models: too few for {what}, which need {MIN_SHADOWS}"
    return f"{count:>3} shadow models: {what}, about {count // 2} models with and {count // 2} without each row"


def remember_shadows(run: RunDir, config: Config, case: LoadedCase) -> None:
    """Note in ``private/`` which models of the store were trained on forget rows, so that a purge finds them."""
    keys = {key for found in case.shadows.values() for key in found.keys.values()}
    if "unlearned" in case.shadows:  # and what the pipelines were before they unlearned
        design = make_design(case.files, case.selection, config.seed)
        addresses = _addresses(config, design)
        pipelines = [design.pipeline(i) for i in range(config.training.pipelines)]
        keys |= {addresses.trained(job, mode) for job in pipelines for mode in MODES}
    if keys:
        document = {"store": str(open_store(config).folder), "keys": sorted(keys)}
        write_bytes(run.private / SHADOW_LIST, json.dumps(document, sort_keys=True).encode())


def destroy_shadows(run: RunDir) -> int:
    """Remove the shadow models of a run from the store; return how many it had."""
    try:
        document = json.loads((run.private / SHADOW_LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    if Path(document["store"]).is_dir():
        store = Store(Path(document["store"]))
        held = [key for key in document["keys"] if store.path(key).is_file()]
        store.discard(held)
        return len(held)
    return 0
