"""What was given to be audited, each set and model a file or an object of a program. The configuration ends here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attacks.tasks import Truth, class_logits_of
from attacks.tasks import truth_of as task_truth

from .adapters.formats import OUTPUT_SUFFIXES, is_network
from .config import DATA_ROLES, ClaimSection, Config, Provenance
from .options import DataOptions, hook_of

#: a path, ``package.module:function``, or what `audit.inputs.held` takes: arrays, frames, data sets, loaders
DataSource = Any
Models = dict[str, Any]


@dataclass(frozen=True)
class Build:
    """How networks are built.

    Attributes:
        arch: ``package.module:factory`` of the untrained network, for files that hold weights alone.
        head: name of the final linear layer, where it cannot be found.
        device: where networks run.
        trust_pickle: model files may be unpickled, on the user's word.
        layers: modules whose outputs attacks read as hidden layers; () = found.
        unlearned_arch: the factory of the unlearned models, where theirs is another network.
        state_key: where the state dict stands in a checkpoint that holds several.
        output: name or position of the logits among several outputs.
        predict: ``package.module:function`` that asks a model which no library of ours loads.
        probabilities: outputs and answers of ``predict`` are probabilities, for nothing else is to be had.
        task: what outputs mean; "" = not declared: scores where outputs are scores, else classification.
        scores: directions of signals by name, and under ``lead`` which one leads: of scores alone.
    """

    arch: str | None = None
    head: str | None = None
    device: str = "cpu"
    trust_pickle: bool = False
    layers: tuple[str, ...] = ()
    unlearned_arch: str | None = None
    state_key: str | None = None
    output: str | None = None
    predict: str | None = None
    probabilities: bool = False
    task: str = ""
    scores: Mapping[str, str] = field(default_factory=dict)

    def arch_of(self, name: str) -> str | None:
        """The factory of one model, by its name in the run."""
        own = self.unlearned_arch if name.partition("/")[0] == "unlearned" else None
        return own or self.arch

    @property
    def class_logits(self) -> bool:
        """Outputs are logits of classes."""
        return class_logits_of(self.task)

    def decides(self) -> list[str]:
        """What else decides what a file's outputs and features are: part of the digests that name caches and runs."""
        said = {"output": self.output, "key": self.state_key, "predict": self.predict, "arch": self.unlearned_arch}
        found = [f"{name} {value}" for name, value in said.items() if value is not None]
        found += [f"task {self.task}"] if self.task not in ("", "classification", "scores") else []
        return [*found, "probabilities"] if self.probabilities else found


@dataclass(frozen=True, eq=False)
class Given:
    """Everything that was given, before any of it is read.

    Attributes:
        data: sets by role.
        models: ``unlearned``, ``original``, ``unlearned/1``, ..., ``retrained/0``, ...; each a file, a network, or a
            mapping of precomputed outputs with one array a set.
        build: how networks are built.
        claim: the declared claim.
        provenance: where the retrains come from.
        project: folder whose ``.audit/`` keeps the project key, which names runs and digests personal data.
        whole: one data set that ``indices`` divide, each a file or a list, by role; what none names is retained.
        options: how data sets are read.
    """

    data: Mapping[str, DataSource]
    models: Mapping[str, Any]
    build: Build
    claim: ClaimSection
    provenance: Provenance
    project: Path
    whole: DataSource | None = None
    indices: Mapping[str, Any] = field(default_factory=dict)
    options: DataOptions = field(default_factory=DataOptions)

    @property
    def outputs_only(self) -> bool:
        """Every model is given by its outputs alone."""
        return bool(self.models) and all(is_outputs(source) for source in self.models.values())

    @property
    def truth(self) -> Truth:
        """What the key ``y`` of the sets may hold, as far as is known before any model is read."""
        if self.build.task:
            return task_truth(self.build.task)
        return "optional" if self.outputs_only else "classes"

    @property
    def unlearned_is_network(self) -> bool:
        """The model to audit is a network, beside which others of its kind can be trained."""
        source = self.models.get("unlearned")
        if isinstance(source, Path):
            return is_network(source) and self.build.predict is None
        return source is not None and not is_outputs(source)


def is_outputs(source: object) -> bool:
    """A model that is given by its outputs alone: a file of that kind, or a mapping."""
    return source.suffix in OUTPUT_SUFFIXES if isinstance(source, Path) else isinstance(source, Mapping)


def named_models(unlearned: object, original: object, runs: Sequence[object], retrained: Sequence[object]) -> Models:
    """Models by their name in a run; None is not given."""
    found = {name: model for name, model in (("unlearned", unlearned), ("original", original)) if model is not None}
    found |= {f"unlearned/{i}": model for i, model in enumerate(runs, 1)}
    return found | {f"retrained/{i}": model for i, model in enumerate(retrained)}


def given_of(config: Config) -> Given:
    """The files that a configuration names."""
    section, data = config.model, {role: getattr(config.data, role) for role in DATA_ROLES}
    return Given(
        data={role: path for role, path in data.items() if path is not None},
        models=named_models(section.unlearned, section.original, section.runs, section.retrained),
        build=Build(
            section.arch,
            section.head,
            config.device,
            section.trust_pickle,
            section.layers,
            section.unlearned_arch,
            section.state_key,
            section.output,
            section.predict,
            section.probabilities,
            config.task or "",
            config.scores or {},
        ),
        claim=config.claim,
        provenance=section.provenance,
        project=_folder(config.data.forget or config.data.data),
        whole=config.data.data,
        indices=config.data.indices,
        options=config.data.options,
    )


def _folder(path: Path | None) -> Path:
    """The folder of the project: that of the forget set, or of the one data set, where it is a file."""
    return Path.cwd() if path is None or hook_of(path) is not None else path.parent
