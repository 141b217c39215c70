"""Assemble a case: read every input, check everything, and report all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from attacks.base import Bools, Case
from attacks.tasks import Scores, Task, Truth, by_scores, task_named, truth_of
from audit.errors import InputError
from audit.record.digest import load_or_create_key
from audit.record.identical import CoincidingRecord
from audit.record.inputs import ClaimRecord, InputRecord
from audit.record.run_records import TrainingRecord

from .class_names import number_models
from .concepts import concept_problems, of_the_task
from .data import Arrays
from .given import Build, Given
from .grants import granted, too_little
from .labels import settled
from .listed import by_content, input_records, loading_lines, no_names, unnamed
from .probing import probe_models
from .provenance import warm_starts
from .reading import read_models
from .scores import FORM, StoredScores, common_queries, left_out_words, scores_of
from .set_files import REQUIRED_DATA, ReadSets, read_sets
from .sets import Grants, Overlap, Selection, Sets, assign, drop_duplicates, infer_claim, shared_ids
from .targets import Target
from .token_rows import judged_words, token_problems

KEY_NAME = Path(".audit") / "project.key"


@dataclass(frozen=True, eq=False)
class ShadowModels:
    """Stored shadow models of one design, with the rows that each was trained on.

    Attributes:
        paths: file of each model by its name in the run.
        keys: what its content depends on, as a digest.
        digests: SHA-256 of the file of each, as it was when it was found sound.
        member: (S, n_F + n_H), forget rows first.
    """

    paths: Mapping[str, Path]
    keys: Mapping[str, str]
    digests: Mapping[str, str]
    member: Bools


@dataclass(frozen=True)
class LoadedCase:
    """Everything read and checked, before any compute is spent on attacks.

    Attributes:
        files: data by file role.
        fingerprints: keyed digest by file role.
        selection: rows of the files that make up each set.
        models: ``unlearned``, ``original`` (if given), ``retrained/0``, ...
        digests: digest of each model: of its file, or of the state of one that a program holds.
        overlaps: duplicated content that was left out.
        shadows: shadow models by design (``trained``, ``unlearned``).
        queries: augmentation queries of the recipe.
        training: what this audit trained.
        coinciding: references that this audit trained and that coincide: one of them is kept.
        key: the project key, which names runs and caches.
        build: how networks are built.
        task: what outputs mean.
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
    key: bytes
    build: Build
    shadows: Mapping[str, ShadowModels] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    training: TrainingRecord | None = None
    coinciding: CoincidingRecord | None = None
    task: Task = field(default_factory=lambda: task_named("classification"))

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the retrained models."""
        return tuple(name for name in self.models if name.startswith("retrained/"))

    @property
    def sets(self) -> Sets:
        """Claim and rows of every set."""
        return Sets(self.claim, self.selection, self.assumptions)

    @property
    def architectures(self) -> dict[str, str]:
        """Digest of the code of each network that a program holds; files are built by ``build.arch``."""
        found = {name: getattr(model, "architecture", "") for name, model in self.models.items()}
        return {name: digest for name, digest in found.items() if digest}

    @property
    def unnamed(self) -> dict[str, str]:
        """Models that nothing can be certified about, each with the reason."""
        return unnamed(self.models)

    def rows_of(self, role: str) -> Arrays:
        """The rows of one set."""
        return self.files[self.selection[role].source].take(self.selection[role].rows)

    def attack_case(self) -> Case:
        """What the attacks see of it."""
        sets = {role: self.rows_of(role) for role in self.selection}
        return Case(
            kind=self.claim.kind,
            classes=self.claim.classes,
            sets=sets,
            labels={role: data.y for role, data in sets.items()},
            n_classes=self.n_classes,
            queries=self.queries,
            task=self.task,
            targets={role: data.targets for role, data in sets.items() if data.targets is not None},
        )


def load_case(given: Given, overlap_share: float) -> LoadedCase:
    """Read and check all inputs.

    Args:
        given: what is to be audited.
        overlap_share: more duplicated rows than this share of a set are refused (a threshold of the policy).

    Raises:
        InputError: with every problem found, each with its remedy.
    """
    problems: list[str] = []
    bare = given.outputs_only
    wrong_models: list[str] = []
    models, digests = read_models(given.models, given.build, wrong_models)
    task = _task(given, models, wrong_models)
    _check_claim(given.claim.kind, task)
    if given.build.probabilities and not task.class_logits:
        problems.append(f"--probabilities has no meaning for {task.name}: give {task.words}")
    read = _read(given, problems, need_inputs=not bare, truth=task.truth if models else given.truth)
    files, said = read.files, [*read.said, *task.said(), *left_out_words(given.build.scores)]
    problems += wrong_models
    if given.provenance == "exact":
        problems += warm_starts(models, given.claim.public_layers)
    n_classes = 0
    if "forget" in files:
        problems += shared_ids(files)
        mine = of_the_task(files)
        if not problems and task.class_logits:
            said += number_models(models, read.named, problems)
        odd = token_problems(mine) if task.reads_tokens else []
        problems += odd
        if task.reads_tokens and not odd:
            said += [f"judged tokens of a row: {role} {judged_words(data)}" for role, data in mine.items()]
        n_classes = 0 if odd else probe_models(models, mine, problems)
        named = 0 if problems else len(read.named)  # names are counted where all sets were read
        if task.class_logits:
            labels, notes, wrong = settled({role: data.y for role, data in mine.items()}, n_classes, named)
            files |= {role: replace(files[role], y=y) for role, y in labels.items()}
            said += notes
            problems += wrong
        problems += task.misfits(n_classes, {role: data.targets for role, data in mine.items()})
        problems += concept_problems(files, models)
    problems += too_little(models, given.claim.access)
    grants = granted(models) if models else "logits" if bare else "features"
    chosen = _choose_sets(given, overlap_share, files, problems, grants)
    if problems or chosen is None:
        raise InputError(problems)
    sets, overlaps = chosen
    _check_claim(sets.claim.kind, task)
    names = by_content(digests)
    given = replace(given, models={new: given.models[old] for old, new in names.items()})
    models = {new: models[old] for old, new in names.items()}
    digests = {new: digests[old] for old, new in names.items()}
    key = project_key(given.project)
    return LoadedCase(
        claim=sets.claim,
        files=files,
        fingerprints={role: data.fingerprint(key) for role, data in files.items()},
        selection=sets.selection,
        models=models,
        digests=digests,
        inputs=input_records(given, files, models, digests),
        assumptions=(*said, *loading_lines(models, given.build), *sets.assumptions, *no_names(models)),
        overlaps=tuple(overlaps),
        n_classes=n_classes,
        key=key,
        build=given.build,
        queries=_queries(models, sets),
        task=task,
    )


def _task(given: Given, models: Mapping[str, Target], problems: list[str]) -> Task:
    """What the outputs of the models mean: scores where they are, else what was declared."""
    scores = scores_of(models, problems)
    if scores:
        first = next(iter(scores.values()))
        return Scores(first.declared or {}, with_features=all(model.with_features for model in scores.values()))
    declared = given.build.task or "classification"
    if by_scores(declared):
        if models:
            problems.append(f"the task is scores, and no model is given by scores: save {FORM} in an .npz file a model")
        return Scores({"nll": "lower"})
    return task_named(declared)


def _check_claim(kind: str | None, task: Task) -> None:
    if kind is not None and kind not in task.claims:
        allowed = " or ".join(sorted(task.claims))
        raise InputError([f"a {kind} claim has no meaning for {task.name}: claim {allowed} (--claim)"])


def _queries(models: Mapping[str, Target], sets: Sets) -> tuple[str, ...]:
    """Changes of the inputs that stored scores answer."""
    scores = [model for model in models.values() if isinstance(model, StoredScores)]
    return common_queries(scores, [sets.selection[role].source for role in ("forget", "holdout")])


def load_sets(given: Given, overlap_share: float) -> tuple[dict[str, Arrays], Sets]:
    """The data files and the sets of the claim, without any model.

    Raises:
        InputError: with every problem found.
    """
    problems: list[str] = []
    truth: Truth = truth_of(given.build.task or "classification")
    read = _read(given, problems, need_inputs=True, truth=truth)
    files = read.files
    if "forget" in files:
        problems += shared_ids(files)
        if (
            truth == "classes"
            and not read.named
            and min(int(data.y.min()) for data in of_the_task(files).values()) == 1
        ):
            problems.append(
                "labels start at 1, and no model is here to say whether 1 is its first output: save labels from 0, or "
                "name the classes in the order of the outputs: [data] classes = [...]"
            )
    chosen = _choose_sets(given, overlap_share, files, problems, "features")
    if problems or chosen is None:
        raise InputError(problems)
    return files, chosen[0]


def project_key(project: Path) -> bytes:
    """The per-project key that names runs and caches: in ``.audit/`` of the project folder, made when first needed."""
    return load_or_create_key(project / KEY_NAME)


def _choose_sets(
    given: Given, overlap_share: float, files: dict[str, Arrays], problems: list[str], grants: Grants
) -> tuple[Sets, list[Overlap]] | None:
    """The claim and the rows of its sets; None where a file that this needs is missing."""
    if any(role not in files for role in REQUIRED_DATA) or not {"test", "holdout"} & files.keys():
        return None
    claim, found = infer_claim(given.claim, files, grants=grants, provenance=given.provenance)
    problems += found
    sets, overlaps = drop_duplicates(assign(claim, files), files)
    problems += _overlap_problems(overlaps, overlap_share)
    for role in ("forget", "holdout", "test"):
        if len(sets.selection[role].rows) == 0:
            problems.append(f"no usable row is left for the {role} set: give a {role} set with new examples")
    return sets, overlaps


def _read(given: Given, problems: list[str], *, need_inputs: bool, truth: Truth) -> ReadSets:
    return read_sets(
        given.data,
        problems,
        need_inputs=need_inputs,
        whole=given.whole,
        indices=given.indices,
        options=given.options,
        truth=truth,
    )


def _overlap_problems(overlaps: list[Overlap], share: float) -> list[str]:
    return [
        f"{o.dropped} of {o.total} {o.role} rows have the same content as {o.other} rows (more than the policy's "
        f"{share:.0%}): remove them from one of the two sets"
        for o in overlaps
        if o.other != o.role and o.dropped > share * o.total
    ]
