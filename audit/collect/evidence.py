"""All that scoring needs, kept in ``private/evidence`` so that a run can be judged again without any model."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from attacks.base import Attack, Case, Floats, Ints, Shadows, Signals
from attacks.tasks import Task, task_named
from audit.errors import CouldNotRun
from audit.inputs.sets import Overlap
from audit.record.files import read_arrays, save_arrays, write_private
from audit.record.identical import CoincidingRecord
from audit.record.inputs import ClaimRecord, InputRecord
from audit.record.readonce import read_once, sha256_of
from audit.record.run_records import LookRecord, TaskRecord, TrainingRecord
from audit.record.rundir import RunDir
from audit.record.seal import seal

from .structure import Structure

FROZEN = ConfigDict(frozen=True, extra="forbid")
FACTS, ARRAYS = "facts.json", "arrays.npz"

Named = dict[str, np.ndarray[Any, Any]]


class AttackRun(BaseModel):
    """How one attack went."""

    model_config = FROZEN

    name: str
    version: str = ""  # of the attack; unknown in evidence of an older tool
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
    coinciding: CoincidingRecord | None = None  #: absent before it was looked for
    shadows: dict[str, tuple[str, ...]] = {}  #: names of the shadow models by design
    task: TaskRecord | None = None  #: None: classification

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
            ``correct_retain/<model>`` booleans on retain rows, ``correct_forget/<model>`` on forget rows (not in a run
            of an older version), ``further_retain/<model>`` means of the signals that do not lead on retain rows (where
            there are such signals; not in a run of an older version), ``blind/forget`` and ``blind/holdout`` scores of
            the shift check, ``ids/forget`` and ``names/forget`` (n_F,) strings; of the shadow models
            ``member/<design>`` (S, n_F + n_H) booleans and ``accuracy/<design>`` (S,) on the test set; ``closer`` (5,)
            of `audit.collect.closer`, not in a run of an older version; where the audited model gives probabilities
            alone, ``saturated/forget`` and ``saturated/holdout`` booleans of the rows tied at 0 or 1; ``as_original``
            (2,) retain and test rows with the original's very answers, and all of them; ``as_original_references`` (K,)
            the former of each reference.
        signals: (attack, model) -> signals.
    """

    def __init__(
        self,
        facts: Facts,
        arrays: dict[str, np.ndarray[Any, Any]],
        signals: dict[tuple[str, str], Signals],
    ) -> None:
        self.facts, self.arrays, self.signals = facts, arrays, signals

    def claimed_at(self, access: str) -> Evidence:
        """The same evidence as if another access level had been claimed."""
        claim = self.facts.claim.model_copy(update={"access": access})
        return Evidence(self.facts.model_copy(update={"claim": claim}), self.arrays, self.signals)

    @property
    def task(self) -> Task:
        """What outputs mean."""
        record = self.facts.task
        return task_named("classification") if record is None else task_named(record.name, record.signals)

    def labels(self, role: str) -> Ints:
        """Labels of a set, (n,)."""
        return np.asarray(self.arrays[f"labels/{role}"])

    def correct(self, model: str) -> Floats:
        """How good the model's answer to a never-seen row is (`attacks.tasks.base.Task.quality`): where rows have
        classes 1.0 if it is right, else 0.0; (n,)."""
        return self._in_unit("correct", model)

    def correct_retain(self, model: str) -> Floats | None:
        """The same on retain rows; None in a run of an older version."""
        return self._in_unit("correct_retain", model) if f"correct_retain/{model}" in self.arrays else None

    @property
    def knows_quality(self) -> bool:
        """Outputs say how good the answers are."""
        return "correct/unlearned" in self.arrays

    @property
    def baseline(self) -> tuple[str, ...]:
        """Models that utility is held against: the retrains, else the original."""
        return self.facts.references or tuple(name for name in self.facts.models if name == "original")

    def _in_unit(self, key: str, model: str) -> Floats:
        """Quality of a model's answers, in units of its mean on the baseline where the task says so."""
        found = np.asarray(self.arrays[f"{key}/{model}"], dtype=np.float64)
        if not self.task.relative:
            return found
        unit = abs(float(np.mean([self.arrays[f"{key}/{name}"].mean() for name in self.baseline or (model,)])))
        return found / unit if unit > 0 else found

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
        return Case(claim.kind, claim.classes, {}, labels, self.facts.n_classes, task=self.task)

    def subjects(self) -> tuple[Ints, Ints] | None:
        """Subject codes of forget and holdout rows where both are known, else None."""
        if "group/forget" not in self.arrays or "group/holdout" not in self.arrays:
            return None
        return self.arrays["group/forget"], self.arrays["group/holdout"]

    def overlaps(self) -> tuple[Overlap, ...]:
        """Duplicated content that was left out."""
        return tuple(Overlap(*item) for item in self.facts.overlaps)

    def save(self, run: RunDir, key: bytes) -> str:
        """Write facts and arrays; the signals themselves were written by the engine, unit by unit.

        Args:
            run: where to.
            key: the project key.

        Returns:
            the commitment to all evidence: its keyed digest, of the bytes as they were written.
        """
        absent = {"task"} if self.facts.task is None else set()
        facts = self.facts.model_dump_json(indent=1, exclude=absent).encode()
        digests = {ARRAYS: save_arrays(run.evidence / ARRAYS, self.arrays), FACTS: sha256_of(facts)}
        write_private(run.evidence / FACTS, facts)
        return _commitment(key, digests | {name: digest for _, _, name, digest in self.facts.signal_files})


def read_evidence(run: RunDir, key: bytes | None = None, committed: str = "") -> Evidence:
    """Read what ``save`` wrote, each file once: what is authenticated is what is judged.

    Args:
        run: a finished run.
        key: the project key; None where the caller wrote the evidence himself a moment ago.
        committed: the commitment that ``save`` returned.

    Raises:
        CouldNotRun: the run was purged, is not finished, is damaged, or does not hold what the audit wrote.
    """
    if not run.private.exists():
        raise CouldNotRun(
            f"{run.path} has no private part (purged, or no run): a purged run can be reported and verified, but "
            "not judged again."
        )
    content = {ARRAYS: _content(run.evidence / ARRAYS), FACTS: _content(run.evidence / FACTS)}
    facts = _facts(run, content[FACTS])
    for attack, model, name, digest in facts.signal_files:
        content[name] = _content(_inside(run.signals, name))
        if not content[name]:
            raise CouldNotRun(f"{run.path}: signals of {attack} on {model} are missing: run the audit again.")
        if sha256_of(content[name]) != digest:
            raise _edited(run, name)
    digests = {name: sha256_of(found) for name, found in content.items()}
    if key is not None and not hmac.compare_digest(_commitment(key, digests), committed):
        raise _edited(run, "its evidence")
    arrays = {name: read_arrays(found) for name, found in content.items() if name != FACTS}
    signals: dict[tuple[str, str], Signals] = {(a, m): _whole(run, arrays, n) for a, m, n, _ in facts.signal_files}
    return Evidence(facts, _whole(run, arrays, ARRAYS), signals)


def _commitment(key: bytes, digests: Mapping[str, str]) -> str:
    return seal(key, "evidence", digests)


def _content(path: Path) -> bytes:
    """The bytes of a file of ours; none where it is missing."""
    try:
        return read_once(path)
    except OSError:
        return b""


def _inside(folder: Path, name: str) -> Path:
    """A file of a folder: names of the evidence lead nowhere else."""
    return folder / Path(name).name


def _facts(run: RunDir, content: bytes) -> Facts:
    try:
        return Facts.model_validate_json(content)
    except ValueError as error:
        raise CouldNotRun(f"{run.path} holds no finished evidence: run the audit to its end first.") from error


def _whole(run: RunDir, arrays: Mapping[str, Named | None], name: str) -> Named:
    found = arrays[name]
    if found is None:
        raise CouldNotRun(f"{run.path}: {name} of the evidence is missing or damaged: run the audit again.")
    return found


def _edited(run: RunDir, what: str) -> CouldNotRun:
    return CouldNotRun(
        f"{run.path}: {what} is not what the audit wrote under this project key, so nothing can be judged by it: "
        "restore the run from a copy, or run the audit again with --fresh."
    )
