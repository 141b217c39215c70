"""Assemble a case: read every input, check everything, and report all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attacks.base import Bools, Case, Floats

from .config import DATA_ROLES, Config
from .data import Arrays, read_data
from .digest import load_or_create_key
from .errors import AuditError, InputError
from .models import OUTPUT_SUFFIXES, check_device, load_model
from .policy import Policy
from .provenance import warm_starts
from .result import ClaimRecord, InputRecord
from .run_records import TrainingRecord
from .sets import Grants, Overlap, Selection, Sets, assign, drop_duplicates, infer_claim, shared_ids
from .targets import PrecomputedLabels, Target, TorchTarget

KEY_NAME = Path(".audit") / "project.key"
REQUIRED_DATA = ("forget", "retain", "test")
PROBE_ROWS = 8
#: our choice: logits of two honest retrains differ by far more than this (relative root mean square)
COPY_DISTANCE = 1e-3
BATCH_TOLERANCE = 1e-3  # our choice: relative difference between one batch and single rows (float32 networks)


@dataclass(frozen=True, eq=False)
class ShadowModels:
    """Stored shadow models of one design, with the rows that each was trained on.

    Attributes:
        paths: file of each model by its name in the run.
        keys: what its content depends on, as a digest.
        member: (S, n_F + n_H), forget rows first.
    """

    paths: Mapping[str, Path]
    keys: Mapping[str, str]
    member: Bools


@dataclass(frozen=True)
class LoadedCase:
    """Everything read and checked, before any compute is spent on attacks.

    Attributes:
        files: data by file role.
        fingerprints: keyed digest by file role.
        selection: rows of the files that make up each set.
        models: ``unlearned``, ``original`` (if given), ``retrained/0``, ...
        digests: file digest of each model.
        overlaps: duplicated content that was left out.
        shadows: shadow models by design (``trained``, ``unlearned``).
        queries: augmentation queries of the recipe.
        training: what this audit trained.
    """

    claim: ClaimRecord
    files: dict[str, Arrays]
    fingerprints: dict[str, str]
    selection: dict[str, Selection]
    models: dict[str, Target]
    digests: dict[str, str]
    inputs: tuple[InputRecord, ...]
    assumptions: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    n_classes: int
    shadows: Mapping[str, ShadowModels] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    training: TrainingRecord | None = None

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the retrained models."""
        return tuple(name for name in self.models if name.startswith("retrained/"))

    @property
    def sets(self) -> Sets:
        """Claim and rows of every set."""
        return Sets(self.claim, self.selection, self.assumptions)

    def attack_case(self) -> Case:
        """What the attacks see of it."""
        sets = {role: self.files[chosen.source].take(chosen.rows) for role, chosen in self.selection.items()}
        return Case(
            kind=self.claim.kind,
            classes=self.claim.classes,
            sets=sets,
            labels={role: data.y for role, data in sets.items()},
            n_classes=self.n_classes,
            queries=self.queries,
        )


def project_key(config: Config) -> bytes:
    """The per-project key that names runs and caches: beside the forget set, made when first needed."""
    assert config.data.forget is not None
    return load_or_create_key(config.data.forget.parent / KEY_NAME)


def load_case(config: Config, policy: Policy) -> LoadedCase:
    """Read and check all inputs.

    Raises:
        InputError: with every problem found, each with its remedy.
    """
    problems: list[str] = []
    outputs_only = _outputs_only(config)
    files = _read_files(config, problems, need_inputs=not outputs_only)
    models, digests = _read_models(config, problems)
    if config.model.provenance == "exact":
        problems += warm_starts(models, config.claim.public_layers)
    n_classes = 0
    if "forget" in files:
        problems += shared_ids(files)
        n_classes = _probe_models(models, files, problems)
        problems += _label_problems(files, n_classes)
    labels_only = any(isinstance(model, PrecomputedLabels) for model in models.values())
    grants: Grants = "labels" if labels_only else "logits" if outputs_only else "features"
    chosen = _choose_sets(config, policy, files, problems, grants)
    if problems or chosen is None:
        raise InputError(problems)
    sets, overlaps = chosen
    key = project_key(config)
    return LoadedCase(
        claim=sets.claim,
        files=files,
        fingerprints={role: data.fingerprint(key) for role, data in files.items()},
        selection=sets.selection,
        models=models,
        digests=digests,
        inputs=_records(config, files, models, digests),
        assumptions=sets.assumptions,
        overlaps=tuple(overlaps),
        n_classes=n_classes,
    )


def load_sets(config: Config, policy: Policy) -> tuple[dict[str, Arrays], Sets]:
    """The data files and the sets of the claim, without any model.

    Raises:
        InputError: with every problem found.
    """
    problems: list[str] = []
    files = _read_files(config, problems, need_inputs=True)
    if "forget" in files:
        problems += shared_ids(files)
    chosen = _choose_sets(config, policy, files, problems, "features")
    if problems or chosen is None:
        raise InputError(problems)
    return files, chosen[0]


def _choose_sets(
    config: Config, policy: Policy, files: dict[str, Arrays], problems: list[str], grants: Grants
) -> tuple[Sets, list[Overlap]] | None:
    """The claim and the rows of its sets; None where a file that this needs is missing."""
    if any(role not in files for role in REQUIRED_DATA):
        return None
    claim, found = infer_claim(config.claim, files, grants=grants, provenance=config.model.provenance)
    problems += found
    sets, overlaps = drop_duplicates(assign(claim, files), files)
    problems += _overlap_problems(overlaps, policy)
    for role in ("forget", "holdout", "test"):
        if len(sets.selection[role].rows) == 0:
            problems.append(f"no usable row is left for the {role} set: give a {role} set with new examples")
    return sets, overlaps


def _label_problems(files: dict[str, Arrays], n_classes: int) -> list[str]:
    return [
        f"labels of the {role} set run from {data.y.min()} to {data.y.max()}, the model has {n_classes} classes: use "
        f"labels from 0 to {n_classes - 1}"
        for role, data in files.items()
        if n_classes and (data.y.min() < 0 or data.y.max() >= n_classes)
    ]


def model_paths(config: Config) -> dict[str, Path]:
    """Path of each given model by name."""
    named = {"unlearned": config.model.unlearned, "original": config.model.original}
    paths = {name: path for name, path in named.items() if path is not None}
    paths |= {f"unlearned/{i}": path for i, path in enumerate(config.model.runs, 1)}
    return paths | {f"retrained/{i}": path for i, path in enumerate(config.model.retrained)}


def copies(logits: dict[str, Floats]) -> list[str]:
    """Problems: pairs among the models that compute the same function, where they must be independent: every
    reference from every other model, and every further unlearned run from the other runs.

    Args:
        logits: model name -> logits on the same rows, (n, C).
    """
    problems = []
    runs = [name for name in logits if name.startswith("unlearned/")]
    names = [name for name in logits if name.startswith("retrained/")]
    must = "a reference must be an independent retrain from scratch with a seed of its own; remove or retrain it"
    again = "a further unlearned run needs a seed of its own; remove it or run the procedure again"
    pairs = [
        (name, other, must) for i, name in enumerate(names) for other in ["original", "unlearned", *runs, *names[:i]]
    ]
    pairs += [(name, other, again) for i, name in enumerate(runs) for other in ["original", "unlearned", *runs[:i]]]
    for name, other, remedy in pairs:
        if other in logits and _distance(logits[name], logits[other]) < COPY_DISTANCE:
            problems.append(f"{name} computes the same function as {other}: {remedy}")
    return problems


def _distance(a: Floats, b: Floats) -> float:
    """Root mean square difference of centred logits, relative to their spread."""
    a, b = (z - z.mean(axis=1, keepdims=True) for z in (a, b))
    return float(np.sqrt(((a - b) ** 2).mean()) / max(float(a.std()), 1e-12))


def _outputs_only(config: Config) -> bool:
    suffixes = {path.suffix for path in model_paths(config).values()}
    return bool(suffixes) and suffixes <= set(OUTPUT_SUFFIXES)


def _read_files(config: Config, problems: list[str], *, need_inputs: bool) -> dict[str, Arrays]:
    files: dict[str, Arrays] = {}
    for role in DATA_ROLES:
        path = getattr(config.data, role)
        if path is None:
            if role in REQUIRED_DATA:
                problems.append(f"no {role} set: pass --{role} FILE.npz or put {role}.npz beside the forget set")
            continue
        try:
            files[role] = read_data(path, need_inputs=need_inputs)
        except ValueError as error:
            problems += str(error).splitlines()
    layouts = {role: _layout(data) for role, data in files.items() if data.x is not None}
    if len(set(layouts.values())) > 1:
        listed = "; ".join(f"{role}: {layout}" for role, layout in layouts.items())
        problems.append(f"the sets have inputs of different forms ({listed}): preprocess them alike")
    return files


def _layout(data: Arrays) -> str:
    """Names, shape and kind of the inputs of a row, in words."""
    parts = data.x if isinstance(data.x, Mapping) else {"x": data.x}
    kinds = {"f": "floats"}
    return ", ".join(
        f"{name} {array.shape[1:]} {kinds.get(array.dtype.kind, 'integers')}"
        for name, array in sorted(parts.items())
        if array is not None
    )


def _row_shape(data: Arrays) -> tuple[int, ...] | None:
    return data.x.shape[1:] if isinstance(data.x, np.ndarray) else None


def _read_models(config: Config, problems: list[str]) -> tuple[dict[str, Target], dict[str, str]]:
    models: dict[str, Target] = {}
    digests: dict[str, str] = {}
    paths = model_paths(config)
    if "unlearned" not in paths:
        problems.append("no unlearned model: pass --unlearned FILE or put unlearned.* beside the forget set")
    section = config.model
    try:
        check_device(config.device)
    except ValueError as error:
        problems.append(str(error))
        return models, digests
    for name, path in paths.items():
        try:
            models[name], digests[name] = load_model(
                path, arch=section.arch, device=config.device, head=section.head, trust_pickle=section.trust_pickle
            )
        except ValueError as error:
            if str(error) not in problems:
                problems.append(str(error))
    kinds = {isinstance(model, TorchTarget) for model in models.values()}
    if len(kinds) > 1:
        problems.append("some models are networks and some precomputed outputs: give all in one form")
    return models, digests


def _probe_models(models: dict[str, Target], files: dict[str, Arrays], problems: list[str]) -> int:
    """Run a few rows through every model; return the number of classes (0 where no model ran)."""
    rows = files["forget"].take(np.arange(min(PROBE_ROWS, len(files["forget"]))))
    widths: dict[str, int] = {}
    found: dict[str, list[str]] = {}  # one problem of many models is one line
    for name, model in models.items():
        if not isinstance(model, TorchTarget):
            for role, data in files.items():
                try:
                    logits = model.outputs(role, data, 1)[0]
                    widths[name] = logits.shape[1]
                    if not isinstance(model, PrecomputedLabels):
                        _refuse_probabilities(logits)
                except ValueError as error:
                    found.setdefault(str(error), []).append(name)
            continue
        try:
            widths[name] = _probe_network(model, rows)
        except AuditError:
            raise
        except ValueError as error:
            found.setdefault(_first_line(error), []).append(name)
        except Exception as error:  # noqa: BLE001 - the user's forward pass may raise anything
            text = (
                f"the model rejects inputs of {_layout(rows)} ({type(error).__name__}: {_first_line(error)}): "
                "preprocess the inputs as in training"
            )
            found.setdefault(text, []).append(name)
    problems += [f"{', '.join(names)}: {text}" for text, names in found.items()]
    if len(set(widths.values())) > 1:
        problems.append(f"the models have different numbers of classes ({widths}): give models of one task")
    return max(widths.values(), default=0)


def _probe_network(model: TorchTarget, rows: Arrays) -> int:
    if any(module.training for module in model.module.modules()):
        raise ValueError("it is in training mode: call model.eval() before saving it")
    index = np.arange(len(rows))
    model.check_output(rows.batch(index))
    logits, _ = model.call(rows.batch(index))
    _refuse_probabilities(logits)
    singles = np.concatenate([model.call(rows.batch(index[i : i + 1]))[0] for i in index])
    scale = max(float(np.abs(logits).max()), 1e-6)
    if np.abs(singles - logits).max() > BATCH_TOLERANCE * scale:
        raise ValueError(
            "its output for a row depends on the other rows of the batch: it normalises by batch statistics; use "
            "running statistics"
        )
    return int(logits.shape[1])


def _refuse_probabilities(logits: Floats) -> None:
    """Probabilities in place of logits: rounding and the missing logarithm blind the membership attacks."""
    inside = bool((logits >= 0).all() and (logits <= 1).all())
    if inside and (np.abs(logits.sum(axis=1) - 1) < 1e-3).all() and len(np.unique(logits)) > 1:
        raise ValueError(
            "its outputs are probabilities (rows between 0 and 1 that sum to 1): give logits or log-probabilities"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _overlap_problems(overlaps: list[Overlap], policy: Policy) -> list[str]:
    return [
        f"{o.dropped} of {o.total} {o.role} rows have the same content as {o.other} rows (more than the policy's "
        f"{policy.overlap_share:.0%}): remove them from one of the two sets"
        for o in overlaps
        if o.other != o.role and o.dropped > policy.overlap_share * o.total
    ]


def _records(
    config: Config, files: dict[str, Arrays], models: dict[str, Target], digests: dict[str, str]
) -> tuple[InputRecord, ...]:
    data = [
        InputRecord(
            role=role,
            name=Path(getattr(config.data, role)).name,
            kind="data",
            rows=len(arrays),
            shape=_row_shape(arrays),
        )
        for role, arrays in files.items()
    ]
    trusted = "loaded as a pickle, on the user's word" if config.model.trust_pickle else ""
    return (
        *data,
        *(
            InputRecord(
                role=name,
                name=path.name,
                kind="model" if isinstance(models[name], TorchTarget) else "outputs",
                sha256=digests[name],
                note=trusted,
            )
            for name, path in model_paths(config).items()
        ),
    )
