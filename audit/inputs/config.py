"""The schema of ``audit.toml``: what can be configured, with defaults. How it is merged: `audit.inputs.resolve`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .options import DataOptions
from .recipe import RecipeSection

DATA_ROLES = ("forget", "retain", "holdout", "test", "auxiliary", "concepts")
INDEX_ROLES = ("forget", "retain", "holdout", "test")  # sets that an index list may name in one data set

EXECUTORS = ("ray", "ray://host:port", "dask", "tcp://host:port")
Effort = Literal["quick", "standard", "thorough"]
Provenance = Literal["exact", "checkpoint", "surrogate"]
TaskName = Literal["classification", "multilabel", "regression", "scores", "causal-lm"]


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def listed(value: object) -> object:
    """``a,b`` is two names, in a list or alone."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        return value
    return [part.strip() for item in items for part in str(item).split(",") if part.strip()]


class DataSection(Section):
    """Paths of the data sets, or of one and of index lists, and how they are read (``DataOptions``)."""

    forget: Path | None = None
    retain: Path | None = None
    holdout: Path | None = None
    test: Path | None = None
    auxiliary: Path | None = None
    concepts: Path | None = None
    data: Path | None = None
    forget_index: Path | None = None
    retain_index: Path | None = None
    holdout_index: Path | None = None
    test_index: Path | None = None
    label: str | None = None
    inputs: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = {}
    encoding: Literal["one-hot", "codes"] = "one-hot"
    classes: tuple[str | int, ...] = ()
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    mean: tuple[float, ...] = ()
    std: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    channels: Literal["first", "last"] | None = None
    size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]] | None = None
    preprocess: str | None = None

    @field_validator("classes", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """``a,b`` is two names."""
        return listed(value) if isinstance(value, str) else value

    @property
    def indices(self) -> dict[str, Path]:
        """Index lists by role."""
        found = {role: getattr(self, f"{role}_index") for role in INDEX_ROLES}
        return {role: path for role, path in found.items() if path is not None}

    @property
    def options(self) -> DataOptions:
        """How sets are read."""
        return DataOptions(**{item.name: getattr(self, item.name) for item in fields(DataOptions)})


class ModelSection(Section):
    """Paths of the models and how to build them."""

    arch: str | None = None
    unlearned_arch: str | None = None
    state_key: str | None = None
    output: str | None = None
    head: str | None = None
    predict: str | None = None
    probabilities: bool = False
    layers: tuple[str, ...] = ()
    original: Path | None = None
    unlearned: Path | None = None
    retrained: tuple[Path, ...] = ()
    provenance: Provenance = "exact"
    runs: tuple[Path, ...] = ()
    trust_pickle: bool = False

    @field_validator("layers", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """``a,b`` is two names."""
        return listed(value)

    @field_validator("output", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """A position, written as a number, is a name like any other."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class TrainingSection(Section):
    """What the audit trains itself."""

    references: int = Field(default=0, ge=0)
    shadows: int = Field(default=0, ge=0)
    pipelines: int = Field(default=0, ge=0)
    max_minutes: float | None = Field(default=None, gt=0)
    max_references: int | None = Field(default=None, ge=0)
    store: Path | None = None

    @property
    def asked(self) -> bool:
        """Anything is to be trained."""
        return bool(self.references or self.shadows or self.pipelines)

    @property
    def designs(self) -> frozenset[str]:
        """Designs of the shadow models that are to be trained (``attacks.base.Design``)."""
        counts = {"trained": self.shadows, "unlearned": self.pipelines}
        return frozenset(design for design, count in counts.items() if count)


class AttacksSection(Section):
    """Which attacks run, and with which parameters."""

    run: tuple[str, ...] = Field(default=("gated",), min_length=1)
    skip: tuple[str, ...] = ()
    effort: Effort = "standard"
    include_samples: bool = False
    parameters: dict[str, dict[str, bool | int | float | str]] = {}

    @field_validator("run", "skip", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """``a,b`` is two names."""
        return listed(value)


class ClaimSection(Section):
    """The declared claim; None = inferred."""

    kind: Literal["random", "class", "subject", "other"] | None = None
    split: Literal["attested", "coins", "assumed", "unknown"] | None = None
    access: Literal["labels", "logits", "features", "weights"] | None = None
    public_layers: tuple[str, ...] = ()
    strata: Literal["none", "label"] = "none"
    release: Literal["internal", "labels", "logits", "features", "weights"] | None = None
    ledger: Path | None = None


class EngineSection(Section):
    """Where work units run: in this process, in others of this machine, or on a cluster."""

    executor: str = ""
    workers: int | None = Field(default=None, ge=1)

    @field_validator("executor")
    @classmethod
    def _known(cls, value: str) -> str:
        """One of those that there are."""
        if value and value not in ("ray", "dask") and not value.startswith(("ray://", "tcp://")):
            raise ValueError(f"choose one of {', '.join(EXECUTORS)}")
        return value


class CertificateSection(Section):
    """Who signs."""

    sign_key: Path | None = None
    signer_name: str = "not named"
    signer_role: str = "not stated"


class Config(Section):
    """The resolved configuration of one audit."""

    policy: str = "standard"
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    out: Path = Path("runs")
    batch_size: int = Field(default=512, ge=1)
    task: TaskName | None = None
    scores: dict[str, str] | None = None
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    recipe: RecipeSection = RecipeSection()
    training: TrainingSection = TrainingSection()
    attacks: AttacksSection = AttacksSection()
    claim: ClaimSection = ClaimSection()
    engine: EngineSection = EngineSection()
    certificate: CertificateSection = CertificateSection()
