"""Policies: every threshold of the audit, in a file that a compliance owner can review."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from audit.errors import UsageError, wrong_values
from audit.record.readonce import read_once
from audit.record.toml import LONGEST, parse_toml

from .primaries import COMPOSITE, KINDS, LEVELS, Kind, Level, Primaries, Table, first_edition, wrong_primaries

BUILT_IN = ("screening", "standard", "strict")
#: by the name that loads them; those of an earlier version stay, so that certificates under them can be verified
EARLIER = (1, 2, 3)
PRESENT = 4  #: version of those without a number
FILES = (
    {name: f"{name}.toml" for name in BUILT_IN}
    | {f"{name}@{version}": f"{name}-{version}.toml" for name in BUILT_IN for version in EARLIER}
    | {f"{name}@{PRESENT}": f"{name}.toml" for name in BUILT_IN}
)
FIGURES = ("auc", "tpr_upper", "tpr_lower", "share", "remainder")
#: levels at which a claim of an access needs mandatory figures
COVERED: dict[str, tuple[Level, ...]] = {
    "labels": ("labels",),
    "logits": ("logits",),
    "features": ("logits", "features"),
    "weights": ("logits", "features", "weights"),
}


class Policy(BaseModel):
    """Thresholds and mandatory figures; see ``audit/policy/standard.toml`` for the meaning of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = Field(default=1, ge=1)
    may_pass: bool
    pass_with_trace: bool = False
    pass_on_transfer: bool = False
    pass_identical: bool = False
    alpha: float = Field(gt=0, le=0.2)
    permutations: int = Field(ge=999, le=1_000_000)
    auc_margin: float = Field(gt=0, lt=0.5)
    tpr_fpr: float = Field(gt=0, lt=0.5)
    tpr_margin: float = Field(gt=0, lt=1)
    share_margin: float = Field(gt=0, lt=1)
    remainder_margin: float = Field(default=0.0, ge=0, le=1)  # 0: the visible remainder is reported, not bounded
    utility_margin: float = Field(gt=0, lt=1)
    utility_part_margin: float = Field(default=0.15, gt=0, lt=1)
    shams: int = Field(default=5, ge=0, le=50)
    d2_features: tuple[Literal["location", "upper", "lower", "spread"], ...] = ("location",)  # without primary alone
    min_forget: int = Field(ge=10)
    min_holdout: int = Field(ge=10)
    min_forget_tail: int = Field(ge=10)
    references_assumed_split: int = Field(ge=2)
    references_t: int = Field(ge=3)
    references_t_class: int = Field(ge=3)
    references_rank: int = Field(ge=19)
    overlap_share: float = Field(ge=0, lt=1)
    valid_days: int = Field(ge=1, le=36_525)
    structural: bool = True
    mandatory: dict[Kind, dict[Level, tuple[str, ...]]]
    primary: Table = {}
    composites: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_list_of_features(cls, values: Any) -> Any:
        """A table of primaries names the features of every attack itself."""
        if isinstance(values, dict) and values.get("primary"):
            if values.get("d2_features"):
                raise ValueError("d2_features stands beside primary, which names the features: leave d2_features out")
            return {**values, "d2_features": ()}
        if isinstance(values, dict) and values.get("d2_features") == []:
            raise ValueError("d2_features: name one at least, or list what is gated in [primary]")
        return values

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        """Letters of other scripts look like ours: a certificate's reader must see which policy it was."""
        if not (name.isascii() and name.isprintable() and name.strip() == name and name):
            raise ValueError("use printable ASCII characters, none of them a space at an end")
        if "@" in name or (name.lower() in BUILT_IN and name not in BUILT_IN):
            raise ValueError("it could be taken for a policy that ships with the tool: choose another name, without @")
        return name

    @field_validator("d2_features")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("name each feature once")
        return names

    @model_validator(mode="after")
    def _primaries_are_whole(self) -> Policy:
        """Something to test, of which every mandatory figure is a part: else no PASS could ever rest on it."""
        wrong = wrong_primaries(self.primary, self.composites)
        for kind, levels in self.mandatory.items():
            for level, figures in levels.items() if self.primary else ():
                tested = self.attacks(kind, level)
                missing = sorted({figure.partition(".")[0] for figure in figures} - tested)
                wrong += [f"primary.{kind}.{level}: list {name}, which has a mandatory figure" for name in missing]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _tail_has_room(self) -> Policy:
        """An honest model has the rate itself in a tail, and the margin of a shift is what lies above it."""
        if self.tpr_margin <= self.tpr_fpr:
            raise ValueError(f"tpr_margin {self.tpr_margin:g} must exceed tpr_fpr {self.tpr_fpr:g}")
        return self

    def figures(self, kind: Kind, access: Level) -> tuple[str, ...]:
        """The figures that a PASS of a claim needs, at each level that its access covers: ``<attack>.<metric>``."""
        demanded = self.mandatory.get(kind, {})
        return tuple(figure for level in COVERED[access] for figure in demanded.get(level, ()))

    def primaries(self, kind: Kind, access: Level) -> Primaries:
        """The statistics whose tests decide FAIL for a claim, each with its weight; the weights add up to 1."""
        if not self.primary:
            return first_edition(kind, access, self.d2_features)
        return self.primary.get(kind, {}).get(access, {})

    def kinds(self, attack: str) -> tuple[Kind, ...]:
        """Kinds of claims for which it gates an attack, at some access."""
        return tuple(kind for kind in KINDS if any(attack in self.attacks(kind, level) for level in LEVELS))

    def attacks(self, kind: Kind, access: Level) -> frozenset[str]:
        """Names of the attacks among them, those that a composite is made of included."""
        owners = [name.rpartition(".")[::2] for name in self.primaries(kind, access)]
        parts = [self.composites.get(owner, ()) if what == COMPOSITE else (owner,) for owner, what in owners]
        return frozenset(name for names in parts for name in names)


def load_policy(name: str) -> tuple[Policy, str]:
    """Load a built-in policy by name or a policy file by path; return it with the SHA-256 of its bytes.

    Raises:
        UsageError: unknown name, unreadable file, or a key or value that is wrong.
    """
    try:
        content = _built_in(name) if name in FILES else read_once(Path(name), LONGEST + 1)
    except OSError as error:
        raise UsageError(
            f"policy {name!r}: {error.strerror}. Use {', '.join(FILES)} or the path of a policy file."
        ) from None
    try:
        policy = Policy.model_validate(parse_toml(content))
    except ValidationError as error:
        raise UsageError(f"policy {name!r}:\n  " + "\n  ".join(wrong_values(error)) + "\nCorrect the file.") from None
    except ValueError as error:
        raise UsageError(f"policy {name!r} is no valid TOML ({error}): correct it.") from None
    kept = (policy.name, *(f"{policy.name}@{version}" for version in EARLIER))
    if policy.name in BUILT_IN and content not in map(_built_in, kept):
        raise UsageError(f"policy {name!r} calls itself {policy.name!r} but is not: give it a name of its own.")
    unknown = [figure for figure in _listed(policy) if figure.rpartition(".")[2] not in FIGURES]
    if unknown:
        raise UsageError(f"policy {name!r}: unknown figures {', '.join(unknown)}: use <attack>.{'|'.join(FIGURES)}")
    if not policy.remainder_margin and "remainder" in {f.rpartition(".")[2] for f in _listed(policy)}:
        raise UsageError(f"policy {name!r}: a mandatory remainder needs a bound: set remainder_margin (0 is none).")
    return policy, hashlib.sha256(content).hexdigest()


def _listed(policy: Policy) -> list[str]:
    """Every mandatory figure, whatever the claim and the access."""
    return [figure for levels in policy.mandatory.values() for figures in levels.values() for figure in figures]


def built_in(sha256: str) -> Policy | None:
    """The policy that ships with the tool under this digest of its file; None where it is none of them."""
    for name in FILES:
        policy, digest = load_policy(name)
        if digest == sha256:
            return policy
    return None


def _built_in(name: str) -> bytes:
    return (resources.files("audit.policy") / FILES[name]).read_bytes()
