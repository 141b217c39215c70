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
from .findings import Family, Finding, Gate, Interval
from .inputs import ClaimRecord, InputRecord
from .papers import PaperFigure
from .readonce import read_once
from .run_records import LookRecord, TaskRecord, TrainingRecord

#: 1.3: the commitment to the evidence. 1.2: several charts an attack, bands, histograms, pictures. Older ones are read.
SCHEMA_VERSION = "1.3"
#: 1.4: the task, where it is none of classification; records of classification are those of 1.3
TASK_SCHEMA_VERSION = "1.4"
#: 1.5: the figures that papers print, where there are any
PAPERS_SCHEMA_VERSION = "1.5"
#: 1.6: the context of release, where one is declared
RELEASE_SCHEMA_VERSION = "1.6"


class Outcome(StrEnum):
    """The three verdicts."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


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
    """Accuracy (or ``figure``) on never-seen rows of the task that is left: unlearned minus retrained models (minus
    the original where there is none), non-inferiority. ``figures`` adds the other sides of utility."""

    unlearned: float | None = Field(description="None where the outputs do not say how good a model is")
    original: float | None
    references: tuple[float, ...]
    difference: Interval | None
    margin: float
    ok: bool
    reason: str
    figures: tuple[UtilityFigure, ...] = ()
    figure: str = Field(default="accuracy", description="what is measured; absent for accuracy")

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records of classification are those of earlier versions."""
        document: dict[str, Any] = dump(self)
        if self.figure == "accuracy":
            document.pop("figure", None)
        return document


class PolicyRecord(Record):
    """The policy that judged."""

    name: str
    sha256: str
    values: dict[str, Any]


class Verdict(Record):
    """The verdict with its scope and its reasons."""

    outcome: Outcome
    qualifier: Literal["", "transfer", "with trace", "identical to a retrain"] = Field(
        default="",
        description="of a PASS, where the policy admits it: surrogate references, a trace inside the margins, or a "
        "model that is what the audit itself trains without the forget set",
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
    task: TaskRecord | None = Field(default=None, description="absent for classification")
    utility: UtilityRecord | None = None
    papers: tuple[PaperFigure, ...] = Field(
        default=(), description="figures of the literature: no tests, no gates; absent where there are none"
    )
    not_tested: tuple[str, ...]
    verdict: Verdict
    evidence: str | None = Field(
        default=None, description="keyed digest of all evidence, under the project key; absent before schema 1.3"
    )

    @property
    def shows_rows(self) -> bool:
        """A chart holds pictures (``--include-samples``): it is personal data of those whose rows they show."""
        return any(one.pixels for attack in self.attacks for chart in attack.charts for one in chart.series)

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records of earlier versions have no ``evidence`` and ``papers``, those of classification no ``task``."""
        document: dict[str, Any] = dump(self)
        for name in ("evidence", "task", "papers"):
            if getattr(self, name) in (None, ()):
                document.pop(name, None)
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
