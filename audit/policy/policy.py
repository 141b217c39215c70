"""Policies: every threshold of the audit, in a file that a compliance owner can review."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from audit.errors import UsageError, wrong_values
from audit.record.readonce import read_once

BUILT_IN = ("screening", "standard", "strict")
FIGURES = ("auc", "tpr_upper", "tpr_lower", "share", "remainder")
Level = Literal["logits", "features", "weights"]
#: levels at which a claim of an access needs mandatory figures
COVERED: dict[str, tuple[Level, ...]] = {
    "labels": (),
    "logits": ("logits",),
    "features": ("logits", "features"),
    "weights": ("logits", "features", "weights"),
}


class Policy(BaseModel):
    """Thresholds and mandatory figures; see ``audit/policy/standard.toml`` for the meaning of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    may_pass: bool
    pass_with_trace: bool = False
    pass_on_transfer: bool = False
    alpha: float = Field(gt=0, le=0.2)
    permutations: int = Field(ge=999)
    auc_margin: float = Field(gt=0, lt=0.5)
    tpr_fpr: float = Field(gt=0, lt=0.5)
    tpr_margin: float = Field(gt=0, lt=1)
    share_margin: float = Field(gt=0, lt=1)
    remainder_margin: float = Field(default=0.0, ge=0, le=1)  # 0: the visible remainder is reported, not bounded
    utility_margin: float = Field(gt=0, lt=1)
    utility_part_margin: float = Field(default=0.15, gt=0, lt=1)
    shams: int = Field(default=5, ge=0, le=50)
    d2_features: tuple[Literal["location", "upper", "lower", "spread"], ...] = Field(
        default=("location",), min_length=1
    )
    min_forget: int = Field(ge=10)
    min_holdout: int = Field(ge=10)
    min_forget_tail: int = Field(ge=10)
    references_assumed_split: int = Field(ge=2)
    references_t: int = Field(ge=3)
    references_t_class: int = Field(ge=3)
    references_rank: int = Field(ge=19)
    overlap_share: float = Field(ge=0, lt=1)
    valid_days: int = Field(ge=1)
    structural: bool = True
    mandatory: dict[Literal["random", "class", "subject", "other"], dict[Level, tuple[str, ...]]]

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        """Letters of other scripts look like ours: a certificate's reader must see which policy it was."""
        if not (name.isascii() and name.isprintable() and name.strip() == name and name):
            raise ValueError("use printable ASCII characters, none of them a space at an end")
        return name

    @field_validator("d2_features")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("name each feature once")
        return names

    def figures(self, kind: str) -> tuple[str, ...]:
        """The mandatory figures of a kind of claim, whatever the access: ``<attack>.<metric>``."""
        levels: Mapping[Level, tuple[str, ...]] = self.mandatory.get(kind, {})  # type: ignore[call-overload]
        return tuple(figure for figures in levels.values() for figure in figures)


def load_policy(name: str) -> tuple[Policy, str]:
    """Load a built-in policy by name or a policy file by path; return it with the SHA-256 of its bytes.

    Raises:
        UsageError: unknown name, unreadable file, or a key or value that is wrong.
    """
    try:
        content = _built_in(name) if name in BUILT_IN else read_once(Path(name))
    except OSError as error:
        raise UsageError(
            f"policy {name!r}: {error.strerror}. Use {', '.join(BUILT_IN)} or the path of a policy file."
        ) from None
    try:
        policy = Policy.model_validate(tomllib.loads(content.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"policy {name!r} is no valid TOML ({error}): correct it.") from None
    except ValidationError as error:
        raise UsageError(f"policy {name!r}:\n  " + "\n  ".join(wrong_values(error))) from None
    if policy.name in BUILT_IN and content != _built_in(policy.name):
        raise UsageError(f"policy {name!r} calls itself {policy.name!r} but is not: give it a name of its own.")
    unknown = [figure for figure in _listed(policy) if figure.rpartition(".")[2] not in FIGURES]
    if unknown:
        raise UsageError(f"policy {name!r}: unknown figures {', '.join(unknown)}: use <attack>.{'|'.join(FIGURES)}")
    if not policy.remainder_margin and "remainder" in {f.rpartition(".")[2] for f in _listed(policy)}:
        raise UsageError(f"policy {name!r}: a mandatory remainder needs a bound: set remainder_margin (0 is none).")
    return policy, hashlib.sha256(content).hexdigest()


def _listed(policy: Policy) -> list[str]:
    """Every mandatory figure, whatever the claim and the access."""
    return [figure for kind in policy.mandatory for figure in policy.figures(kind)]


def built_in(sha256: str) -> Policy | None:
    """The policy that ships with the tool under this digest of its file; None where it is none of them."""
    for name in BUILT_IN:
        policy, digest = load_policy(name)
        if digest == sha256:
            return policy
    return None


def _built_in(name: str) -> bytes:
    return (resources.files("audit.policy") / f"{name}.toml").read_bytes()
