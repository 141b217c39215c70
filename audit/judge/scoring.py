"""Score every attack that ran on all models at once; nothing is judged yet."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from attacks.base import Attack, NotApplicable, Scores, discover
from audit.collect.evidence import AttackRun, Evidence
from audit.collect.failures import Failure, failure, skip
from audit.inputs.contained import contained

from .fidelity import shadow_mismatch
from .scored import Scored, by_subject

log = logging.getLogger("audit")

Classes = Mapping[str, type[Attack]]


@dataclass(frozen=True, eq=False)
class Scoring:
    """How every attack of the plan went, and the scores of those that have some.

    Attributes:
        runs: one an attack; scoring may have turned it into a skip or an error.
        scored: the scores.
        suite: the attacks by name.
        failures: with the whole text of each error, which belongs in ``private/`` alone.
    """

    runs: tuple[AttackRun, ...]
    scored: tuple[Scored, ...]
    classes: Classes
    failures: tuple[Failure, ...] = ()


def score_all(evidence: Evidence, classes: Classes | None = None) -> Scoring:
    """Score every attack that ran; one whose scoring raises becomes an error.

    Args:
        evidence: signals of all attacks on all models.
        classes: the attacks by name, where they were discovered already.
    """
    classes = discover() if classes is None else classes
    runs: list[AttackRun] = []
    scored: list[Scored] = []
    failures: list[Failure] = []
    for run in evidence.facts.attacks:
        if run.status == "ok":
            try:
                with contained(f"the attack {run.name}"):  # a plug-in's code is not ours
                    scored.append(score(classes[run.name], run, evidence))
            except NotApplicable as reason:
                failures.append(skip(reason, classes[run.name], "in scoring"))
                run = _failed(run, "skipped", failures[-1])  # noqa: PLW2901
            except Exception as error:
                log.exception("scoring %s failed", run.name)
                failures.append(failure(error, classes[run.name], "in scoring"))
                run = _failed(run, "error", failures[-1])  # noqa: PLW2901
        runs.append(run)
    return Scoring(tuple(runs), tuple(scored), classes, tuple(failures))


def _failed(run: AttackRun, status: Literal["skipped", "error"], failed: Failure) -> AttackRun:
    return run.model_copy(update={"status": status, "reason": failed.reason})


def score(kind: type[Attack], run: AttackRun, evidence: Evidence) -> Scored:
    """One attack: the audited model, the original in its place, and all runs of the procedure where there are more."""
    attack = kind(**{k: v for k, v in run.parameters.items() if k in inspect.signature(kind).parameters})
    case, facts = evidence.case_of(attack), evidence.facts
    null = [evidence.signals[run.name, name] for name in facts.references]

    def scores(*names: str) -> Scores:
        return attack.score([*(evidence.signals[run.name, name] for name in names), *null], case)

    subject = scores("unlearned")
    control = scores("original") if "original" in facts.models else None
    pooled = scores("unlearned", *facts.runs) if facts.runs and null else None
    if attack.design and not subject.invalid:
        subject = replace(subject, invalid=shadow_mismatch(evidence, attack.design))
    return _aggregate(attack, subject, control, pooled, evidence)


def _aggregate(
    attack: Attack, subject: Scores, control: Scores | None, pooled: Scores | None, evidence: Evidence
) -> Scored:
    subjects = evidence.subjects()
    rows = len(evidence.labels("forget"))
    runs = 1 if pooled is None else 1 + len(evidence.facts.runs)
    if subjects is None or all(len(np.unique(side)) == len(side) for side in subjects):
        return Scored(attack, subject, control, rows, pooled, runs)
    collapsed, n_forget = by_subject(subject, *subjects)
    note = f"rows averaged per data subject: {n_forget} subjects in the forget set"
    collapsed = replace(collapsed, details=(*collapsed.details, note))
    others = [None if scores is None else by_subject(scores, *subjects)[0] for scores in (control, pooled)]
    return Scored(attack, collapsed, others[0], n_forget, others[1], runs, subject)
