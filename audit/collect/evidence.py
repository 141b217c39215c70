"""All that scoring needs, kept in ``private/evidence`` so that a run can be judged again without any model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from attacks.base import Attack, Case, Floats, Ints, Shadows, Signals
from audit.errors import CouldNotRun
from audit.inputs.sets import Overlap
from audit.record.digest import sha256_file
from audit.record.files import load_arrays, save_arrays, write_bytes
from audit.record.result import ClaimRecord, InputRecord
from audit.record.run_records import LookRecord, TrainingRecord
from audit.record.rundir import RunDir

from .structure import Structure

FROZEN = ConfigDict(frozen=True, extra="forbid")


class AttackRun(BaseModel):
    """How one attack went."""

    model_config = FROZEN

    name: str
    parameters: dict[str, float | int | str | bool]
    status: Literal["ok", "skipped", "error"]
    reason: str = ""


class Facts(BaseModel):
    """The part of the evidence that is no array."""

    model_config = FROZEN

    run_id: str
    seed: int
    tool_version: str
    environment: dict[str, str]
    claim: ClaimRecord
    inputs: tuple[InputRecord, ...]
    assumptions: tuple[str, ...]
    overlaps: tuple[tuple[str, str, int, int], ...]
    models: tuple[str, ...]
    n_classes: int
    structure: Structure
    attacks: tuple[AttackRun, ...]
    signal_files: tuple[tuple[str, str, str, str], ...]  #: attack, model, file name, SHA-256
    look: LookRecord | None = None
    training: TrainingRecord | None = None
    shadows: dict[str, tuple[str, ...]] = {}  #: names of the shadow models by design

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the retrained models."""
        return tuple(name for name in self.models if name.startswith("retrained/"))

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the further unlearned runs of the same procedure."""
        return tuple(name for name in self.models if name.startswith("unlearned/"))


class Evidence:
    """Facts, labels, subjects, correctness and the signals of every attack on every model.

    Attributes:
        facts: everything that is no array.
        arrays: ``labels/<set>`` (n,), ``group/<set>`` (n,) subject codes, ``correct/<model>`` (n,) booleans on
            never-seen rows with ``task/labels`` and, where known, ``task/group`` of those rows,
            ``correct_retain/<model>`` booleans on retain rows, ``blind/forget`` and ``blind/holdout`` scores of the
            shift check, ``ids/forget`` and ``names/forget`` (n_F,) strings; of the shadow models ``member/<design>``
            (S, n_F + n_H) booleans and ``accuracy/<design>`` (S,) on the test set.
        signals: (attack, model) -> signals.
    """

    def __init__(
        self,
        facts: Facts,
        arrays: dict[str, np.ndarray[Any, Any]],
        signals: dict[tuple[str, str], Signals],
    ) -> None:
        self.facts, self.arrays, self.signals = facts, arrays, signals

    def labels(self, role: str) -> Ints:
        """Labels of a set, (n,)."""
        return np.asarray(self.arrays[f"labels/{role}"])

    def correct(self, model: str) -> Floats:
        """1.0 where the model labels a never-seen row correctly, else 0.0; (n,)."""
        return np.asarray(self.arrays[f"correct/{model}"], dtype=np.float64)

    def correct_retain(self, model: str) -> Floats | None:
        """The same on retain rows; None in a run of an older version."""
        found = self.arrays.get(f"correct_retain/{model}")
        return None if found is None else np.asarray(found, dtype=np.float64)

    def case_of(self, attack: Attack) -> Case:
        """The case as this attack's ``score`` needs it: labels, no inputs, the shadow models of its design."""
        names = self.facts.shadows.get(attack.design, ())
        if not names:
            return self.case()
        signals = [self.signals[attack.name, name] for name in names]
        return replace(self.case(), shadows=Shadows(signals, self.arrays[f"member/{attack.design}"]))

    def case(self) -> Case:
        """Labels and claim, no inputs."""
        labels = {key.removeprefix("labels/"): a for key, a in self.arrays.items() if key.startswith("labels/")}
        claim = self.facts.claim
        return Case(claim.kind, claim.classes, {}, labels, self.facts.n_classes)

    def subjects(self) -> tuple[Ints, Ints] | None:
        """Subject codes of forget and holdout rows where both are known, else None."""
        if "group/forget" not in self.arrays or "group/holdout" not in self.arrays:
            return None
        return self.arrays["group/forget"], self.arrays["group/holdout"]

    def overlaps(self) -> tuple[Overlap, ...]:
        """Duplicated content that was left out."""
        return tuple(Overlap(*item) for item in self.facts.overlaps)

    def save(self, run: RunDir) -> None:
        """Write facts and arrays; the signals themselves were written by the engine, unit by unit."""
        save_arrays(run.evidence / "arrays.npz", self.arrays)
        write_bytes(run.evidence / "facts.json", self.facts.model_dump_json(indent=1).encode(), private=True)


def read_evidence(run: RunDir) -> Evidence:
    """Read what ``save`` wrote.

    Raises:
        CouldNotRun: the run was purged, is not finished, or is damaged.
    """
    if not run.private.exists():
        raise CouldNotRun(
            f"{run.path} has no private part (purged, or no run): a purged run can be reported and verified, but "
            "not judged again."
        )
    arrays = load_arrays(run.evidence / "arrays.npz")
    try:
        facts = Facts.model_validate_json((run.evidence / "facts.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CouldNotRun(f"{run.path} holds no finished evidence: run the audit to its end first.") from error
    signals: dict[tuple[str, str], Signals] = {}
    for attack, model, name, digest in facts.signal_files:
        path = run.signals / name
        if path.is_file() and sha256_file(path) != digest:
            raise CouldNotRun(f"{run.path}: {name} is not what the audit wrote: run the audit again with --fresh.")
        found = load_arrays(path)
        if found is None:
            raise CouldNotRun(f"{run.path}: signals of {attack} on {model} are missing: run the audit again.")
        signals[attack, model] = found
    if arrays is None:
        raise CouldNotRun(f"{run.path}: arrays of the evidence are missing: run the audit again.")
    return Evidence(facts, arrays, signals)
