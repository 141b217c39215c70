"""The record of one audit: ``run.json``, the only input of the reports and of the certificate.

Everything here is deterministic: times live in ``events.jsonl`` and in the certificate. Numbers are finite or
absent (``None``); NaN is refused when the file is written and when it is read.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from .attack_record import AttackRecord, Record
from .readonce import read_once
from .run_records import LookRecord, TrainingRecord

#: 1.3: the commitment to the evidence. 1.2: several charts an attack, bands, histograms, pictures. Older ones are read.
SCHEMA_VERSION = "1.3"


class Outcome(StrEnum):
    """The three verdicts."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class FindingStatus(StrEnum):
    """What one finding says.

    ``NOT_DETECTED`` is the outcome of a difference test that did not reject: never evidence of forgetting.
    ``NOT_COVERED`` marks an attack that does not see the forget set in the original either.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_DETECTED = "NOT DETECTED"
    NOT_COVERED = "NOT COVERED"
    SKIPPED = "SKIPPED"
    ERROR = "ERROR"
    NOTE = "NOTE"


class Interval(Record):
    """A confidence interval; ``level`` is its two-sided coverage in (0, 1)."""

    low: float
    high: float
    level: float


class Null(Record):
    """What the same figure is on the honest retrained models (or by permutation)."""

    source: str = Field(description="'references' or 'permutation'")
    mean: float
    sd: float
    n: int = Field(description="number of references, or of permutations")


class Finding(Record):
    """One line of evidence. ``estimate`` is the figure on the unlearned model, ``control`` the same figure on
    the original model (positive control)."""

    id: str = Field(description="'<attack>.<metric>', for example 'membership.auc'")
    attack: str
    metric: str
    title: str = Field(description="what the figure is, in words")
    kind: Literal["difference", "equivalence", "structural", "input", "execution", "exploratory"]
    family: Literal["D1", "D2"] | None = Field(default=None, description="null hypothesis family of a test")
    role: Literal["mandatory", "primary", "supplementary"]
    access: str = Field(description="what the attacker needs: labels, logits, features, gradients, weights")
    estimate: float | None = None
    interval: Interval | None = None
    unit: str = ""
    n_forget: int | None = None
    n_holdout: int | None = None
    n_references: int | None = None
    counted: Literal["rows", "subjects"] = Field(default="rows", description="what n_forget and n_holdout count")
    control: float | None = None
    control_interval: Interval | None = Field(default=None, description="of the control, where it can be had")
    null: Null | None = None
    margin: tuple[float, float] | None = Field(
        default=None, description="PASS needs the whole interval strictly inside"
    )
    p: float | None = None
    p_adjusted: float | None = Field(
        default=None, description="within its family (max-T or Bonferroni), before Holm between families"
    )
    status: FindingStatus
    reason: str
    settle: tuple[str, ...] = Field(default=(), description="what would settle it, cheapest first")


#: and the level: the gate of the families of a weaker access level, computed as if that had been claimed
WEAKER_ACCESS = "weaker access: "


class Gate(Record):
    """A validity check: it can block a PASS or invalidate a family, never make a verdict better."""

    name: str
    ok: bool
    effect: str = Field(description="what it blocks when it is not ok")
    reason: str


class Family(Record):
    """One family of difference tests (D2: forget/holdout labels permuted; D1: model against retrains)."""

    name: Literal["D1", "D2"]
    method: str
    admitted: bool
    reason: str
    p: float | None = None
    p_holm: float | None = None
    rejected: bool = False


class InputRecord(Record):
    """One input. Models carry their plain SHA-256; personal data never does: its keyed commitment stands in the
    certificate alone."""

    role: str = Field(description="'forget', ..., 'original', 'unlearned', 'retrained/0', ...")
    name: str
    kind: Literal["data", "model", "outputs"]
    rows: int | None = None
    shape: tuple[int, ...] | None = None
    sha256: str | None = Field(default=None, description="of the file, or of the state of a model in memory")
    note: str = ""
    architecture: str | None = Field(
        default=None, description="SHA-256 of the code of a network that the calling program held; else absent"
    )

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files have no ``architecture`` key: their records are those of earlier versions."""
        document: dict[str, Any] = dump(self)
        if self.architecture is None:
            document.pop("architecture", None)
        return document


class ClaimRecord(Record):
    """What the audit is about, fixed before anything was scored."""

    kind: Literal["random", "class", "subject", "other"]
    split: Literal["attested", "coins", "assumed", "unknown"]
    access: Literal["labels", "logits", "features", "weights"]
    classes: tuple[int, ...] = ()
    public_layers: tuple[str, ...] = ()
    strata: Literal["none", "label"] = Field(
        default="none", description="label: forget and holdout were drawn class by class; labels permute within a class"
    )
    provenance: Literal["exact", "checkpoint", "surrogate"] = Field(
        default="exact",
        description="exact: references trained from scratch; checkpoint: from weights that never saw the forget set; "
        "surrogate: the auditor's own pipeline on other data",
    )
    looks: Literal["single", "ledger"] = "single"
    inferred: tuple[str, ...] = Field(default=(), description="what was not declared but inferred, and why")


class UtilityFigure(Record):
    """One non-inferiority figure; higher is better, so only the lower bound counts."""

    name: str = Field(description="'test', 'retain', 'worst class', 'worst group', 'negative flips'")
    rows: int
    difference: Interval
    estimate: float
    margin: float
    ok: bool
    reason: str


class UtilityRecord(Record):
    """Accuracy on never-seen rows of the task that is left: unlearned minus retrained models (minus the original
    where there is none), non-inferiority. ``figures`` adds the other sides of utility."""

    unlearned: float
    original: float | None
    references: tuple[float, ...]
    difference: Interval | None
    margin: float
    ok: bool
    reason: str
    figures: tuple[UtilityFigure, ...] = ()


class PolicyRecord(Record):
    """The policy that judged."""

    name: str
    sha256: str
    values: dict[str, Any]


class Verdict(Record):
    """The verdict with its scope and its reasons."""

    outcome: Outcome
    qualifier: Literal["", "transfer", "with trace"] = Field(
        default="",
        description="of a PASS, where the policy admits it: surrogate references, or a trace inside the margins",
    )
    sentence: str
    scope: str
    reasons: tuple[str, ...]
    settle: tuple[str, ...] = ()
    warnings: tuple[str, ...] = Field(
        default=(), description="declarations that the data speak against, or that had no effect"
    )


class AuditResult(Record):
    """Everything that one audit found."""

    schema_version: str = SCHEMA_VERSION
    tool: str
    tool_version: str
    run_id: str
    seed: int
    environment: dict[str, str]
    claim: ClaimRecord
    policy: PolicyRecord
    inputs: tuple[InputRecord, ...]
    assumptions: tuple[str, ...]
    attacks: tuple[AttackRecord, ...]
    families: tuple[Family, ...]
    findings: tuple[Finding, ...]
    gates: tuple[Gate, ...]
    look: LookRecord | None = None
    training: TrainingRecord | None = None
    utility: UtilityRecord | None = None
    not_tested: tuple[str, ...]
    verdict: Verdict
    evidence: str | None = Field(
        default=None, description="keyed digest of all evidence, under the project key; absent before schema 1.3"
    )

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records of earlier versions have no ``evidence`` key."""
        document: dict[str, Any] = dump(self)
        if self.evidence is None:
            document.pop("evidence", None)
        return document


def to_json(result: AuditResult) -> str:
    """Deterministic JSON text: sorted keys, ASCII, NaN refused."""
    document = result.model_dump(mode="json")
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def read_result(path: Path) -> AuditResult:
    """Read and validate a ``run.json``.

    Raises:
        CouldNotRun: the file is missing, is no strict JSON, or does not fit the schema.
    """
    return parse_result(read_record(path), path)


def read_record(path: Path) -> bytes:
    """The bytes of a ``run.json``, read once: parse them and take their digest.

    Raises:
        CouldNotRun: the file is missing or cannot be read.
    """
    from audit.errors import CouldNotRun

    try:
        return read_once(path)
    except OSError as error:
        raise CouldNotRun(f"cannot read {path} ({error.strerror}): name a finished run directory.") from error


def parse_result(content: bytes, path: Path) -> AuditResult:
    """The record that the bytes of a ``run.json`` hold; ``path`` is for the message.

    Raises:
        CouldNotRun: it is no strict JSON, or does not fit the schema.
    """
    from audit.errors import CouldNotRun, wrong_values

    try:
        return AuditResult.model_validate_json(content)
    except ValidationError as error:
        raise CouldNotRun(
            f"{path} is not a run record of schema {SCHEMA_VERSION} ({wrong_values(error)[0]}): run the audit again, "
            "or use the version of this tool that wrote it."
        ) from error
