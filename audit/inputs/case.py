"""Assemble a case: read every input, check everything, and report all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attacks.base import Bools, Case
from audit.errors import InputError
from audit.policy.policy import Policy
from audit.record.digest import load_or_create_key
from audit.record.result import ClaimRecord, InputRecord
from audit.record.run_records import TrainingRecord

from .config import Config
from .data import Arrays
from .given import REQUIRED_DATA, model_paths, outputs_only, probe_models, read_files, read_models
from .provenance import warm_starts
from .sets import Grants, Overlap, Selection, Sets, assign, drop_duplicates, infer_claim, shared_ids
from .targets import PrecomputedLabels, Target, TorchTarget

KEY_NAME = Path(".audit") / "project.key"


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
    bare = outputs_only(config)
    files = read_files(config, problems, need_inputs=not bare)
    models, digests = read_models(config, problems)
    if config.model.provenance == "exact":
        problems += warm_starts(models, config.claim.public_layers)
    n_classes = 0
    if "forget" in files:
        problems += shared_ids(files)
        n_classes = probe_models(models, files, problems)
        problems += _label_problems(files, n_classes)
    labels_only = any(isinstance(model, PrecomputedLabels) for model in models.values())
    grants: Grants = "labels" if labels_only else "logits" if bare else "features"
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
    files = read_files(config, problems, need_inputs=True)
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


def _row_shape(data: Arrays) -> tuple[int, ...] | None:
    return data.x.shape[1:] if isinstance(data.x, np.ndarray) else None
